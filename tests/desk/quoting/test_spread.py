"""The spread style keeps the production card's formula."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.quoting.decide import decide
from desk.quoting.parameters import QuoteStyle
from desk.units import Side
from tests.desk.quoting.markets import CARD, CARD_INSTRUMENT, WIDE, Case, cases, side_of

properties = settings(deadline=None, max_examples=150)
spread_cases = cases(QuoteStyle.SPREAD)


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
    case = Case(instrument=CARD_INSTRUMENT, parameters=CARD, view=WIDE, cap_lots=1000)
    bids, asks = case.holding(inventory).prices()
    assert CARD_INSTRUMENT.price(bids[0]) == Decimal(bid)
    assert CARD_INSTRUMENT.price(asks[0]) == Decimal(ask)


def test_the_default_spread_is_two_maker_fees_plus_one_sigma() -> None:
    instrument = replace(CARD_INSTRUMENT, maker_fee_bps=Decimal(2))
    parameters = replace(CARD, spread_bps=None, min_spread_bps=Decimal(1))
    target = decide(replace(WIDE, sigma_bps=Decimal("7.5")), parameters, instrument)
    assert target.spread_bps == Decimal("11.5")


@given(spread_cases)
@properties
def test_prices_are_the_formula_rounded_away_from_the_market(case: Case) -> None:
    parameters, view = case.parameters, case.view
    spread_bps = case.target.spread_bps
    assert spread_bps is not None
    mid = Fraction(view.mid_x2, 2)
    spread = mid * Fraction(spread_bps) / 10_000
    fair = mid - Fraction(parameters.skew) * case.share * spread
    bids, asks = case.alone().prices()
    for level, (bid, ask) in enumerate(zip(bids, asks, strict=True)):
        distance = spread / 2 + level * mid * Fraction(parameters.level_spacing_bps) / 10_000
        assert bid == floor(fair - distance)
        assert ask == max(ceil(fair + distance), bids[0] + 1)


@given(spread_cases)
@properties
def test_flat_prices_round_as_the_instrument_does(case: Case) -> None:
    spread_bps = case.target.spread_bps
    assert spread_bps is not None
    mid = case.instrument.price(case.view.mid_x2) / 2
    half = mid * spread_bps / 20_000
    bids, asks = case.alone().holding(0).prices()
    assert bids[0] == case.instrument.price_ticks(mid - half, Side.BUY)
    assert asks[0] == max(case.instrument.price_ticks(mid + half, Side.SELL), bids[0] + 1)


@given(spread_cases, st.integers(1, 4_000))
@properties
def test_long_leans_both_sides_down_and_short_both_up(case: Case, size: int) -> None:
    skew_bps = case.holding(size).target.skew_bps
    shift = skew_bps * case.view.mid_x2 / 20_000
    for flat, long, short in zip(
        *(case.alone().holding(held).prices() for held in (0, size, -size)), strict=True
    ):
        assert all(a <= b <= c for a, b, c in zip(long, flat, short, strict=True))
        if shift >= 1:
            assert all(a < b < c for a, b, c in zip(long, flat, short, strict=True))


@given(spread_cases)
@properties
def test_quotes_are_no_closer_than_the_least_spread(case: Case) -> None:
    target = case.target
    assert target.spread_bps is not None
    assert target.spread_bps >= case.parameters.min_spread_bps
    bids, asks = side_of(target, Side.BUY), side_of(target, Side.SELL)
    if bids and asks:
        least = case.parameters.min_spread_bps * case.view.mid_x2 / 20_000
        assert asks[0].price - bids[0].price >= least


def test_unknown_volatility_shows_nothing_unless_the_spread_is_fixed() -> None:
    unknown = decide(WIDE, replace(CARD, spread_bps=None), CARD_INSTRUMENT)
    assert (unknown.levels, unknown.spread_bps) == ((), None)
    assert unknown.reason == "volatility is not known yet"
    assert len(decide(WIDE, CARD, CARD_INSTRUMENT).levels) == 2


def test_levels_pressed_together_by_the_market_become_one() -> None:
    parameters = replace(CARD, levels=3, level_spacing_bps=Decimal(1))
    target = decide(replace(WIDE, best_ask=9_900), parameters, CARD_INSTRUMENT)
    assert [level.price for level in side_of(target, Side.BUY)] == [9_899]
    assert "buy 1: no further out than the level inside it" in target.reason
