"""`varint(length) ‖ protobuf ‖ signature`: how actions arrive, receipts leave (zo.md section 4.1).

The length prefix is part of what is signed, so it is kept as it came.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from venues.zo.schema.nord_pb2 import Action, Receipt
from venues.zo.simulator.codes import Refusal

SIGNATURE_BYTES = 64
_MOST_VARINT = 10
_KNOWN_ELSEWHERE = frozenset(
    {5, 6, 9, 10, 11, 12, 13, 14, 16, 17, 18, 32, 33, 34, 36, 37, 38, 39, 40, 41, 42, 45}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One action as it came. `raw` is prefix and payload, what a session key signs."""

    raw: bytes
    action: Action
    kind: str
    signature: bytes = field(repr=False)

    @property
    def hex_text(self) -> bytes:
        """What a wallet signs: `raw` as lower-case hex in ASCII."""
        return self.raw.hex().encode()


def open_envelope(body: bytes) -> Envelope:
    """Take a body apart; Refusal with the code of what is wrong with it."""
    length, start = read_varint(body)
    end = start + length
    if end > len(body):
        raise Refusal("DECODE_FAILURE_LENGTH_PREFIX", "the length prefix is longer than the body")
    action = Action()
    try:
        action.ParseFromString(body[start:end])
    except DecodeError:
        raise Refusal("DECODE_FAILURE_RAW", "the payload is no Action") from None
    if len(body) - end != SIGNATURE_BYTES:
        raise Refusal("SIGNATURE_INVALID_LENGTH", "a signature is 64 bytes")
    return Envelope(raw=body[:end], action=action, kind=_kind(action), signature=bytes(body[end:]))


def seal(receipt: Receipt) -> bytes:
    """A receipt as it leaves."""
    payload = receipt.SerializeToString()
    return write_varint(len(payload)) + payload


def read_varint(body: bytes) -> tuple[int, int]:
    """A number and where it ends; Refusal when there is none."""
    value = 0
    for place, byte in enumerate(body[:_MOST_VARINT]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, place + 1
    raise Refusal("DECODE_FAILURE_LENGTH_PREFIX", "no length prefix")


def write_varint(value: int) -> bytes:
    """Seven bits a byte, low first."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _kind(action: Action) -> str:
    kind = action.WhichOneof("kind")
    if kind is not None:
        return str(kind)
    fields: Iterable[Any] = UnknownFieldSet(action)  # type: ignore[assignment]
    unknown = {each.field_number for each in fields}
    if unknown & _KNOWN_ELSEWHERE:
        raise Refusal("NOT_IMPLEMENTED", "this simulator does not know that action")
    raise Refusal("DECODE_FAILURE_DOMAIN", "the action says nothing to do")
