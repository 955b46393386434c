"""Sides and small conversions. Prices are integer ticks, sizes integer lots, money is Decimal.

Rounding happens in `desk/instrument.py` and nowhere else: bids down, asks up, sizes down.
"""

from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

Ticks: TypeAlias = int
Lots: TypeAlias = int
Level: TypeAlias = tuple[Ticks, Lots]

BPS = Decimal(10_000)
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class Side(StrEnum):
    """Side of an order, or the sign of a position change."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for buy, -1 for sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY
