"""The quote model keeps the production card's formula and the desk's promises about quotes."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from desk.instrument import Instrument
from desk.quoting.decide import QuoteModel, decide
from desk.quoting.parameters import QuoteParameters
from desk.quoting.view import View
from desk.units import Side
from tests.desk.quoting.markets import Case, cases, side_of

CARD_INSTRUMENT = Instrument(
    venue="paper", symbol="CARD", tick_size=Decimal("0.01"), lot_size=Decimal("0.01")
)
CARD = QuoteParameters(
    levels=1,
    level_notional=Decimal(10),
    spread_bps=Decimal(100),
    skew=Decimal("0.3"),
    inventory_cap=Decimal(1000),
)
"""Mid 100, spread 1, k 0.3; the cap is 1,000 lots at that mid."""
WIDE = View(best_bid=1, best_ask=10**9, mid_x2=20_000, inventory=0)
properties = settings(deadline=None, max_examples=150)


def quoted(case: Case, inventory: int) -> tuple[list[int], list[int]]:
    """Prices of a case alone in its market, before sizes."""
    model = case.model
    view = replace(case.view, best_bid=0, best_ask=10**12, inventory=inventory)
    width = model.spread.width(view.sigma_bps)
    assert width is not None
    return model.prices(view, width, model.inventory.lean(inventory, view.mid_x2))


@pytest.mark.parametrize(
    ("inventory", "bid", "ask"),
    [
        (0, "99.50", "100.50"),
        (500, "99.35", "100.35"),
        (-500, "99.65", "100.65"),
        (1000, "99.20", "100.20"),
        (-1000, "99.80", "100.80"),
        (5000, "99.20", "100.20"),
    ],
)
def test_the_production_card_to_the_tick(inventory: int, bid: str, ask: str) -> None:
    model = QuoteModel.prepare(CARD, CARD_INSTRUMENT)
    lean = model.inventory.lean(inventory, WIDE.mid_x2)
    bids, asks = model.prices(WIDE, 100_000_000, lean)
    assert CARD_INSTRUMENT.price(bids[0]) == Decimal(bid)
    assert CARD_INSTRUMENT.price(asks[0]) == Decimal(ask)


def test_at_the_cap_only_the_reducing_side_is_shown() -> None:
    long = decide(replace(WIDE, inventory=1000), CARD, CARD_INSTRUMENT)
    short = decide(replace(WIDE, inventory=-1000), CARD, CARD_INSTRUMENT)
    assert [(level.slot.side, level.price, level.lots) for level in long.levels] == [
        (Side.SELL, 10_020, 10)
    ]
    assert [(level.slot.side, level.price, level.lots) for level in short.levels] == [
        (Side.BUY, 9_980, 10)
    ]
    assert long.reason == "buy 0: no room under the inventory cap"
    assert long.spread_bps == 100
    assert [long.skew_bps, short.skew_bps] == [Decimal(30), Decimal(-30)]


def test_the_default_spread_is_two_maker_fees_plus_one_sigma() -> None:
    instrument = replace(CARD_INSTRUMENT, maker_fee_bps=Decimal(2))
    parameters = replace(CARD, spread_bps=None, min_spread_bps=Decimal(1))
    target = decide(replace(WIDE, sigma_bps=Decimal("7.5")), parameters, instrument)
    assert target.spread_bps == Decimal("11.5")


@given(cases())
@properties
def test_prices_are_the_formula_rounded_away_from_the_market(case: Case) -> None:
    parameters, view = case.parameters, case.view
    spread_bps = case.target.spread_bps
    assert spread_bps is not None
    mid = Fraction(view.mid_x2, 2)
    spread = mid * Fraction(spread_bps) / 10_000
    holding = view.inventory * Fraction(case.instrument.notional(1, 1)) * mid
    share = max(Fraction(-1), min(Fraction(1), holding / Fraction(parameters.inventory_cap)))
    fair = mid - Fraction(parameters.skew) * share * spread
    bids, asks = quoted(case, view.inventory)
    for level, (bid, ask) in enumerate(zip(bids, asks, strict=True)):
        distance = spread / 2 + level * mid * Fraction(parameters.level_spacing_bps) / 10_000
        assert bid == floor(fair - distance)
        assert ask == max(ceil(fair + distance), bids[0] + 1)


@given(cases())
@properties
def test_flat_prices_round_as_the_instrument_does(case: Case) -> None:
    spread_bps = case.target.spread_bps
    assert spread_bps is not None
    mid = case.instrument.price(case.view.mid_x2) / 2
    half = mid * spread_bps / 20_000
    bids, asks = quoted(case, 0)
    assert bids[0] == case.instrument.price_ticks(mid - half, Side.BUY)
    assert asks[0] == max(case.instrument.price_ticks(mid + half, Side.SELL), bids[0] + 1)


@given(cases(), st.integers(1, 4_000))
@properties
def test_long_leans_both_sides_down_and_short_both_up(case: Case, size: int) -> None:
    skew_bps = case.model.target(replace(case.view, inventory=size)).skew_bps
    shift = skew_bps * case.view.mid_x2 / 20_000
    for flat, long, short in zip(
        quoted(case, 0), quoted(case, size), quoted(case, -size), strict=True
    ):
        assert all(a <= b <= c for a, b, c in zip(long, flat, short, strict=True))
        if shift >= 1:
            assert all(a < b < c for a, b, c in zip(long, flat, short, strict=True))


@given(cases())
@properties
def test_quotes_never_take_and_never_meet_each_other(case: Case) -> None:
    bids, asks = side_of(case.target, Side.BUY), side_of(case.target, Side.SELL)
    assert all(level.price < case.view.best_ask for level in bids)
    assert all(level.price > case.view.best_bid for level in asks)
    assert all(bid.price < ask.price for bid in bids for ask in asks)


@given(cases())
@properties
def test_each_side_moves_strictly_outward(case: Case) -> None:
    bids, asks = side_of(case.target, Side.BUY), side_of(case.target, Side.SELL)
    assert all(inner.price > outer.price for inner, outer in pairwise(bids))
    assert all(inner.price < outer.price for inner, outer in pairwise(asks))
    for side in (bids, asks):
        assert all(inner.slot.level < outer.slot.level for inner, outer in pairwise(side))


@given(cases())
@properties
def test_no_side_passes_the_cap_if_all_of_it_fills(case: Case) -> None:
    for side in Side:
        levels = side_of(case.target, side)
        if levels:
            after = side.sign * case.view.inventory + sum(level.lots for level in levels)
            assert after <= case.cap_lots


@given(cases())
@properties
def test_the_reducing_side_keeps_its_full_size(case: Case) -> None:
    inventory = case.view.inventory
    assume(inventory != 0)
    assume(case.parameters.levels * case.level_lots <= case.cap_lots + abs(inventory))
    reducing = Side.SELL if inventory > 0 else Side.BUY
    levels = side_of(case.target, reducing)
    assert all(level.lots == case.level_lots for level in levels)
    left_out = case.target.reason.split("; ")
    assert not any(phrase.startswith(reducing.value) and "room" in phrase for phrase in left_out)


@given(cases())
@properties
def test_room_is_spent_from_the_inside_outward(case: Case) -> None:
    for side in Side:
        lots = [level.lots for level in side_of(case.target, side)]
        assert all(size == case.level_lots for size in lots[:-1])


@given(cases())
@properties
def test_quotes_are_no_closer_than_the_least_spread(case: Case) -> None:
    target = case.target
    assert target.spread_bps is not None
    assert target.spread_bps >= case.parameters.min_spread_bps
    bids, asks = side_of(target, Side.BUY), side_of(target, Side.SELL)
    if bids and asks:
        least = case.parameters.min_spread_bps * case.view.mid_x2 / 20_000
        assert asks[0].price - bids[0].price >= least


@given(cases(), st.integers(1, 50), st.integers(0, 50), st.data())
@properties
def test_whatever_the_venue_would_refuse_is_left_out_and_said(
    case: Case, min_lots: int, reach: int, data: st.DataObject
) -> None:
    view = case.view
    instrument = replace(
        case.instrument,
        min_lots=min_lots,
        min_notional=case.instrument.notional(view.mid_x2, data.draw(st.integers(0, 40))) / 2,
        band_low=view.best_bid - reach,
        band_high=view.best_ask + reach,
    )
    target = decide(view, case.parameters, instrument)
    for level in target.levels:
        assert level.lots >= min_lots
        assert instrument.notional(level.price, level.lots) >= instrument.min_notional
        assert max(1, view.best_bid - reach) <= level.price <= view.best_ask + reach
    left_out = 2 * case.parameters.levels - len(target.levels)
    assert len(list(filter(None, target.reason.split("; ")))) == left_out


def test_unknown_volatility_shows_nothing_unless_the_spread_is_fixed() -> None:
    unknown = decide(WIDE, replace(CARD, spread_bps=None), CARD_INSTRUMENT)
    assert (unknown.levels, unknown.spread_bps) == ((), None)
    assert unknown.reason == "volatility is not known yet"
    assert len(decide(WIDE, CARD, CARD_INSTRUMENT).levels) == 2


def test_an_inactive_market_is_not_quoted() -> None:
    target = decide(WIDE, CARD, replace(CARD_INSTRUMENT, active=False))
    assert (target.levels, target.reason) == ((), "the market is not active")


def test_levels_pressed_together_by_the_market_become_one() -> None:
    parameters = replace(CARD, levels=3, level_spacing_bps=Decimal(1))
    target = decide(replace(WIDE, best_ask=9_900), parameters, CARD_INSTRUMENT)
    assert [level.price for level in side_of(target, Side.BUY)] == [9_899]
    assert "buy 1: no further out than the level inside it" in target.reason


def test_contradictory_parameters_are_refused_with_their_sentences() -> None:
    with pytest.raises(ValueError, match="skew: 2 moves quotes by more than the spread"):
        QuoteModel.prepare(replace(CARD, skew=Decimal(2)), CARD_INSTRUMENT)
