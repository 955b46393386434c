"""What X10 says is read, also when it says it in new words; errors mean what they may mean."""

import msgspec
import pytest

from desk.orders import RejectReason
from desk.units import Side
from venues.x10.errors import complaint, failed
from venues.x10.instruments import decode_markets
from venues.x10.wire import (
    WireOrder,
    WirePosition,
    decode_account,
    decode_orders,
    decode_positions,
    side_of,
    venue_order,
)

_ORDER = {
    "id": 2_100_000_000_000_000_001,
    "accountId": 5,
    "externalId": "c0",
    "market": "BTC-USD",
    "type": "LIMIT",
    "side": "BUY",
    "status": "NEW",
    "qty": "0.001",
    "filledQty": "0.0004",
    "price": "80000",
    "reduceOnly": False,
    "postOnly": True,
    "createdTime": 1,
    "updatedTime": 2,
    "expireTime": 3,
    "somethingNew": {"a": 1},
}


def _order(**changes: object) -> WireOrder:
    raw = msgspec.json.encode({"status": "OK", "data": [{**_ORDER, **changes}]})
    (order,) = decode_orders(raw).data
    return order


def test_an_order_is_read_with_ids_beyond_a_double() -> None:
    seen = venue_order(_order(), None)
    assert seen.venue_order_id == "2100000000000000001"
    assert (seen.side, seen.client_order_id) == (Side.BUY, "c0")
    assert seen.remaining == 60_000
    assert seen.price == 80_000 * 10**8


@pytest.mark.parametrize(
    ("status", "why", "gone", "rests", "reason"),
    [
        ("NEW", "NONE", False, True, None),
        ("PARTIALLY_FILLED", None, False, True, None),
        ("UNTRIGGERED", None, False, True, None),
        ("TRIGGERED", None, False, True, None),
        ("FILLED", "NONE", True, False, None),
        ("CANCELLED", "NONE", True, False, None),
        ("CANCELLED", None, True, False, None),
        ("CANCELLED", "ORDER_REPLACED", True, False, None),
        ("CANCELLED", "SELF_TRADE_PROTECTION", True, False, RejectReason.OTHER),
        ("CANCELLED", "NEGATIVE_EQUITY", True, False, RejectReason.MARGIN),
        ("CANCELLED", "NO_LIQUIDITY", True, False, RejectReason.NOT_FILLED),
        ("REJECTED", "POST_ONLY_FAILED", True, False, RejectReason.POST_ONLY),
        ("REJECTED", "PREV_ORDER_NOT_FOUND", True, False, RejectReason.UNKNOWN_ORDER),
        ("REJECTED", "SOMETHING_NEW", True, False, RejectReason.OTHER),
        ("REJECTED", None, True, False, RejectReason.OTHER),
        ("EXPIRED", None, True, False, RejectReason.OTHER),
        ("SOMETHING_NEW", None, False, False, None),
    ],
)
def test_states_and_reasons(
    status: str, why: str | None, gone: bool, rests: bool, reason: RejectReason | None
) -> None:
    order = _order(status=status, statusReason=why)
    assert (order.gone, order.rests, order.why) == (gone, rests, reason)


def test_positions_are_signed_and_both_spellings_of_a_time_are_read() -> None:
    def position(**changes: object) -> WirePosition:
        told = {"market": "BTC-USD", "side": "LONG", "size": "0.5", "adl": "2.5", **changes}
        (found,) = decode_positions(msgspec.json.encode({"status": "OK", "data": [told]})).data
        return found

    assert position().held * 2 == 1
    assert position(side="SHORT").held * 2 == -1
    assert position(status="CLOSED").held == 0
    assert position(updatedAt=5).told_ms == position(updatedTime=5).told_ms == 5
    assert position().told_ms == 0


def test_account_messages_of_unknown_kinds_keep_their_number() -> None:
    balance = decode_account(b'{"type":"BALANCE","seq":2,"ts":1,"data":{"balance":[1,2]}}')
    assert (balance.seq, balance.data) == (2, None)
    hostile = decode_account(b'{"type":"NEW_THING","seq":3,"ts":1,"data":17}')
    assert hostile.seq == 3
    orders = decode_account(
        msgspec.json.encode(
            {"type": "ORDER", "seq": 4, "data": {"isSnapshot": True, "orders": [_ORDER]}}
        )
    )
    assert orders.data is not None
    assert orders.data.is_snapshot
    assert orders.data.orders[0].external_id == "c0"


def test_an_unknown_side_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="UP"):
        side_of("UP")


def test_one_unreadable_market_hides_no_other() -> None:
    from tests.venues.x10.scripted import MARKET  # noqa: PLC0415 - for this case alone

    body = msgspec.json.encode({"status": "OK", "data": [{"name": "X"}, MARKET]})
    assert [market.name for market in decode_markets(body)] == ["BTC-USD"]


def _error(code: object, message: str = "") -> bytes:
    told = {"status": "ERROR", "error": {"code": code, "message": message}}
    return msgspec.json.encode(told)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, _error(1142), RejectReason.UNKNOWN_ORDER),
        (200, _error(1142), RejectReason.UNKNOWN_ORDER),
        (500, _error(1142), RejectReason.UNKNOWN_ORDER),
        (422, _error(1140), RejectReason.MARGIN),
        (400, _error("1140"), RejectReason.MARGIN),
        (400, _error(1134), RejectReason.DUPLICATE),
        (400, _error(1141), RejectReason.PRICE_BAND),
        (400, _error(1137), RejectReason.REDUCE_ONLY),
        (400, _error(1121), RejectReason.INVALID),
        (400, _error(1101), RejectReason.AUTH),
        (400, _error(1002), RejectReason.HALTED),
        (400, _error(1001), RejectReason.UNKNOWN_MARKET),
        (400, _error(9_999), RejectReason.INVALID),
        (200, _error(9_999), RejectReason.OTHER),
        (404, _error("NOT_FOUND"), RejectReason.INVALID),
        (401, b"", RejectReason.AUTH),
        (403, b"<html>", RejectReason.FORBIDDEN),
        (429, b"", RejectReason.RATE_LIMITED),
        (429, _error(429), RejectReason.RATE_LIMITED),
    ],
)
def test_a_definite_no_has_a_reason(status: int, body: bytes, reason: RejectReason) -> None:
    assert failed(status, body)
    found = complaint(status, body)
    assert found is not None
    assert found.reason is reason


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b""),
        (502, b"<html>"),
        (500, _error(500)),
        (400, _error(1006)),
        (200, _error(1006)),
        (503, _error(9_999)),
        (408, b""),
        (302, b""),
    ],
)
def test_what_is_not_sure_is_no_refusal(status: int, body: bytes) -> None:
    assert failed(status, body)
    assert complaint(status, body) is None


@pytest.mark.parametrize(
    ("status", "body", "missing"),
    [
        (404, b"", True),
        (404, _error("NOT_FOUND"), True),
        (400, _error(1142, "Edit order not found"), True),
        (400, _error(7_777, "Order not found"), True),
        (200, _error("NOT_FOUND"), True),
        (404, _error(1001, "Market not found"), False),
        (400, _error(1004, "Account not found"), False),
        (400, _error(1140), False),
    ],
)
def test_only_a_missing_order_counts_as_missing(status: int, body: bytes, missing: bool) -> None:
    found = complaint(status, body)
    assert found is not None
    assert found.not_found is missing


def test_a_success_has_not_failed() -> None:
    assert not failed(200, b"")
    assert not failed(204, b"anything")
    assert not failed(200, b'{"status":"OK","data":{}}')
    assert complaint(200, b'{"status":"OK"}') is None
