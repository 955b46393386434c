"""The quick answer and the slow one agree, whatever the books do; and only the sets concerned."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.arbitrage.circles import TriangleModel
from desk.arbitrage.freshness import LegBook
from desk.arbitrage.outcomes import OutcomeModel
from desk.arbitrage.sets import OutcomeSet, Triangle, outcome_set
from desk.arbitrage.verdicts import Aim, Opportunity, Passed, PassReason
from desk.arbitrage.watch import SetWatch
from desk.book import Book
from desk.flattening import Regime
from desk.identity import MarketId
from desk.instrument import Settlement
from desk.market import BookDelta, BookSnapshot
from desk.units import NS_PER_MS, Level, Side
from tests.desk.arbitrage.samples import (
    NOW,
    RULES,
    both_ways,
    outcome,
    outcomes,
)

E = outcomes({"taker_fee_bps": Decimal(30)}, {}, {"tick_size": Decimal("0.001")})
F = outcome_set(
    "F",
    [
        outcome(
            number,
            2,
            symbol=f"F-{number}",
            settlement=Settlement(event="F", outcome=str(number), outcomes=2),
        )
        for number in (7, 8)
    ],
)
FORWARD, BACKWARD = both_ways()
RULED = replace(RULES, slippage_bps=Decimal(50), fast_slippage_bps=Decimal(400))
MARKETS = [leg.market for one in (E, F, FORWARD) for leg in one.legs]


def watch() -> tuple[SetWatch, dict[MarketId, Book]]:
    books = {market: Book() for market in MARKETS}
    found = SetWatch(books)
    for one in (E, F, FORWARD, BACKWARD):
        found.add(one, RULED)
    return found, books


def tell(book: Book, bids: list[Level], asks: list[Level], at_ns: int = NOW) -> None:
    book.apply(BookSnapshot(bids=bids, asks=asks, sequence=None, received_ns=at_ns))


def quote(
    found: SetWatch, books: dict[MarketId, Book], one: OutcomeSet, asks: list[int]
) -> list[object]:
    last: list[object] = []
    for leg, ask in zip(one.legs, asks, strict=True):
        tell(books[leg.market], [(ask - 1, 10)], [(ask, 10)])
        last = list(found.changed(leg.market, NOW))
    return last


def test_a_change_wakes_the_sets_it_is_in_and_no_other() -> None:
    found, books = watch()
    assert quote(found, books, E, [30, 30, 300])
    assert quote(found, books, F, [60, 60]) == []
    (verdict,) = found.changed(E.legs[0].market, NOW)
    assert isinstance(verdict, Opportunity)
    assert verdict.name == "E"
    assert found.changed(F.legs[0].market, NOW) == []
    assert found.changed(MarketId("zo", "main", "ELSEWHERE"), NOW) == []


def test_an_edge_that_is_gone_says_nothing_more() -> None:
    found, books = watch()
    assert quote(found, books, F, [45, 50])
    tell(books[F.legs[0].market], [(44, 5)], [(55, 5)])
    assert found.changed(F.legs[0].market, NOW) == []
    tell(books[F.legs[0].market], [(44, 5)], [(45, 5)])
    (verdict,) = found.changed(F.legs[0].market, NOW)
    assert isinstance(verdict, Opportunity)
    assert verdict.units == 5


def test_a_cleared_book_is_no_leg() -> None:
    found, books = watch()
    assert quote(found, books, F, [45, 50])
    books[F.legs[1].market].clear()
    assert found.changed(F.legs[1].market, NOW) == []
    assert found.edges("F") == [(None, None)]
    (verdict,) = found.look("F", NOW)
    assert isinstance(verdict, Passed)
    assert verdict.reason is PassReason.STALE_LEG


def test_a_guard_that_refuses_an_edge_is_heard() -> None:
    found, books = watch()
    quote(found, books, F, [45, 50])
    later = NOW + 600 * NS_PER_MS
    tell(books[F.legs[0].market], [(44, 5)], [(45, 5)], later)
    (verdict,) = found.changed(F.legs[0].market, later)
    assert isinstance(verdict, Passed)
    assert verdict.reason is PassReason.SKEWED
    found.confirmed(F.legs[1].market, later)
    assert isinstance(found.changed(F.legs[0].market, later)[0], Opportunity)


def test_what_is_held_is_sold_when_bids_pay() -> None:
    found, books = watch()
    assert quote(found, books, F, [60, 60]) == []
    found.hold("F", (4, 4))
    (verdict,) = found.changed(F.legs[0].market, NOW)
    assert isinstance(verdict, Opportunity)
    assert (verdict.aim, verdict.units) == (Aim.UNWIND, Decimal(4))
    found.hold("F", None)
    assert found.changed(F.legs[0].market, NOW) == []


def test_the_regime_decides_which_budget_counts() -> None:
    found, books = watch()
    quote(found, books, F, [47, 50])
    assert isinstance(found.changed(F.legs[0].market, NOW)[0], Opportunity)
    found.regime("F", Regime.FAST)
    (verdict,) = found.changed(F.legs[0].market, NOW)
    assert isinstance(verdict, Passed)
    assert verdict.reason is PassReason.NO_EDGE


def test_unsound_rules_are_refused() -> None:
    found, _ = watch()
    with pytest.raises(ValueError, match="E: max_units: 0"):
        found.add(E, replace(RULED, max_units=Decimal(0)))


prices = st.integers(1, 70)
tells = st.tuples(
    st.sampled_from(MARKETS),
    st.booleans(),
    st.lists(prices, max_size=3),
    st.lists(prices, max_size=3),
)


def expected(one: OutcomeSet | Triangle, books: dict[MarketId, Book]) -> list[object]:
    legs = [LegBook(book=books[leg.market], heard_ns=0) for leg in one.legs]
    if isinstance(one, Triangle):
        found = TriangleModel(triangle=one, rules=RULED).evaluate(legs, now_ns=NOW)
        return [found]
    model = OutcomeModel.prepare(one, RULED)
    return [
        model.evaluate(legs, now_ns=NOW),
        model.evaluate(legs, now_ns=NOW, held=(9, 9, 9)[: len(legs)]),
    ]


@given(st.lists(tells, min_size=1, max_size=60))
def test_remembered_sums_never_drift_from_the_books(
    told: list[tuple[MarketId, bool, list[int], list[int]]],
) -> None:
    found, books = watch()
    found.hold("E", (9, 9, 9))
    found.hold("F", (9, 9))
    sets: tuple[OutcomeSet | Triangle, ...] = (E, F, FORWARD, BACKWARD)
    for market, whole, bids, asks in told:
        change = {"bids": [(x, 3) for x in bids], "asks": [(x + 20, 3) for x in asks]}
        if whole:
            books[market].apply(BookSnapshot(**change, sequence=None, received_ns=NOW))
        else:
            change["bids"] += [(x + 1, 0) for x in bids]
            books[market].apply(BookDelta(**change, sequence=None, previous=None, received_ns=NOW))
        heard = found.changed(market, NOW)
        concerned = [one for one in sets if market in {leg.market for leg in one.legs}]
        due = [verdict for one in concerned for verdict in expected(one, books)]
        silent = {PassReason.NO_EDGE, PassReason.NO_SIDE, PassReason.STALE_LEG}
        assert heard == [x for x in due if not isinstance(x, Passed) or x.reason not in silent]
    for one in (E, F):
        assert found.edges(one.name) == [summed(one, books)]


def summed(one: OutcomeSet, books: dict[MarketId, Book]) -> tuple[Fraction | None, Fraction | None]:
    found: list[Fraction | None] = []
    for side in Side:
        total: Fraction | None = Fraction(0)
        for leg in one.legs:
            book = books[leg.market]
            price = book.best_ask if side is Side.BUY else book.best_bid
            if price is None or total is None:
                total = None
                continue
            sign, fee = side.sign, Fraction(leg.instrument.taker_fee_bps) / 10_000
            total += (
                Fraction(leg.instrument.price(price))
                * (1 + sign * Fraction(1, 200))
                * (1 + sign * fee)
            )
        found.append(None if total is None else side.sign * (1 - total))
    return found[0], found[1]
