"""What people read of the past: fills, orders, marks, and what a period made.

Adapters implement `HistoryBook`; only the wiring knows both. Everything here raises `Unavailable`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

from desk.identity import MarketId
from desk.pnl import AccountMoney, MarketSums, Readings


class Series(StrEnum):
    """A series of rows that can be listed and exported."""

    FILLS = "fills"
    ORDERS = "orders"
    EQUITY = "equity"


class FieldKind(StrEnum):
    """What a field holds: text, a Decimal, an integer, a flag, or a moment (aware, UTC)."""

    TEXT = "text"
    AMOUNT = "amount"
    WHOLE = "whole"
    FLAG = "flag"
    MOMENT = "moment"


_WHERE: Final = {
    "venue": FieldKind.TEXT,
    "account": FieldKind.TEXT,
    "symbol": FieldKind.TEXT,
}

FIELDS: Final[Mapping[Series, Mapping[str, FieldKind]]] = {
    Series.FILLS: {
        "traded_at": FieldKind.MOMENT,
        **_WHERE,
        "trade_id": FieldKind.TEXT,
        "side": FieldKind.TEXT,
        "price": FieldKind.AMOUNT,
        "quantity": FieldKind.AMOUNT,
        "multiplier": FieldKind.AMOUNT,
        "liquidity": FieldKind.TEXT,
        "fee": FieldKind.AMOUNT,
        "fee_estimated": FieldKind.FLAG,
        "mid": FieldKind.AMOUNT,
        "client_order_id": FieldKind.TEXT,
        "venue_order_id": FieldKind.TEXT,
        "booked_at": FieldKind.MOMENT,
    },
    Series.ORDERS: {
        "sent_at": FieldKind.MOMENT,
        **_WHERE,
        "epoch": FieldKind.WHOLE,
        "client_order_id": FieldKind.TEXT,
        "venue_order_id": FieldKind.TEXT,
        "batch_id": FieldKind.TEXT,
        "side": FieldKind.TEXT,
        "price": FieldKind.AMOUNT,
        "quantity": FieldKind.AMOUNT,
        "reduce_only": FieldKind.FLAG,
        "outcome": FieldKind.TEXT,
        "message": FieldKind.TEXT,
        "answered_at": FieldKind.MOMENT,
        "ended_at": FieldKind.MOMENT,
        "ending": FieldKind.TEXT,
    },
    Series.EQUITY: {
        "at": FieldKind.MOMENT,
        **_WHERE,
        "epoch": FieldKind.WHOLE,
        "pnl": FieldKind.AMOUNT,
        "peak": FieldKind.AMOUNT,
        "position_lots": FieldKind.WHOLE,
        "mid": FieldKind.AMOUNT,
    },
}
"""Fields of each series, in order; the first is the moment it is ordered by."""

Line: TypeAlias = tuple[object, ...]
"""One row: a value, or None, for each field of its series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time, unix milliseconds; the beginning is in it, the end is not."""

    since_ms: int
    until_ms: int


class HistoryBook(Protocol):
    """The past, read in bounded steps. A market of None means all of them."""

    async def markets(self, series: Series) -> Sequence[MarketId]:
        """Markets that have rows of a series, sorted."""

    async def newest(
        self, series: Series, market: MarketId | None, span: Span, limit: int
    ) -> Sequence[Line]:
        """The newest rows within a span, newest first."""

    def pages(
        self, series: Series, market: MarketId | None, span: Span
    ) -> AsyncIterator[Sequence[Line]]:
        """All rows within a span: market by market, oldest first, some thousand at a time.

        Rows that are booked meanwhile may or may not be among them; none comes twice.
        """

    async def pnl(self, span: Span, market: MarketId | None = None) -> Sequence[MarketSums]:
        """What each market made within a span."""

    async def moneys(self, span: Span) -> Sequence[AccountMoney]:
        """Transfers and balance adjustments within a span, of every account that holds a market."""

    async def readings(self, venue: str, account: str, span: Span) -> Readings | None:
        """Equity as the venue told it before a span began and before it ended; None without two.

        The beginning is the last word of the day before it, so that spans that follow each other
        share a reading; without one, the first word within the span.
        """
