"""Client order ids of this venue: whole numbers below 2^63 (zo.md section 1), ours as text.

A number holds epoch, cycle, level, side and whether it is an exit; the market, which the venue
names beside every order, supplies the tag. What does not fit is refused, never cut.

Bits, highest first: 3 check of the tag (1 to 7) | 21 epoch | 32 cycle | 5 level | 1 exit | 1 sell.
A plain counter or clock of somebody else stays below 2^60, has check 0 and is never taken for ours.
"""

from hashlib import sha256
from typing import Final

from desk.identity import OrderIdentity, Slot
from desk.units import Side

LIMIT: Final = 2**63
LONGEST_TEXT: Final = 32
MAX_EPOCH: Final = 2**21 - 1
MAX_CYCLE: Final = 2**32 - 1
MAX_LEVEL: Final = 2**5 - 1
_CHECKS: Final = 7
_KEPT: Final = 65_536


def pack(identity: OrderIdentity) -> int:
    """Number of an identity; ValueError names the part that is out of range."""
    for name, value, highest in (
        ("epoch", identity.epoch, MAX_EPOCH),
        ("cycle", identity.cycle, MAX_CYCLE),
        ("level", identity.slot.level, MAX_LEVEL),
    ):
        if not 0 <= value <= highest:
            raise ValueError(f"client order id: {name} {value} is not from 0 to {highest}")
    number = _check(identity.tag)
    number = number << 21 | identity.epoch
    number = number << 32 | identity.cycle
    number = number << 5 | identity.slot.level
    return number << 2 | identity.exit << 1 | (identity.slot.side is Side.SELL)


def unpack(number: int, tag: str) -> OrderIdentity | None:
    """Identity of a number found on the market with this tag; None when it is not one of ours."""
    if not 0 <= number < LIMIT or number >> 60 != _check(tag):
        return None
    return OrderIdentity(
        tag=tag,
        epoch=number >> 39 & MAX_EPOCH,
        cycle=number >> 7 & MAX_CYCLE,
        slot=Slot(Side.SELL if number & 1 else Side.BUY, number >> 2 & MAX_LEVEL),
        exit=bool(number & 2),
    )


class ClientIds:
    """Text to number and back. Texts seen lately are remembered, whatever tag they carry."""

    def __init__(self, *, kept: int = _KEPT) -> None:
        self._kept = kept
        self._texts: dict[int, str] = {}
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Number of one of our ids, or of a foreign one as `text` wrote it.

        ValueError for any other text, for parts out of range, and for a text whose number stands
        for another one seen lately.
        """
        known = self._numbers.get(text)
        if known is not None:
            return known
        identity = OrderIdentity.decode(text)
        if identity is None:
            return _foreign(text)
        number = pack(identity)
        other = self._texts.setdefault(number, text)
        if other != text:
            raise ValueError(f"client order id: {text} has the same number as {other}")
        self._numbers[text] = number
        if len(self._texts) > self._kept:
            oldest = next(iter(self._texts))
            del self._numbers[self._texts.pop(oldest)]
        return number

    def text(self, number: int, tag: str) -> str:
        """Text of a number listed on the market with this tag; foreign ones as decimal digits."""
        known = self._texts.get(number)
        if known is not None:
            return known
        identity = unpack(number, tag)
        return str(number) if identity is None else identity.encode()


def _foreign(text: str) -> int:
    plain = text.isascii() and text.isdecimal() and (text == "0" or text[0] != "0")
    if not plain or len(text) > 19 or int(text) >= LIMIT:
        raise ValueError(f"client order id: {text!r} is neither ours nor a number below 2^63")
    return int(text)


def _check(tag: str) -> int:
    return 1 + sha256(tag.encode()).digest()[0] % _CHECKS
