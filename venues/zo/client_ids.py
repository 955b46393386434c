"""Client order ids of this venue: whole numbers below 2^63 (zo.md section 1), ours as text.

One number space serves a whole account, so a number holds the venue's id of its market: two
markets never share one, in whatever processes they run. What does not fit is refused, never cut.

Bits, highest first: 2 check of the tag (1 to 3) | 10 market | 18 epoch | 26 cycle | 5 level |
1 exit | 1 sell. Ours are at least 2^61: counters of somebody else, and clocks in nanoseconds until
the year 2043, stay below and are never taken for ours.
"""

from hashlib import sha256
from typing import Final

from desk.identity import OrderIdentity, Slot
from desk.units import Side

LIMIT: Final = 2**63
FIRST: Final = 2**61
LONGEST_TEXT: Final = 32
MAX_MARKET: Final = 2**10 - 1
MAX_EPOCH: Final = 2**18 - 1
MAX_CYCLE: Final = 2**26 - 1
MAX_LEVEL: Final = 2**5 - 1
_CHECKS: Final = 3
_KEPT: Final = 65_536


def pack(identity: OrderIdentity, market_id: int) -> int:
    """Number of an identity on a market; ValueError names the part that is out of range."""
    for name, value, highest in (
        ("market", market_id, MAX_MARKET),
        ("epoch", identity.epoch, MAX_EPOCH),
        ("cycle", identity.cycle, MAX_CYCLE),
        ("level", identity.slot.level, MAX_LEVEL),
    ):
        if not 0 <= value <= highest:
            raise ValueError(f"client order id: {name} {value} is not from 0 to {highest}")
    number = _check(identity.tag) << 10 | market_id
    number = number << 18 | identity.epoch
    number = number << 26 | identity.cycle
    number = number << 5 | identity.slot.level
    return number << 2 | identity.exit << 1 | (identity.slot.side is Side.SELL)


def unpack(number: int, tag: str, market_id: int | None = None) -> OrderIdentity | None:
    """Identity of a number found on the market with this tag; None when it is not one of ours.

    Without `market_id` the number's own word for its market is taken.
    """
    if not 0 <= number < LIMIT or number >> 61 != _check(tag):
        return None
    if market_id is not None and number >> 51 & MAX_MARKET != market_id:
        return None
    return OrderIdentity(
        tag=tag,
        epoch=number >> 33 & MAX_EPOCH,
        cycle=number >> 7 & MAX_CYCLE,
        slot=Slot(Side.SELL if number & 1 else Side.BUY, number >> 2 & MAX_LEVEL),
        exit=bool(number & 2),
    )


class ClientIds:
    """Text to number and back. Texts seen lately are remembered by market, whatever tag they carry.

    A market is named by the tag of our own ids on it, and by the venue's id of it.
    """

    def __init__(self, *, kept: int = _KEPT) -> None:
        self._kept = kept
        self._texts: dict[tuple[str, int], str] = {}
        self._numbers: dict[tuple[str, str], int] = {}

    def check(self, text: str) -> None:
        """ValueError for a text that has no number on any market."""
        identity = OrderIdentity.decode(text)
        if identity is None:
            _foreign(text)
        else:
            pack(identity, 0)

    def number(self, text: str, tag: str, market_id: int) -> int:
        """Number on a market of one of our ids, or of a foreign one as `text` wrote it.

        ValueError for any other text, for parts or a market out of range, and for a text whose
        number stands for another one seen lately on this market.
        """
        known = self._numbers.get((tag, text))
        if known is not None:
            return known
        identity = OrderIdentity.decode(text)
        if identity is None:
            return _foreign(text)
        number = pack(identity, market_id)
        other = self._texts.setdefault((tag, number), text)
        if other != text:
            raise ValueError(f"client order id: {text} has the same number as {other}")
        self._numbers[tag, text] = number
        if len(self._texts) > self._kept:
            oldest = next(iter(self._texts))
            del self._numbers[oldest[0], self._texts.pop(oldest)]
        return number

    def text(self, number: int, tag: str, market_id: int | None = None) -> str:
        """Text of a number listed on the market with this tag; foreign ones as decimal digits.

        With `market_id`, a number that names another market is foreign.
        """
        known = self._texts.get((tag, number))
        if known is not None:
            return known
        identity = unpack(number, tag, market_id)
        return str(number) if identity is None else identity.encode()


def _foreign(text: str) -> int:
    plain = text.isascii() and text.isdecimal() and (text == "0" or text[0] != "0")
    if not plain or len(text) > 19 or int(text) >= LIMIT:
        raise ValueError(f"client order id: {text!r} is neither ours nor a number below 2^63")
    return int(text)


def _check(tag: str) -> int:
    return 1 + sha256(tag.encode()).digest()[0] % _CHECKS
