"""Actions to signed bytes and answers to receipts: `varint length, message, signature`.

Sizes and prices are raw integers here; nothing is rounded (zo.md sections 4.1 and 6).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from google.protobuf.message import DecodeError

from desk.orders import NewOrder, TimeInForce
from desk.units import Side
from venues.zo.schema import nord_pb2 as pb
from venues.zo.signing import SIGNATURE_LENGTH

MAX_RECEIPT_BYTES: Final = 100 * 1024
MAX_RESTING_SIZE: Final = 2**48 - 1
_LONGEST_PREFIX = 5
_BUY: Final = Side.BUY
_FILL_MODES: Final = {
    TimeInForce.GTC: pb.FillMode.LIMIT,
    TimeInForce.IOC: pb.FillMode.IMMEDIATE_OR_CANCEL,
    TimeInForce.FOK: pb.FillMode.FILL_OR_KILL,
}

Sign: TypeAlias = Callable[[bytes], bytes]


class Unreadable(ValueError):
    """Bytes that are no framed message."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes an action unique: engine time in unix seconds, and a nonce below 2^32."""

    timestamp: int
    nonce: int


@dataclass(frozen=True, slots=True)
class Placement:
    """One order as the engine takes it."""

    market_id: int
    order: NewOrder
    client_id: int


def framed(payload: bytes) -> bytes:
    """The payload behind its length; the length counts the payload only."""
    length, prefix = len(payload), bytearray()
    while length > 127:
        prefix.append(length & 127 | 128)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + payload


def unframed(body: bytes) -> tuple[bytes, bytes]:
    """The payload, and what follows it; Unreadable when the length does not fit."""
    length = shift = place = 0
    while True:
        if place >= min(len(body), _LONGEST_PREFIX):
            raise Unreadable("the length prefix is cut short")
        byte = body[place]
        length |= (byte & 127) << shift
        shift, place = shift + 7, place + 1
        if byte < 128:
            break
    if length > len(body) - place:
        raise Unreadable(f"{len(body) - place} bytes where the prefix promises {length}")
    return body[place : place + length], body[place + length :]


def signed(action: pb.Action, sign: Sign) -> bytes:
    """Body of `POST /action`; `sign` gets the framed action."""
    raw = framed(action.SerializeToString(deterministic=True))
    return raw + sign(raw)


def read_action(body: bytes) -> tuple[pb.Action, bytes]:
    """Action and signature of a body; Unreadable when it is not one."""
    payload, signature = unframed(body)
    if len(signature) != SIGNATURE_LENGTH:
        raise Unreadable(f"a signature of {len(signature)} bytes")
    try:
        return pb.Action.FromString(payload), signature
    except DecodeError:
        raise Unreadable("the payload is no Action") from None


def read_receipt(body: bytes) -> pb.Receipt:
    """Receipt of an answer; Unreadable when it is not one, is too long, or says nothing."""
    if len(body) > MAX_RECEIPT_BYTES:
        raise Unreadable(f"a receipt of {len(body)} bytes")
    payload, rest = unframed(body)
    if rest:
        raise Unreadable(f"{len(rest)} bytes behind the receipt")
    try:
        return pb.Receipt.FromString(payload)
    except DecodeError:
        raise Unreadable("the payload is no Receipt") from None


def create_session(stamp: Stamp, *, user: bytes, session: bytes, expires_at_s: int) -> pb.Action:
    """Register a session key until an engine time; the wallet signs it."""
    action = _action(stamp)
    action.create_session.user_pubkey = user
    action.create_session.session_pubkey = session
    action.create_session.expiry_timestamp = expires_at_s
    return action


def revoke_session(stamp: Stamp, session_id: int) -> pb.Action:
    """End a session; the wallet signs it."""
    action = _action(stamp)
    action.revoke_session.session_id = session_id
    return action


def atomic(
    stamp: Stamp,
    *,
    session_id: int,
    account_id: int,
    cancels: Iterable[int],
    places: Sequence[Placement],
) -> pb.Action:
    """Cancels by order id, then placements, all or nothing (zo.md section 4.4)."""
    action = _action(stamp)
    body = action.atomic
    body.session_id = session_id
    body.account_id = account_id
    for order_id in cancels:
        body.actions.add().cancel_order.order_id = order_id
    for placement in places:
        order, one = placement.order, body.actions.add().trade_or_place
        one.market_id = placement.market_id
        one.order_type.SetInParent()
        one.order_type.side = pb.Side.BID if order.side is _BUY else pb.Side.ASK
        one.order_type.fill_mode = fill_mode(order)
        one.order_type.is_reduce_only = order.reduce_only
        one.limit.price = order.price
        one.limit.size = order.lots
        one.client_order_id = placement.client_id
    return action


def cancel_by_id(stamp: Stamp, *, session_id: int, account_id: int, order_id: int) -> pb.Action:
    """Cancel one order by the engine's id."""
    action = _action(stamp)
    body = action.cancel_order_by_id
    body.session_id = session_id
    body.order_id = order_id
    body.sender_account_id = account_id
    return action


def cancel_by_client_id(
    stamp: Stamp, *, session_id: int, account_id: int, client_id: int
) -> pb.Action:
    """Cancel one order by our id; only where the venue's schema has it (from 2026-02)."""
    action = _action(stamp)
    body = action.cancel_order_by_client_id
    body.session_id = session_id
    body.client_order_id = client_id
    body.sender_account_id = account_id
    return action


def fill_mode(order: NewOrder) -> pb.FillMode:
    """How the engine should match an order."""
    if order.post_only and order.time_in_force is TimeInForce.GTC:
        return pb.FillMode.POST_ONLY
    return _FILL_MODES[order.time_in_force]


def _action(stamp: Stamp) -> pb.Action:
    return pb.Action(current_timestamp=stamp.timestamp, nonce=stamp.nonce)
