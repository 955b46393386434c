"""The touch style: fixed fractions away from the best prices, exact, symmetric, never taking."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.instrument import Instrument
from desk.orders import NewOrder
from desk.planning import PlanReason, PlanRules, plan
from desk.quoting.decide import QuoteTarget, decide
from desk.quoting.parameters import QuoteParameters, QuoteStyle
from desk.quoting.view import View
from desk.units import Side
from desk.working import WorkingOrder, WorkingState
from tests.desk.quoting.markets import Case, cases, side_of

properties = settings(deadline=None, max_examples=200)
touch_cases = cases(QuoteStyle.TOUCH)

BTC = Instrument(
    venue="x10",
    symbol="BTC-USD",
    tick_size=Decimal(1),
    lot_size=Decimal("0.00001"),
    min_lots=10,
)
SEED = QuoteParameters(
    style=QuoteStyle.TOUCH,
    levels=2,
    level_notional=Decimal(250),
    offset_divisor=400,
    skew=Decimal(0),
    requote_tolerance_bps=Decimal(0),
)
"""The values of the sample file the style was asked for with."""
NOW = View(best_bid=84_000, best_ask=84_010, mid_x2=168_010, inventory=0)


def shown(target: QuoteTarget) -> list[tuple[str, int, int]]:
    return [(level.slot.side.value, level.price, level.lots) for level in target.levels]


def without_skew(case: Case, more: int = 0) -> Case:
    divisor = case.parameters.offset_divisor + more
    parameters = replace(case.parameters, skew=Decimal(0), offset_divisor=divisor)
    return replace(case, parameters=parameters)


def test_the_sample_settings_to_the_tick_and_the_lot() -> None:
    target = decide(NOW, SEED, BTC)
    # 84,000 * (1 - 1/400) = 83,790 and * (1 - 2/400) = 83,580;
    # 84,010 * (1 + 1/400) = 84,220.025 and * (1 + 2/400) = 84,430.05: asks round up.
    assert shown(target) == [
        ("buy", 83_790, 298),  # 250 / 83,790 = 0.0029836
        ("buy", 83_580, 299),
        ("sell", 84_221, 296),
        ("sell", 84_431, 296),
    ]
    assert (target.skew_bps, target.reason) == (Decimal(0), "")


def test_no_volatility_is_needed() -> None:
    assert len(decide(replace(NOW, sigma_bps=None), SEED, BTC).levels) == 4


@given(touch_cases)
@properties
def test_prices_are_the_formula_rounded_away_from_the_market(case: Case) -> None:
    parameters, view = case.parameters, case.view
    offset = Fraction(1, parameters.offset_divisor)
    apart = view.best_ask * (1 + offset) - view.best_bid * (1 - offset)
    shift = Fraction(parameters.skew) * case.share * apart
    bids, asks = case.prices()
    for level, (bid, ask) in enumerate(zip(bids, asks, strict=True)):
        away = (1 + level) * offset
        assert bid == min(floor(view.best_bid * (1 - away) - shift), view.best_ask - 1)
        lowest = max(view.best_bid, bids[0]) + 1
        assert ask == max(ceil(view.best_ask * (1 + away) - shift), lowest)


@given(touch_cases)
@properties
def test_the_reported_distance_is_the_innermost_before_rounding(case: Case) -> None:
    view, offset = case.view, Fraction(1, case.parameters.offset_divisor)
    apart = view.best_ask * (1 + offset) - view.best_bid * (1 - offset)
    exact = apart / Fraction(view.mid_x2, 2) * 10_000
    said = case.target.spread_bps
    assert said is not None
    assert 0 <= Fraction(said) - exact < Fraction(1, 1_000_000)


@given(touch_cases, st.integers(1, 10_000))
@properties
def test_a_bigger_divisor_is_never_further_away(case: Case, more: int) -> None:
    wide = without_skew(case)
    tight = without_skew(case, more)
    for (wide_bid, wide_ask), (tight_bid, tight_ask) in zip(
        zip(*wide.prices(), strict=True), zip(*tight.prices(), strict=True), strict=True
    ):
        assert wide_bid <= tight_bid < case.view.best_ask
        assert wide_ask >= tight_ask > case.view.best_bid


def test_four_hundred_is_tighter_than_two_hundred() -> None:
    wide = decide(NOW, replace(SEED, offset_divisor=200), BTC)
    tight = decide(NOW, SEED, BTC)
    assert wide.spread_bps is not None
    assert tight.spread_bps is not None
    assert tight.spread_bps < wide.spread_bps
    assert side_of(tight, Side.BUY)[0].price > side_of(wide, Side.BUY)[0].price


@given(touch_cases)
@properties
def test_without_skew_every_level_is_outside_the_touch(case: Case) -> None:
    bids, asks = without_skew(case).prices()
    # An offset is above zero and rounding goes outward, so no level ever joins the best price.
    assert all(bid < case.view.best_bid for bid in bids)
    assert all(ask > case.view.best_ask for ask in asks)


@given(touch_cases)
@properties
def test_both_sides_keep_the_same_distance_from_the_same_price(case: Case) -> None:
    price = case.view.best_bid
    below = without_skew(case).prices()[0]
    view = replace(case.view, best_bid=price - 1, best_ask=price, mid_x2=2 * price - 1)
    above = without_skew(replace(case, view=view)).prices()[1]
    assert [price - bid for bid in below] == [ask - price for ask in above]


@given(touch_cases, st.integers(1, 4_000))
@properties
def test_long_leans_both_sides_down_and_short_both_up(case: Case, size: int) -> None:
    for flat, long, short in zip(
        *(case.holding(held).prices() for held in (0, size, -size)), strict=True
    ):
        assert all(a <= b <= c for a, b, c in zip(long, flat, short, strict=True))


def test_skew_moves_both_sides_by_its_share_of_the_distance() -> None:
    parameters = replace(SEED, levels=1, skew=Decimal("0.5"), inventory_cap=Decimal(84_005))
    cap = 100_000  # lots: one BTC at the mid
    flat = decide(NOW, parameters, BTC)
    half = decide(replace(NOW, inventory=cap // 2), parameters, BTC)
    # From 83,790 to 84,220.025 it is 430.025; half the skew at half the cap is a quarter, 107.5.
    assert [level.price for level in flat.levels] == [83_790, 84_221]
    assert [level.price for level in half.levels] == [83_682, 84_113]


@given(touch_cases)
@properties
def test_no_skew_means_the_holding_moves_no_price(case: Case) -> None:
    flat = without_skew(case)
    assert flat.holding(0).prices() == flat.prices()


@given(touch_cases)
@properties
def test_no_order_is_worth_more_than_asked_for(case: Case) -> None:
    worths = case.parameters.level_worths
    for level in case.target.levels:
        assert case.instrument.notional(level.price, level.lots) <= worths[level.slot.level]


def test_a_level_under_the_minimum_size_is_skipped_and_said() -> None:
    # 250 buys 299 lots at 83,580 and 298 at 83,790.
    target = decide(NOW, SEED, replace(BTC, min_lots=299))
    assert shown(target) == [("buy", 83_580, 299)]
    assert target.reason == (
        "buy 0: under minimum size; sell 0: under minimum size; sell 1: under minimum size"
    )


def test_levels_less_than_a_tick_apart_become_one() -> None:
    low = View(best_bid=100, best_ask=101, mid_x2=201, inventory=0)
    target = decide(low, SEED, BTC)
    assert [level.price for level in target.levels] == [99, 102]
    assert "buy 1: no further out than the level inside it" in target.reason


@pytest.mark.parametrize(("tolerance", "replaced"), [("0", 4), ("0.5", 0)])
def test_at_tolerance_zero_any_changed_price_is_replaced(tolerance: str, replaced: int) -> None:
    """And an unchanged one never is."""
    before = decide(NOW, SEED, BTC)
    working = [
        WorkingOrder(
            order=NewOrder(
                client_order_id=f"o{place}",
                slot=level.slot,
                side=level.slot.side,
                price=level.price,
                lots=level.lots,
            ),
            state=WorkingState.RESTING,
            remaining=level.lots,
        )
        for place, level in enumerate(before.levels)
    ]
    rules = PlanRules(
        symbol=BTC.symbol,
        tolerance_bps=Decimal(tolerance),
        debounce_ns=0,
        atomic_ladder=False,
        replaces_orders=True,
        max_batch_orders=20,
    )

    def planned(view: View) -> tuple[PlanReason, int]:
        wanted = decide(view, SEED, BTC).levels
        made = plan(
            wanted,
            working,
            rules=rules,
            identity=("0000000", 1, 1),
            now_ns=1,
            last_sent_ns=None,
        )
        return made.reason, len(made.batch.orders) if made.batch else 0

    moved = replace(NOW, best_bid=84_002, best_ask=84_012, mid_x2=168_014)
    assert planned(NOW) == (PlanReason.UNCHANGED, 0)
    assert planned(moved)[1] == replaced
