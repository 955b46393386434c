"""A round of three pairs: both directions, lots that do not meet, and what is left on the way."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.arbitrage.circles import TriangleModel
from desk.arbitrage.freshness import LegBook
from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage.sets import Leg, Triangle
from desk.arbitrage.verdicts import Opportunity, Passed, PassReason, PlannedLeg, Verdict
from desk.units import BPS, NS_PER_MS, Level, Side
from tests.desk.arbitrage.samples import NOW, PAIRS, RULES, both_ways, pair, seen

FORWARD, BACKWARD = both_ways()
RULED = replace(
    RULES, max_units=Decimal(10**6), max_capital=Decimal(10**6), max_exposure=Decimal(10**6)
)
# BTC 100, ETH 10, and ETH at 0.0950 BTC instead of 0.1: buying ETH with BTC brings five per cent.
CHEAP = {
    "BTC-USDC-SPOT": ([(9_999, 500)], [(10_000, 500)]),
    "ETH-USDC-SPOT": ([(1_000, 9_000)], [(1_001, 9_000)]),
    "ETH-BTC-SPOT": ([(949, 9_000)], [(950, 9_000)]),
}
DEAR = CHEAP | {"ETH-BTC-SPOT": ([(1_050, 5_000)], [(1_051, 5_000)])}
Prices = dict[str, tuple[list[Level], list[Level]]]


def books(prices: Prices, triangle: Triangle = FORWARD) -> list[LegBook]:
    return [seen(*prices[leg.market.symbol]) for leg in triangle.legs]


def look(
    prices: Prices, triangle: Triangle = FORWARD, rules: ArbitrageRules = RULED, **more: Any
) -> Verdict:
    model = TriangleModel(triangle=triangle, rules=rules)
    return model.evaluate(books(prices, triangle), now_ns=NOW, **more)


def taken(*arguments: Any, **more: Any) -> Opportunity:
    found = look(*arguments, **more)
    assert isinstance(found, Opportunity), found
    return found


def passed(*arguments: Any, **more: Any) -> Passed:
    found = look(*arguments, **more)
    assert isinstance(found, Passed), found
    return found


def test_the_direction_that_pays_is_taken_and_the_other_is_not() -> None:
    found = taken(CHEAP)
    assert (found.way, found.currency) == ("USDC>BTC>ETH", "USDC")
    # 1 / 100 / 0.095 * 10
    assert abs(found.edge - Decimal("0.0526315")) < Decimal("0.0000001")
    assert passed(CHEAP, BACKWARD).reason is PassReason.NO_EDGE
    other = taken(DEAR, BACKWARD)
    assert other.way == "USDC>ETH>BTC"
    assert [leg.side for leg in other.legs] == [Side.BUY, Side.SELL, Side.SELL]
    assert passed(DEAR).reason is PassReason.NO_EDGE


def test_what_one_leg_gives_pays_for_the_next() -> None:
    found = taken(CHEAP)
    # The 5 BTC shown buy 52.63 ETH; those use 4.99985 BTC, which needs all 5 of them in lots.
    assert [leg.lots for leg in found.legs] == [500, 5_263, 5_263]
    assert found.units == 500
    assert found.gain == Decimal("26.30")
    assert found.capital == 500
    assert [(leg.currency, leg.locks) for leg in found.legs] == [
        ("USDC", Decimal(500)),
        ("BTC", Decimal("4.99985")),
        ("ETH", Decimal("52.63")),
    ]


def test_fees_of_all_three_are_in_the_edge() -> None:
    members = [(market, replace(x, taker_fee_bps=Decimal(100))) for market, x in PAIRS]
    forward, _ = both_ways(*members)
    found = taken(CHEAP, forward)
    expected = (
        Fraction(10) / (100 * Fraction(95, 1000)) * Fraction(99, 100) / Fraction(101, 100) ** 2
    )
    assert abs(Fraction(found.edge) - (expected - 1)) < Fraction(1, 10**12)
    costly = [(market, replace(x, taker_fee_bps=Decimal(180))) for market, x in PAIRS]
    assert passed(CHEAP, both_ways(*costly)[0]).reason is PassReason.NO_EDGE


def test_the_slippage_budget_is_in_the_edge_and_in_the_limits() -> None:
    rules = replace(RULED, slippage_bps=Decimal(100))
    found = taken(CHEAP, rules=rules)
    assert [leg.limit for leg in found.legs] == [10_100, 959, 990]
    assert found.edge >= rules.min_edge
    assert (
        passed(CHEAP, rules=replace(RULED, slippage_bps=Decimal(150))).reason is PassReason.NO_EDGE
    )


def test_a_coarse_lot_cuts_the_legs_before_it() -> None:
    coarse, _ = both_ways(PAIRS[0], pair("ETH", "USDC", lot_size=Decimal(10)), PAIRS[2])
    prices = CHEAP | {"ETH-USDC-SPOT": ([(1_000, 4)], [(1_001, 5)])}
    found = taken(prices, coarse)
    # 40 ETH at a time cost 3.8 BTC and 380 USDC; nothing is bought beyond that.
    assert [leg.lots for leg in found.legs] == [380, 4_000, 4]
    assert (found.units, found.gain) == (Decimal(380), Decimal(20))
    few = CHEAP | {"BTC-USDC-SPOT": ([(9_999, 90)], [(10_000, 90)])}
    none = passed(few, coarse)
    assert none.reason is PassReason.TOO_SMALL


def test_a_rounding_that_eats_the_edge_is_too_small() -> None:
    members = (PAIRS[0], pair("ETH", "USDC", lot_size=Decimal(1)), PAIRS[2])
    prices = CHEAP | {"BTC-USDC-SPOT": ([(9_999, 11)], [(10_000, 11)])}
    # 0.11 BTC buy 1.15 ETH, of which 1 can be sold; its 0.095 BTC take 0.10 in whole lots.
    none = passed(prices, both_ways(*members)[0])
    assert none.reason is PassReason.TOO_SMALL
    assert "rounded to whole lots a round brings 0 of 10" in none.sentence


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"max_units": Decimal("0.5")}, PassReason.CAPPED),
        ({"max_capital": Decimal("0.5")}, PassReason.CAPPED),
        ({"max_exposure": Decimal("0.0001")}, PassReason.EXPOSURE),
    ],
)
def test_caps_that_leave_nothing_say_so(rules: dict[str, Any], reason: PassReason) -> None:
    assert passed(CHEAP, rules=replace(RULED, **rules)).reason is reason


def test_caps_make_it_smaller() -> None:
    rules = replace(RULED, max_units=Decimal("100.5"), slippage_bps=Decimal(100))
    found = taken(CHEAP, rules=rules)
    assert Decimal(99) < found.units <= Decimal("100.5")
    capital = taken(CHEAP, rules=replace(rules, max_capital=Decimal(90)))
    assert Decimal(88) < capital.capital <= 90
    exposed = taken(CHEAP, rules=replace(rules, max_exposure=found.exposure / 2))
    assert 0 < exposed.exposure <= found.exposure / 2


def test_sold_and_not_to_be_bought_back_is_no_bounded_exposure() -> None:
    bare = CHEAP | {"ETH-USDC-SPOT": ([(1_000, 5_000)], [(1_001, 100)])}
    found = taken(bare)
    assert found.legs[2].lots <= 100
    none = passed(CHEAP | {"ETH-USDC-SPOT": ([(1_000, 5_000)], [])})
    assert none.reason is PassReason.EXPOSURE


def test_stale_skewed_and_empty_legs_are_passed() -> None:
    model = TriangleModel(triangle=FORWARD, rules=RULED)
    for age_ms, reason in ((6_000, PassReason.STALE_LEG), (600, PassReason.SKEWED)):
        some = books(CHEAP)
        some[1] = seen(*CHEAP["ETH-BTC-SPOT"], NOW - age_ms * NS_PER_MS)
        found = model.evaluate(some, now_ns=NOW)
        assert isinstance(found, Passed)
        assert found.reason is reason
    bare = passed(CHEAP | {"ETH-BTC-SPOT": ([(949, 1)], [])})
    assert bare.reason is PassReason.NO_SIDE


sizes = st.integers(1, 2_000)


@st.composite
def some_prices(draw: st.DrawFn) -> Prices:
    """Around the same rates, so that edges of a few per cent come up in either direction."""

    def around(middle: int, step: int) -> tuple[list[Level], list[Level]]:
        best = middle + draw(st.integers(-5 * step, 5 * step))
        bids = [(best - 1 - i * step, draw(sizes)) for i in range(draw(st.integers(1, 4)))]
        asks = [(best + i * step, draw(sizes)) for i in range(draw(st.integers(1, 4)))]
        return bids, asks

    return {
        "BTC-USDC-SPOT": around(10_000, 40),
        "ETH-USDC-SPOT": around(1_000, 7),
        "ETH-BTC-SPOT": around(1_000, 9),
    }


@st.composite
def members(draw: st.DrawFn) -> Triangle:
    lots = st.sampled_from([Decimal("0.01"), Decimal("0.1"), Decimal("0.03")])
    fees = st.decimals(-5, 30, places=1)
    changed = [
        (market, replace(x, lot_size=draw(lots), taker_fee_bps=draw(fees))) for market, x in PAIRS
    ]
    return draw(st.sampled_from(both_ways(*changed)))


def filled(
    triangle: Triangle, legs: Sequence[PlannedLeg], books: list[LegBook]
) -> dict[str, Decimal]:
    """Currencies moved when every order takes what is displayed, lot by lot."""
    moved = dict.fromkeys(triangle.currencies, Decimal(0))
    for leg, order, each in zip(triangle.legs, legs, books, strict=True):
        left, instrument = order.lots, leg.instrument
        for price, lots in each.book.levels(order.side.opposite):
            part = min(left, lots)
            assert not part or (price - order.limit) * order.side.sign <= 0
            worth = instrument.notional(price, part)
            fee = worth * instrument.taker_fee_bps / BPS
            moved[instrument.base] += order.side.sign * instrument.quantity(part)
            moved[instrument.quote] -= order.side.sign * worth + fee
            left -= part
        assert left == 0
    return moved


def lot_in_currency_after(leg: Leg) -> Decimal:
    """About what one lot gives, at the dearest price of these tests."""
    lot = leg.instrument.lot_size
    return lot if leg.side is Side.BUY else lot * {"BTC": 1, "USDC": 110}[leg.instrument.quote]


@given(members(), some_prices(), st.decimals(0, "0.02", places=3), st.integers(0, 40))
def test_a_round_brings_what_it_says_and_leaves_no_debt(
    triangle: Triangle, prices: Prices, least: Decimal, slippage: int
) -> None:
    rules = replace(RULED, min_edge=least, slippage_bps=Decimal(slippage))
    found = look(prices, triangle, rules)
    if not isinstance(found, Opportunity):
        return
    some = books(prices, triangle)
    moved = filled(triangle, found.legs, some)
    assert abs(moved[triangle.start] - found.gain) < Decimal("1e-15")
    assert found.gain >= least * found.units
    assert found.edge >= least
    for leg, currency in zip(triangle.legs, triangle.currencies[1:], strict=False):
        assert -Decimal("1e-20") <= moved[currency] <= lot_in_currency_after(leg)
    for leg, order in zip(triangle.legs, found.legs, strict=True):
        assert order.currency in {leg.instrument.base, leg.instrument.quote}


@given(members(), some_prices(), st.decimals(0, "0.02", places=3))
def test_no_edge_is_missed_and_none_is_made_up(
    triangle: Triangle, prices: Prices, least: Decimal
) -> None:
    found = look(prices, triangle, replace(RULED, min_edge=least))
    product = Fraction(1)
    for leg, each in zip(triangle.legs, books(prices, triangle), strict=True):
        (price, _), *_ = each.book.levels(leg.side.opposite)
        fee = Fraction(leg.instrument.taker_fee_bps) / 10_000
        cost = Fraction(leg.instrument.price(price)) * (1 + leg.side.sign * fee)
        product *= 1 / cost if leg.side is Side.BUY else cost
    none = isinstance(found, Passed) and found.reason is PassReason.NO_EDGE
    assert none == (product - 1 < Fraction(least))
