"""What is owed is a fold of fills: complete is nothing, excess is all of it, dust is told."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.arbitrage.discharge import (
    Discharge,
    Ground,
    Way,
    discharge_outcomes,
    discharge_round,
)
from desk.arbitrage.freshness import LegBook
from desk.arbitrage.obligation import (
    Booked,
    exposure_by_currency,
    owed_by_outcomes,
    owed_by_round,
)
from desk.arbitrage.sets import OutcomeSet
from desk.arbitrage.weights import Steps
from desk.book import Book
from desk.flattening import Regime
from desk.units import NS_PER_MS, Lots, Side
from tests.desk.arbitrage.samples import NOW, PAIRS, RULES, both_ways, outcomes, seen

THREE = outcomes()
RULED = replace(RULES, slippage_bps=Decimal(500), fast_slippage_bps=Decimal(2_000))
FORWARD, BACKWARD = both_ways()


@pytest.mark.parametrize(
    ("held", "complete", "excess"),
    [
        ((0, 0, 0), 0, (0, 0, 0)),
        ((5, 5, 5), 5, (0, 0, 0)),
        ((5, 5, 0), 0, (5, 5, 0)),
        ((5, 3, 4), 3, (2, 0, 1)),
        ((-2, 0, 1), 0, (-2, 0, 1)),
        ((12, 12, 12), 12, (0, 0, 0)),
    ],
)
def test_complete_sets_are_no_exposure_and_any_excess_is_owed(
    held: tuple[int, ...], complete: int, excess: tuple[int, ...]
) -> None:
    owed = owed_by_outcomes(THREE, held, (10, 10, 10))
    assert (owed.complete, owed.excess, owed.owes) == (Decimal(complete), excess, any(excess))
    assert owed.back == tuple(-lots for lots in excess)
    if not owed.owes:
        assert owed.forward is None


def test_nothing_is_completed_beyond_the_plan() -> None:
    assert owed_by_outcomes(THREE, (5, 3, 0), (10, 10, 10)).forward == (0, 2, 5)
    over = owed_by_outcomes(THREE, (12, 3, 3), (10, 10, 10))
    assert (over.forward, over.further) == ((-2, 7, 7), Decimal(7))
    assert owed_by_outcomes(THREE, (12, 10, 10), (10, 10, 10)).forward is None
    assert owed_by_outcomes(THREE, (6, 10, 6), (6, 6, 6)).forward is None


def test_lots_that_do_not_meet_are_whole_in_common_steps_only() -> None:
    one = outcomes({"lot_size": Decimal(2)}, {"lot_size": Decimal(3)})
    owed = owed_by_outcomes(one, (4, 2), (30, 20))
    # 8 and 6 base units: 6 are complete, the fourth lot of the first is not.
    assert (owed.complete, owed.excess) == (Decimal(6), (1, 0))
    assert (owed.forward, owed.further) == ((2, 2), Decimal(6))


def ground(held: Sequence[Lots], books: list[LegBook], **more: Any) -> Ground:
    return Ground(held=held, books=books, rules=RULED, now_ns=NOW, **more)


def quoted(*prices: tuple[int, int], lots: int = 100) -> list[LegBook]:
    return [seen([(bid, lots)], [(ask, lots)]) for bid, ask in prices]


def mended(
    held: Sequence[Lots], books: list[LegBook], one: OutcomeSet = THREE, **more: Any
) -> Discharge:
    add = more.pop("may_add", True)
    owed = owed_by_outcomes(one, held, more.pop("planned", (10, 10, 10)))
    return discharge_outcomes(one, owed, ground(held, books, **more), may_add=add)


def told(found: Discharge) -> list[tuple[str, Side, int, int | None, bool]]:
    return [(one.market.symbol, one.side, one.lots, one.limit, one.reduces) for one in found.orders]


def test_the_cheaper_way_is_taken() -> None:
    books = quoted((29, 31), (30, 32), (33, 35))
    found = mended((10, 10, 0), books)
    # Completing costs 3.50 and pays 10; trading back brings 5.90.
    assert (found.way, found.cost) == (Way.FORWARD, Decimal("-6.5"))
    assert told(found) == [("E-2", Side.BUY, 10, 36, False)]
    dear = quoted((29, 31), (30, 32), (40, 45))
    found = mended((10, 10, 0), dear)
    assert (found.way, found.cost) == (Way.BACK, Decimal("-5.9"))
    assert told(found) == [("E-0", Side.SELL, 10, 28, True), ("E-1", Side.SELL, 10, 29, True)]


def test_fees_are_in_the_comparison() -> None:
    books = quoted((29, 31), (30, 32), (39, 40))
    assert mended((10, 10, 0), books).way is Way.FORWARD
    fee = {"taker_fee_bps": Decimal(500)}
    assert mended((10, 10, 0), books, outcomes({}, {}, fee)).way is Way.BACK


def test_nothing_is_completed_where_nothing_may_be_added() -> None:
    books = quoted((29, 31), (30, 32), (33, 35))
    assert mended((10, 10, 0), books, may_add=False).way is Way.BACK


@pytest.mark.parametrize("what", ["priced", "stale", "thin", "empty", "not ready"])
def test_a_way_the_books_do_not_price_is_not_the_cheaper_one(what: str) -> None:
    books = quoted((28, 31), (29, 32), (40, 41))
    if what != "priced":
        books[2] = {
            "stale": seen([(40, 100)], [(41, 100)], NOW - 6_000 * NS_PER_MS),
            "thin": seen([(40, 5), (20, 100)], [(41, 5), (48, 100)]),
            "empty": seen([], []),
            "not ready": LegBook(book=Book(), heard_ns=NOW),
        }[what]
    # Completing the third leg would cost 4.10 for 10, the others bring 5.70.
    assert mended((10, 10, 0), books).way is (Way.FORWARD if what == "priced" else Way.BACK)
    # The third leg alone brings 4.00, or the others cost 6.30 for 10.
    assert mended((0, 0, 10), books).way is (Way.BACK if what == "priced" else Way.FORWARD)


def test_where_neither_is_priced_the_excess_is_traded_back() -> None:
    books = [LegBook(book=Book(), heard_ns=NOW)] * 3
    found = mended((10, 4, 0), books)
    assert (found.way, found.cost) == (Way.BACK, None)
    assert told(found) == [("E-0", Side.SELL, 10, None, True), ("E-1", Side.SELL, 4, None, True)]


def test_the_regime_widens_the_limit() -> None:
    books = quoted((20, 31), (20, 32), (33, 60))
    assert [one.limit for one in mended((9, 9, 0), books).orders] == [19, 19]
    fast = mended((9, 9, 0), books, regime=Regime.FAST)
    assert [one.limit for one in fast.orders] == [16, 16]


def test_dust_is_told_with_its_worth() -> None:
    one = outcomes({"min_lots": 5}, {}, {"min_notional": Decimal(2)})
    books = quoted((30, 31), (30, 32), (33, 50))
    found = mended((3, 0, 4), books, one, planned=(3, 3, 4))
    assert found.orders == ()
    assert [(x.market.symbol, x.lots, x.worth) for x in found.dust] == [
        ("E-0", 3, Decimal("0.9")),
        ("E-2", 4, Decimal("1.32")),
    ]
    assert found.residual == Decimal("2.22")
    unpriced = mended((3, 0, 0), [LegBook(book=Book(), heard_ns=NOW)] * 3, one, may_add=False)
    assert unpriced.residual == 3


def test_dust_may_be_completed_where_that_costs_less_than_leaving_it() -> None:
    one = outcomes({"min_lots": 5}, {}, {})
    cheap = mended((3, 0, 0), quoted((30, 31), (30, 32), (33, 35)), one)
    # Two legs for 2.01 and a payout of 3, against 0.90 that would stay at risk.
    assert (cheap.way, cheap.cost, cheap.dust) == (Way.FORWARD, Decimal("-0.99"), ())
    dear = mended((3, 0, 0), quoted((30, 31), (50, 70), (60, 65)), one)
    assert (dear.way, dear.orders, dear.residual) == (Way.BACK, (), Decimal("0.9"))


LOTS = [Decimal(1), Decimal(2), Decimal("0.5")]


@st.composite
def debts(draw: st.DrawFn) -> tuple[OutcomeSet, list[Lots], list[Lots], list[LegBook]]:
    count = draw(st.integers(2, 4))
    mixed = draw(st.booleans())
    same = draw(st.sampled_from(LOTS))
    one = outcomes(
        *(
            {
                "lot_size": draw(st.sampled_from(LOTS)) if mixed else same,
                "min_lots": draw(st.integers(1, 6)),
                "taker_fee_bps": draw(st.decimals(0, 100, places=0)),
            }
            for _ in range(count)
        )
    )
    planned = [lots * draw(st.integers(1, 12)) for lots in Steps.of(one).lots]
    held = [draw(st.integers(0, lots + 2)) for lots in planned]
    books = []
    for _ in range(count):
        bid = draw(st.integers(1, 60))
        ask = bid + draw(st.integers(1, 5))
        deep = st.integers(0, 60)
        books.append(
            seen([(bid, draw(deep)), (bid - 1, 9)], [(ask, draw(deep)), (ask + 1, draw(deep))])
        )
    return one, held, planned, books


def apart(one: OutcomeSet, held: Sequence[Lots]) -> int:
    """Steps from the leg that has least to the one that has most."""
    shares = [Fraction(x, y) for x, y in zip(held, Steps.of(one).lots, strict=True)]
    return -int(-max(shares) // 1) - int(min(shares) // 1)


def after(
    one: OutcomeSet, held: Sequence[Lots], found: Discharge, parts: Sequence[Lots]
) -> list[Lots]:
    left = {leg.market: lots for leg, lots in zip(one.legs, held, strict=True)}
    for order, part in zip(found.orders, parts, strict=False):
        left[order.market] += order.side.sign * min(part, order.lots)
    return list(left.values())


def asked_again(
    one: OutcomeSet, held: Sequence[Lots], planned: Sequence[Lots], books: list[LegBook]
) -> Discharge:
    owed = owed_by_outcomes(one, held, planned)
    return discharge_outcomes(one, owed, ground(held, books))


@given(debts())
def test_orders_filled_whole_leave_nothing_but_dust(
    debt: tuple[OutcomeSet, list[Lots], list[Lots], list[LegBook]],
) -> None:
    one, held, planned, books = debt
    found = asked_again(one, held, planned, books)
    whole = [order.lots for order in found.orders]
    left = after(one, held, found, whole)
    owed = owed_by_outcomes(one, left, planned)
    dust = {x.market for x in found.dust}
    for leg, lots in zip(one.legs, owed.excess, strict=True):
        assert not lots or leg.market in dust
    # Dust alone may still be completed where that is cheaper; then nothing at all is left.
    again = asked_again(one, left, planned, books)
    if again.orders:
        assert again.way is Way.FORWARD
        last = after(one, left, again, [order.lots for order in again.orders])
        assert not owed_by_outcomes(one, last, planned).owes


@given(debts(), st.data())
def test_no_part_of_the_orders_sets_the_legs_further_apart(
    debt: tuple[OutcomeSet, list[Lots], list[Lots], list[LegBook]], data: st.DataObject
) -> None:
    one, held, planned, books = debt
    found = asked_again(one, held, planned, books)
    parts = [data.draw(st.integers(0, order.lots)) for order in found.orders]
    left = after(one, held, found, parts)
    assert apart(one, left) <= apart(one, held)
    for before, now, most in zip(held, left, planned, strict=True):
        assert now <= max(before, most)
        assert now >= 0


@given(debts(), st.data())
def test_rounds_of_partial_fills_converge(
    debt: tuple[OutcomeSet, list[Lots], list[Lots], list[LegBook]], data: st.DataObject
) -> None:
    one, held, planned, books = debt
    for _ in range(200):
        found = asked_again(one, held, planned, books)
        if not found.orders:
            break
        parts = [data.draw(st.integers(1, order.lots)) for order in found.orders]
        held = after(one, held, found, parts)
    owed = owed_by_outcomes(one, held, planned)
    assert not asked_again(one, held, planned, books).orders
    assert [x.lots for x in found.dust] == [lots for lots in owed.excess if lots]


@given(debts())
def test_a_fill_that_is_booked_is_not_asked_for_again(
    debt: tuple[OutcomeSet, list[Lots], list[Lots], list[LegBook]],
) -> None:
    one, held, planned, books = debt
    first = asked_again(one, held, planned, books)
    if not first.orders:
        return
    order = first.orders[0]
    left = after(one, held, first, [order.lots, *([0] * (len(first.orders) - 1))])
    again = asked_again(one, left, planned, books)
    if again.way is first.way:
        assert order.market not in {x.market for x in again.orders}


# --- triangles -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filled", "complete", "excess"),
    [
        ((0, 0, 0), "0", (0, 0, 0)),
        ((100, 1_000, -1_000), "1", (0, 0, 0)),
        ((100, 500, -500), "0.5", (50, 0, 0)),
        ((50, 1_000, 0), "0", (50, 1_000, 0)),
        ((33, 330, -333), "0.33", (0, 0, -3)),
        ((33, 335, -335), "0.33", (0, 5, -5)),
        ((1, 7, -7), "0.007", (0, 0, 0)),  # less than a lot of the first is no debt
        ((-4, 0, 0), "0", (-4, 0, 0)),
    ],
)
def test_legs_that_went_the_same_share_are_complete(
    filled: tuple[int, ...], complete: str, excess: tuple[int, ...]
) -> None:
    owed = owed_by_round(FORWARD, filled, (100, 1_000, 1_000))
    assert (owed.complete, owed.excess) == (Decimal(complete), excess)


def rates() -> list[LegBook]:
    """BTC 100, ETH 0.1 BTC, ETH 10, in the order of the forward legs."""
    return [
        seen([(9_990, 900)], [(10_010, 900)]),
        seen([(999, 9_000)], [(1_001, 9_000)]),
        seen([(999, 9_000)], [(1_001, 9_000)]),
    ]


def round_mended(filled: Sequence[Lots], books: list[LegBook], **more: Any) -> Discharge:
    owed = owed_by_round(FORWARD, filled, (100, 1_000, 1_000))
    return discharge_round(FORWARD, owed, ground(filled, books), **more)


def test_a_round_is_completed_or_traded_back_by_what_it_costs() -> None:
    # One leg to go against two to come back, all at the same half spread.
    found = round_mended((100, 1_000, 0), rates())
    assert found.way is Way.FORWARD
    assert told(found) == [("ETH-USDC-SPOT", Side.SELL, 1_000, 950, False)]
    assert found.cost == Decimal("0.1")
    found = round_mended((100, 0, 0), rates())
    assert found.way is Way.BACK
    assert told(found) == [("BTC-USDC-SPOT", Side.SELL, 100, 9_491, True)]
    assert found.cost == Decimal("0.1")
    assert round_mended((100, 1_000, 0), rates(), may_add=False).way is Way.BACK


def test_a_round_that_nothing_prices_is_traded_back() -> None:
    books = [LegBook(book=Book(), heard_ns=NOW)] * 3
    found = round_mended((100, 1_000, 0), books)
    assert (found.way, found.cost) == (Way.BACK, None)


def test_dust_of_a_round_is_worth_what_its_books_say() -> None:
    members = [(market, replace(x, min_lots=60)) for market, x in PAIRS]
    forward, _ = both_ways(*members)
    owed = owed_by_round(forward, (50, 0, 0), (100, 1_000, 1_000))
    found = discharge_round(forward, owed, ground((50, 0, 0), rates()), may_add=False)
    assert (found.orders, found.residual) == ((), Decimal(50))
    blind = discharge_round(
        forward,
        owed,
        ground((50, 0, 0), [LegBook(book=Book(), heard_ns=NOW)] * 3),
        may_add=False,
    )
    assert blind.residual is None


def test_exposure_is_what_the_fills_left_in_each_currency() -> None:
    booked = [
        Booked(lots=100, cash=Decimal("-100.1")),
        Booked(lots=900, cash=Decimal("-0.9")),
        Booked(lots=-800, cash=Decimal("80.5")),
    ]
    assert exposure_by_currency(FORWARD, booked) == {
        "USDC": Decimal("-19.6"),
        "BTC": Decimal("0.1"),
        "ETH": Decimal(1),
    }


@given(
    st.sampled_from([FORWARD, BACKWARD]),
    st.tuples(*[st.integers(1, 500)] * 3),
    st.tuples(*[st.fractions(0, 1)] * 3),
    st.data(),
)
def test_rounds_of_a_triangle_converge(
    triangle: Any, planned: tuple[int, ...], shares: tuple[Fraction, ...], data: st.DataObject
) -> None:
    signs = [leg.side.sign for leg in triangle.legs]
    filled = [s * int(x * p) for s, x, p in zip(signs, shares, planned, strict=True)]
    books = rates() if triangle is FORWARD else [rates()[i] for i in (2, 1, 0)]
    spread = spread_of(planned, signs, filled)
    for _ in range(100):
        owed = owed_by_round(triangle, filled, planned)
        found = discharge_round(triangle, owed, ground(filled, books))
        assert bool(found.orders) == owed.owes
        if not found.orders:
            break
        for order in found.orders:
            index = [leg.market for leg in triangle.legs].index(order.market)
            part = data.draw(st.integers(1, order.lots))
            filled[index] += order.side.sign * part
            assert 0 <= signs[index] * filled[index] <= planned[index]
        now = spread_of(planned, signs, filled)
        assert now <= spread
        spread = now
    assert not owed_by_round(triangle, filled, planned).owes
    assert spread < max(Fraction(1, p) for p in planned) or spread == 0


def spread_of(planned: Sequence[int], signs: Sequence[int], filled: Sequence[int]) -> Fraction:
    shares = [Fraction(s * f, p) for s, f, p in zip(signs, filled, planned, strict=True)]
    return max(shares) - min(shares)


@given(st.tuples(*[st.integers(1, 500)] * 3), st.tuples(*[st.fractions(0, 1)] * 3))
def test_either_way_of_a_round_leaves_nothing_owed(
    planned: tuple[int, ...], shares: tuple[Fraction, ...]
) -> None:
    signs = [leg.side.sign for leg in FORWARD.legs]
    filled = [s * int(x * p) for s, x, p in zip(signs, shares, planned, strict=True)]
    owed = owed_by_round(FORWARD, filled, planned)
    for trades in (owed.back, owed.forward):
        if trades is not None:
            after = [lots + more for lots, more in zip(filled, trades, strict=True)]
            assert not owed_by_round(FORWARD, after, planned).owes
