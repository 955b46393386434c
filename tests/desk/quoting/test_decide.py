"""What the quote model promises in every style: never taking, never past the cap, never silent."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.quoting.decide import QuoteModel, decide
from desk.quoting.parameters import QuoteParameters, QuoteStyle
from desk.units import Side
from tests.desk.quoting.markets import CARD, CARD_INSTRUMENT, WIDE, Case, cases, side_of

properties = settings(deadline=None, max_examples=200)


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
def test_only_the_opposite_cap_cuts_the_reducing_side(case: Case) -> None:
    inventory = case.view.inventory
    reducing = Side.SELL if inventory > 0 else Side.BUY
    levels = side_of(case.target, reducing)
    to_the_cap = case.cap_lots + abs(inventory)
    if sum(level.lots for level in levels) < to_the_cap:
        assert all(level.lots == case.full_lots(level) for level in levels)
        left_out = case.target.reason.split("; ")
        assert not any(said.startswith(reducing.value) and "room" in said for said in left_out)


@given(cases())
@properties
def test_room_is_spent_from_the_inside_outward(case: Case) -> None:
    for side in Side:
        levels = side_of(case.target, side)
        assert all(level.lots == case.full_lots(level) for level in levels[:-1])
        assert all(level.lots <= case.full_lots(level) for level in levels[-1:])


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


@pytest.mark.parametrize("style", QuoteStyle)
def test_an_inactive_market_is_not_quoted(style: QuoteStyle) -> None:
    target = decide(WIDE, replace(CARD, style=style), replace(CARD_INSTRUMENT, active=False))
    assert (target.levels, target.reason) == ((), "the market is not active")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"skew": Decimal(2)}, "skew: 2 moves quotes by more than the spread"),
        ({"offset_divisor": 0}, "offset_divisor: 0 is not above levels 1"),
        ({"levels": 5, "offset_divisor": 5}, "offset_divisor: 5 is not above levels 5"),
    ],
)
def test_contradictory_parameters_are_refused_with_their_sentences(
    changed: dict[str, int | Decimal], sentence: str
) -> None:
    values = {**{name: getattr(CARD, name) for name in CARD.__slots__}, **changed}
    with pytest.raises(ValueError, match=sentence):
        QuoteModel.prepare(QuoteParameters(**values), CARD_INSTRUMENT)
