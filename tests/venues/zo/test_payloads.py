"""The venue's JSON is read exactly, in every spelling it was seen in."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.units import Side
from venues.zo.instruments import WireTier, decode_brackets, tier_of
from venues.zo.payloads import (
    decode_frame,
    decode_stats,
    decode_trades,
    levels,
    rfc3339,
    side_of,
    unix_ms,
)
from venues.zo.scale import Scale

PAIRS = (
    b'{"delta":{"last_update_id":1,"update_id":2,"market_symbol":"B",'
    b'"bids":[[65000.5,1e-05]],"asks":[]}}'
)
OBJECTS = (
    b'{"delta":{"last_update_id":1,"update_id":2,"market_symbol":"B","timestamp":3,"e":"x",'
    b'"bids":[{"price":65000.5,"size":1e-05}],"asks":[]}}'
)


@pytest.mark.parametrize("data", [PAIRS, OBJECTS])
def test_levels_are_read_as_pairs_and_as_objects(data: bytes) -> None:
    delta = decode_frame(data).delta
    assert delta is not None
    assert levels(delta.bids, Scale(1), Scale(5)) == [(650_005, 1)]
    assert (delta.last_update_id, delta.update_id) == (1, 2)


@pytest.mark.parametrize(
    "data",
    [
        b'{"trades":{"last_update_id":1,"update_id":2,"market_symbol":"B","trades":[]}}',
        b'{"trades":{"market_symbol":"B","trades":[{"trade_id":1,"side":"bid","price":1,"size":2}]}}',
        b'{"trades":{"market_symbol":"B","trade_id":1,"price":1,"base_size":2,"taker_side":"ask"}}',
        b'{"res":"1","mid":0,"t":1705312800,"o":1,"h":1,"l":1,"c":1}',
        b'{"liquidation":{}}',
        b"{}",
    ],
)
def test_whatever_else_comes_is_only_a_sign_of_life(data: bytes) -> None:
    frame = decode_frame(data)
    assert (frame.delta, frame.account) == (None, None)


def test_an_account_update_is_read_with_and_without_its_newer_parts() -> None:
    frame = decode_frame(
        b'{"account":{"last_update_id":1,"update_id":2,"account_id":7,"fills":{"9007199254740993":'
        b'{"side":"bid","quantity":0.1,"remaining":0.0,"price":65000.0,"order_id":"5","market_id":0,'
        b'"maker_id":7,"taker_id":9,"sender_tracking_id":null}},"places":{"3":{"side":"bid",'
        b'"current_size":0.1,"price":1.5,"market_id":0,"client_order_id":1001}},'
        b'"cancels":{"4":{"side":"ask","current_size":0.1,"price":1.5,"market_id":0}},'
        b'"balances":{"0":123.4}}}'
    ).account
    assert frame is not None
    assert frame.fills["9007199254740993"].remaining == 0
    assert frame.places["3"].client_order_id == 1_001
    assert frame.cancels["4"].current_size == Decimal("0.1")


@pytest.mark.parametrize(
    ("body", "mark"),
    [
        (b'{"indexPrice":null,"perpStats":null}', None),
        (b'{"indexPrice":1.5,"frozen":null,"perpStats":{"mark_price":null}}', Decimal("1.5")),
        (
            b'{"indexPrice":1.5,"perpStats":{"mark_price":1.25,"funding_rate":null}}',
            Decimal("1.25"),
        ),
        (b"{}", None),
    ],
)
def test_statistics_may_be_null_everywhere(body: bytes, mark: Decimal | None) -> None:
    assert decode_stats(body).mark == mark


def test_fees_are_read_in_both_spellings() -> None:
    body = (
        b'[[0,{"maker_fee_bps":1,"taker_fee_bps":5.5}],'
        b'[1,{"maker_fee_ppm":-25,"taker_fee_ppm":350}],[2,{}]]'
    )
    brackets = decode_brackets(body)
    told = [
        (tier_of(brackets, tier).maker_bps, tier_of(brackets, tier).taker_bps) for tier in (0, 1, 2)
    ]
    assert told == [
        (Decimal(1), Decimal("5.5")),
        (Decimal("-0.25"), Decimal("3.5")),
        (None, None),
    ]
    assert tier_of(brackets, 9) == WireTier()


def test_trades_are_read_with_numbers_or_texts_as_ids() -> None:
    page = decode_trades(
        b'{"items":[{"time":"2026-11-20T10:00:00.123456Z","actionId":"12","tradeId":5,"takerId":9,'
        b'"takerSide":"ask","makerId":7,"marketId":0,"orderId":"9007199254740993","price":1.5,'
        b'"baseSize":0.1}],"nextStartInclusive":"abc"}'
    )
    assert page.items[0].traded_ms == 1_795_168_800_123
    assert page.next_start_inclusive == "abc"


@given(st.integers(0, 4_000_000_000_000))
def test_moments_survive_being_written(moment_ms: int) -> None:
    assert unix_ms(rfc3339(moment_ms)) == moment_ms


def test_nanoseconds_and_other_zones_are_read() -> None:
    assert unix_ms("1970-01-01T00:00:01.123456789Z") == 1_123
    assert unix_ms("1970-01-01T01:00:01+01:00") == 1_000


@given(st.integers(0, 2**64 - 1), st.integers(0, 12))
def test_figures_on_the_grid_are_exact(units: int, decimals: int) -> None:
    scale = Scale(decimals)
    figure = Decimal(units).scaleb(-decimals)
    assert scale[figure] == scale.floor(figure) == units


@pytest.mark.parametrize("text", ["1.25", "0.01", "NaN", "Infinity"])
def test_figures_off_the_grid_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        Scale(1)[Decimal(text)]


def test_sides_are_words() -> None:
    assert (side_of("bid"), side_of("ASK")) == (Side.BUY, Side.SELL)
    with pytest.raises(ValueError, match="unknown"):
        side_of("long")
    with pytest.raises(msgspec.DecodeError):
        decode_frame(b"<html>")
