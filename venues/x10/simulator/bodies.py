"""Reads the body of an order call: what is malformed is refused, and rules come later.

Numbers are decimal text; fields the venue does not know are ignored (x10.md section 6.1).
"""

import re
from decimal import Decimal
from typing import Any

import msgspec

from venues.x10.simulator.codes import ApiRefused, Code

_NUMBER = re.compile(r"\A-?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,2})?\Z")
_EXTERNAL_ID = re.compile(r"\A[A-Za-z0-9_-]{1,128}\Z")
_HEX = re.compile(r"\A0[xX][0-9a-fA-F]{1,64}\Z")


class Signature(msgspec.Struct, frozen=True):
    """Hex text."""

    r: str
    s: str


class Settlement(msgspec.Struct, frozen=True, rename="camel"):
    """Who signed, and for which vault."""

    signature: Signature
    stark_key: str
    collateral_position: str


class StatedAmounts(msgspec.Struct, frozen=True, rename="camel"):
    """What the client says it signed."""

    collateral_amount: str
    fee_amount: str
    synthetic_amount: str


class OrderBody(msgspec.Struct, frozen=True, rename="camel"):
    """The body of `POST /user/order`."""

    id: str
    market: str
    type: str
    side: str
    qty: str
    time_in_force: str
    expiry_epoch_millis: int
    fee: str
    nonce: str
    price: str | None = None
    reduce_only: bool = False
    post_only: bool = False
    self_trade_protection_level: str = "ACCOUNT"
    cancel_id: str | None = None
    settlement: Settlement | None = None
    debugging_amounts: StatedAmounts | None = None
    builder_fee: str | None = None
    builder_id: int | None = None
    trigger: dict[str, Any] | None = None
    tp_sl_type: str | None = None
    take_profit: dict[str, Any] | None = None
    stop_loss: dict[str, Any] | None = None


class MassCancelBody(msgspec.Struct, frozen=True, rename="camel"):
    """The body of `POST /user/order/massCancel`; absent and null are the same."""

    order_ids: list[int] | None = None
    external_order_ids: list[str] | None = None
    markets: list[str] | None = None
    cancel_all: bool | None = None


class LeverageBody(msgspec.Struct, frozen=True):
    """The body of `PATCH /user/leverage`."""

    market: str
    leverage: str


def order_body(raw: bytes) -> OrderBody:
    """An order; ApiRefused 400 when it is no order at all, 1133 when its id cannot be one."""
    try:
        body = msgspec.json.decode(raw, type=OrderBody)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise ApiRefused(Code.BAD_REQUEST, str(fault)) from None
    if not _EXTERNAL_ID.match(body.id):
        raise ApiRefused(Code.INVALID_PARAMETERS, "id")
    return body


def mass_cancel_body(raw: bytes) -> MassCancelBody:
    """Selectors; ApiRefused 400 when there is none."""
    try:
        body = msgspec.json.decode(raw, type=MassCancelBody)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise ApiRefused(Code.BAD_REQUEST, str(fault)) from None
    if not (body.order_ids or body.external_order_ids or body.markets or body.cancel_all):
        raise ApiRefused(Code.BAD_REQUEST, "at least one selector is needed")
    return body


def leverage_body(raw: bytes) -> LeverageBody:
    """A market and its leverage; ApiRefused 400 otherwise."""
    try:
        return msgspec.json.decode(raw, type=LeverageBody)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise ApiRefused(Code.BAD_REQUEST, str(fault)) from None


def number(text: str, name: str) -> Decimal:
    """A decimal; ApiRefused 1133 when it is none."""
    if not _NUMBER.match(text):
        raise ApiRefused(Code.INVALID_PARAMETERS, name)
    return Decimal(text)


def whole(text: str, name: str) -> int:
    """A whole number written as a decimal; ApiRefused 1133 when it is none."""
    value = number(text, name)
    if value != value.to_integral_value():
        raise ApiRefused(Code.INVALID_PARAMETERS, name)
    return int(value)


def hexadecimal(text: str, code: Code) -> int:
    """A hex number; ApiRefused with the code when it is none."""
    if not _HEX.match(text):
        raise ApiRefused(code)
    return int(text, 16)
