"""What OCX says, read as the desk's words: numbers exactly, both spellings, nothing guessed."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.identity import Slot
from desk.orders import Batch, NewOrder, OutcomeKind, RejectReason, TimeInForce
from desk.units import Side
from venues.ocx.config import OcxConfig
from venues.ocx.errors import complaint, error_of
from venues.ocx.grid import Grid
from venues.ocx.instruments import Catalog, decode_fees, decode_markets
from venues.ocx.ladder import LadderEncoder, read_answer
from venues.ocx.wire import (
    decode_book_event,
    decode_orders,
    decode_user_event,
    event_kind,
    levels,
    unix_ms,
    venue_order,
)

SIZES = st.sampled_from(["1", "0.1", "0.01", "0.0001", "0.5", "0.25", "10", "0.00000001", "2.5"])
UNITS = st.integers(min_value=0, max_value=10**15)


@given(SIZES, UNITS)
def test_units_survive_the_way_to_text_and_back(size: str, units: int) -> None:
    grid = Grid(Decimal(size))
    text = grid.text(units)
    assert grid[text] == units
    assert Decimal(text) == Decimal(size) * units
    assert "e" not in text.lower()
    assert len(text.partition(".")[2]) == grid.decimals


@given(SIZES, UNITS, st.integers(min_value=0, max_value=6))
def test_numbers_are_read_however_they_are_padded(size: str, units: int, zeros: int) -> None:
    grid = Grid(Decimal(size))
    exact = Decimal(size) * units
    short = format(exact.normalize(), "f")
    padded = short + ("0" * zeros if "." in short else "." + "0" * zeros)
    assert grid.read(short) == units
    assert grid.read(padded) == units
    assert grid.read(str(exact)) == units


@given(st.decimals(min_value=0, max_value=10**9, places=5), SIZES)
def test_numbers_off_the_grid_are_refused_and_floored_only_on_request(
    number: Decimal, size: str
) -> None:
    grid = Grid(Decimal(size))
    text = format(number, "f")
    assert grid.floor(text) == int(number / Decimal(size))
    if number % Decimal(size):
        with pytest.raises(ValueError, match="not a multiple"):
            grid.read(text)


@pytest.mark.parametrize("text", ["", "abc", "NaN", "Infinity", "1,5", "--1", "0x10", "1.2.34"])
def test_text_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"decimal number|invalid literal"):
        Grid(Decimal("0.01")).read(text)


ENVELOPED = b"""{"eventId":"b-7","eventType":"PerpBookUpdate","eventSeq":7,
 "engineTs":"1750000000000","sourceTs":null,"payload":{"marketId":"BTC-USDC-PERP",
 "bids":[{"price":"64250.50","size":"0.1250","total":"0.1250"}],
 "asks":[{"price":"64251","size":"0","total":"0"}]}}"""
BARE = b"""{"bids":[{"price":"64250.5","size":"0.125","total":"0.125"}],
 "asks":[{"price":"64251.00","size":"0","total":"0"}]}"""


@pytest.mark.parametrize("data", [ENVELOPED, BARE])
def test_a_book_event_is_read_in_the_envelope_and_bare(data: bytes) -> None:
    book = decode_book_event(data).book
    prices, sizes = Grid(Decimal("0.01")), Grid(Decimal("0.0001"))
    assert levels(book.bids, prices, sizes) == [(6425050, 1250)]
    assert levels(book.asks, prices, sizes) == [(6425100, 0)]


def test_a_book_price_between_two_ticks_is_refused() -> None:
    book = decode_book_event(BARE).book
    with pytest.raises(ValueError, match="not a multiple"):
        levels(book.bids, Grid(Decimal(1)), Grid(Decimal("0.001")))


@pytest.mark.parametrize(
    ("name", "told", "kind"),
    [
        ("snapshot", "", "snapshot"),
        ("update", "", "change"),
        ("delta", "", "change"),
        ("message", "PerpStreamSnapshot", "snapshot"),
        ("message", "PerpStreamDelta", "change"),
        ("error", "", "error"),
        ("message", "SomethingNew", ""),
    ],
)
def test_unnamed_events_are_known_by_their_type(name: str, told: str, kind: str) -> None:
    assert event_kind(name, told) == kind


def test_a_user_delta_with_the_documented_minimum_is_read() -> None:
    event = decode_user_event(
        b"""{"eventType":"PerpStreamDelta","eventSeq":3,"payload":{"trades":[{
        "marketId":"BTC-USDC-PERP","side":"buy","price":"64250.50","quantity":"0.01",
        "liquidity":"maker","createdAt":"2026-04-24T10:00:00.123Z"}],"positions":[{
        "id":"p1","marketId":"BTC-USDC-PERP","side":"short","quantity":"0.02",
        "entryPrice":"64000","realizedPnl":"-1.5","status":"open"}],"removedIds":["p0"]}}"""
    )
    assert event.payload.trades[0].created_ms == 1777024800123
    assert event.payload.positions[0].held == Decimal("-0.02")
    assert event.payload.removed_ids == ["p0"]


@pytest.mark.parametrize(
    "moment", ["2026-04-24T10:00:00.000Z", "2026-04-24T10:00:00Z", 1777024800000, "1777024800000"]
)
def test_times_are_read_as_iso_text_and_as_milliseconds(moment: str | int) -> None:
    assert unix_ms(moment) == 1777024800000


def test_orders_of_unknown_markets_are_kept() -> None:
    (order,) = decode_orders(
        b"""[{"id":"01H","marketId":"NEW-PERP","side":"sell","price":"1.5","quantity":"3",
        "filledQuantity":"1"}]"""
    )
    read = venue_order(order, None)
    assert (read.symbol, read.price, read.remaining) == ("NEW-PERP", 150_000_000, 200_000_000)
    assert read.client_order_id is None


def test_both_spellings_of_the_market_list_give_the_same_instrument() -> None:
    config = OcxConfig(base_url="https://localhost")
    markets = decode_markets(
        b"""[{"id":"A-PERP","marketType":"perp","priceDecimals":2,"sizeDecimals":4,
        "markPrice":null},
        {"marketId":"B-PERP","type":"perpetual","tickSize":"0.01","stepSize":"0.0001",
        "minQuantity":"0.00025","tradingStatus":"active","priceBandLow":"10.001",
        "priceBandHigh":"20.009","makerFeeBps":"1","takerFeeBps":"4"},
        {"id":"C-PERP","marketType":"perp","priceDecimals":0,"sizeDecimals":0,
        "tradingStatus":"halted"},
        {"id":"D-USDC-SPOT","marketType":"spot","priceDecimals":0,"sizeDecimals":0}]"""
    )
    catalog = Catalog(config)
    learnt = catalog.learn(markets, decode_fees(b'{"makerBps":"-0.5","takerBps":"3"}'))
    assert [one.active for one in learnt] == [True, True, False, False]
    plain, detailed, *_ = learnt
    assert (plain.tick_size, plain.lot_size) == (Decimal("0.01"), Decimal("0.0001"))
    assert (plain.tick_size, plain.lot_size) == (detailed.tick_size, detailed.lot_size)
    assert (plain.maker_fee_bps, plain.taker_fee_bps) == (Decimal("-0.5"), Decimal(3))
    assert (detailed.maker_fee_bps, detailed.min_lots) == (Decimal(1), 3)
    assert (detailed.band_low, detailed.band_high) == (1001, 2000)
    (first, *gone) = catalog.learn(markets[:1], decode_fees(b"{}"))
    assert first.active
    assert not any(one.active for one in gone)
    assert len(gone) == 3, "what is listed no more may still have to be left"


def _batch(**changes: object) -> Batch:
    orders = (
        NewOrder(client_order_id="c1", slot=Slot(Side.BUY, 0), side=Side.BUY, price=5, lots=20),
        NewOrder(
            client_order_id="c2",
            slot=Slot(Side.SELL, 0),
            side=Side.SELL,
            price=6425000,
            lots=1,
            time_in_force=TimeInForce.IOC,
            post_only=False,
            reduce_only=True,
        ),
    )
    return Batch(batch_id="q1", symbol="BTC-USDC-PERP", orders=orders, **changes)  # type: ignore[arg-type]


def test_the_ladder_goes_out_as_plain_decimal_text() -> None:
    encoder = LadderEncoder(levels_key="levels", margin_mode=None)
    body = encoder.body(_batch(replace_all=True), Grid(Decimal("0.01")), Grid(Decimal("0.0001")))
    assert msgspec.json.decode(body) == {
        "marketId": "BTC-USDC-PERP",
        "quoteId": "q1",
        "cancelAll": True,
        "levels": [
            {
                "side": "buy",
                "price": "0.05",
                "quantity": "0.0020",
                "clientOrderId": "c1",
                "timeInForce": "gtc",
                "postOnly": True,
                "reduceOnly": False,
            },
            {
                "side": "sell",
                "price": "64250.00",
                "quantity": "0.0001",
                "clientOrderId": "c2",
                "timeInForce": "ioc",
                "postOnly": False,
                "reduceOnly": True,
            },
        ],
    }


def test_names_the_documentation_does_not_give_are_settings() -> None:
    encoder = LadderEncoder(levels_key="quotes", margin_mode="cross")
    body = msgspec.json.decode(encoder.body(_batch(), Grid(Decimal(1)), Grid(Decimal(1))))
    assert body["cancelAll"] is False
    assert [level["marginMode"] for level in body["quotes"]] == ["cross", "cross"]


A, R, U = OutcomeKind.ACCEPTED, OutcomeKind.REJECTED, OutcomeKind.UNRESOLVED


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        (b"", [A, A]),
        (b"{}", [A, A]),
        (b'{"quoteId":"q1","cancelled":2}', [A, A]),
        (b'{"placed":2}', [A, A]),
        (b'{"placed":1}', [U, U]),
        (b'{"orders":[{"clientOrderId":"c2","status":"filled","filledQuantity":"1"}]}', [U, A]),
        (b'[{"orderId":"x","status":"open"},{"orderId":"y","status":"open"}]', [A, A]),
        (b'[{"clientOrderId":"c1","status":"strange"},{"clientOrderId":"c2"}]', [U, A]),
        (
            (
                b'{"orders":[{"clientOrderId":"c1","status":"rejected","error":"INSUFFICIENT_MARGIN"},'
                b'{"clientOrderId":"c2","status":"cancelled","filledQuantity":"0"}]}'
            ),
            [R, R],
        ),
        (
            (
                b'[{"clientOrderId":"c1","status":"rejected","error":"DUPLICATE_CLIENT_ORDER_ID"},'
                b'{"clientOrderId":"c2","status":"cancelled","filledQuantity":"1"}]'
            ),
            [U, A],
        ),
    ],
)
def test_an_answer_says_only_what_it_says(body: bytes, kinds: list[OutcomeKind]) -> None:
    outcomes = read_answer(_batch().orders, body, Grid(Decimal(1)).read)
    assert [outcome.kind for outcome in outcomes] == kinds


def test_a_rejected_order_says_why_and_a_filled_one_how_much() -> None:
    margin, filled = read_answer(
        _batch().orders,
        b'{"orders":[{"clientOrderId":"c1","status":"rejected","code":"INSUFFICIENT_MARGIN"},'
        b'{"clientOrderId":"c2","orderId":"v2","status":"cancelled","filledQuantity":"0.5"}]}',
        Grid(Decimal("0.1")).read,
    )
    assert margin.reason is RejectReason.MARGIN
    assert (filled.venue_order_id, filled.filled) == ("v2", 5)


@pytest.mark.parametrize("body", [b"<html>", b"3", b'{"orders":[3]}', b"null"])
def test_an_unreadable_answer_is_an_error_and_no_acceptance(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_answer(_batch().orders, body, Grid(Decimal(1)).read)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (422, b'{"error":"INSUFFICIENT_MARGIN","message":"m"}', RejectReason.MARGIN),
        (422, b'{"error":"MarginError","code":"INSUFFICIENT_MARGIN"}', RejectReason.MARGIN),
        (422, b'{"error":"SOMETHING_NEW"}', RejectReason.OTHER),
        (409, b'{"error":"MARKET_HALTED"}', RejectReason.HALTED),
        (409, b"{}", RejectReason.DUPLICATE),
        (404, b"gone", RejectReason.UNKNOWN_MARKET),
        (404, b'{"error":"UNKNOWN_ORDER"}', RejectReason.UNKNOWN_ORDER),
        (401, b'{"error":"INSUFFICIENT_MARGIN"}', RejectReason.AUTH),
        (403, b"", RejectReason.FORBIDDEN),
        (429, b'{"retryAfterMs":1500}', RejectReason.RATE_LIMITED),
        (400, b"[]", RejectReason.INVALID),
        (418, b"", RejectReason.INVALID),
    ],
)
def test_a_refusal_is_read_by_status_first(status: int, body: bytes, reason: RejectReason) -> None:
    found = complaint(status, body)
    assert found is not None
    assert found.reason is reason


@pytest.mark.parametrize("status", [302, 408, 500, 502, 503])
def test_other_statuses_conclude_nothing(status: int) -> None:
    assert complaint(status, b'{"error":"INSUFFICIENT_MARGIN"}') is None
    assert type(error_of("read", status, b"")).__name__ == "Unresolved"


def test_a_rate_limit_says_how_long_to_wait() -> None:
    found = complaint(429, b'{"code":"ORDER_RATE_LIMIT","retryAfterMs":1500}')
    assert found is not None
    assert found.retry_after_s == 1.5
    assert found.untouched
