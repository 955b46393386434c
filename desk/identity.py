"""Who owns what: markets, epochs, and client order ids that decode to them.

An id is at most 32 characters of `[a-z0-9-]`, which every venue we know accepts
(ocx.md section 4.7 gives no limit; 32 is the configured bound).
"""

import re
from dataclasses import dataclass
from hashlib import sha256

from desk.units import Side

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TAG_LENGTH = 7
_PREFIX = "f"
EXIT = "x"
_FORM = re.compile(
    rf"{_PREFIX}([0-9a-z]{{{_TAG_LENGTH}}})-([0-9a-z]+)-([0-9a-z]+)-({EXIT}?)([bs])([0-9a-z]+)"
)
_BUY_CODE, _SELL_CODE = "b", "s"
_CODE_SIDE = {_BUY_CODE: Side.BUY, _SELL_CODE: Side.SELL}


@dataclass(frozen=True, slots=True, order=True)
class MarketId:
    """One market quoted from one account."""

    venue: str
    account: str
    symbol: str

    @property
    def path(self) -> str:
        """`venue/account/symbol`, as in workflow ids and keys."""
        return f"{self.venue}/{self.account}/{self.symbol}"

    @property
    def tag(self) -> str:
        """Seven characters that stand for this market inside client order ids."""
        number = int.from_bytes(sha256(self.path.encode()).digest()[:8], "big")
        return base36(number)[:_TAG_LENGTH].rjust(_TAG_LENGTH, "0")

    @classmethod
    def parse(cls, path: str) -> "MarketId":
        """Read `venue/account/symbol` or `venue/symbol` (account `main`)."""
        parts = path.removeprefix("market/").split("/")
        if len(parts) == 2:
            parts = [parts[0], "main", parts[1]]
        if len(parts) != 3 or not all(parts):
            raise ValueError(f"market: '{path}' is not VENUE/ACCOUNT/SYMBOL or VENUE/SYMBOL")
        return cls(*parts)


@dataclass(frozen=True, slots=True)
class Slot:
    """One (side, level) place of a ladder; level 0 is the innermost."""

    side: Side
    level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIdentity:
    """What a client order id says: market, epoch, cycle and slot; `exit` marks flatten orders."""

    tag: str
    epoch: int
    cycle: int
    slot: Slot
    exit: bool = False

    def encode(self) -> str:
        """Text of the id, the same for every retry of the same operation."""
        return self.name(self.stem(self.tag, self.epoch, self.cycle), self.slot, leaving=self.exit)

    @staticmethod
    def stem(tag: str, epoch: int, cycle: int) -> str:
        """What the ids of one cycle have in common, for callers that write a whole ladder."""
        return f"{tag}-{base36(epoch)}-{base36(cycle)}"

    @staticmethod
    def name(stem: str, slot: Slot, *, leaving: bool = False) -> str:
        """Text of the id of one slot of the cycle that `stem` stands for."""
        kind = EXIT if leaving else ""
        side = _BUY_CODE if slot.side is Side.BUY else _SELL_CODE
        return f"{_PREFIX}{stem}-{kind}{side}{base36(slot.level)}"

    @classmethod
    def decode(cls, text: str) -> "OrderIdentity | None":
        """Read an id back; None when it is not one of ours."""
        match = _FORM.fullmatch(text)
        if match is None:
            return None
        tag, epoch, cycle, leaving, side, level = match.groups()
        return cls(
            tag=tag,
            epoch=int(epoch, 36),
            cycle=int(cycle, 36),
            slot=Slot(_CODE_SIDE[side], int(level, 36)),
            exit=bool(leaving),
        )


def base36(number: int) -> str:
    """Non-negative number in lower-case base 36."""
    if number < 0:
        raise ValueError(f"number: {number} is negative; base 36 ids need zero or more")
    digits = ""
    while True:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
        if not number:
            return digits
