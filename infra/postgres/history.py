"""The past, for people: rows in bounded pages, and what a period made from sums of hours.

The rule: every read is one short transaction over an index, however long the past is.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.history_ports import FIELDS, Line, Series, Span
from desk.identity import MarketId
from desk.pnl import AccountMoney, EquityReading, Holding, MarketSums, Readings
from infra.postgres.control import place
from infra.postgres.engine import Database
from infra.postgres.history_sql import FOREIGN, MARKETS, MONEYS, PAGES, PNL, READINGS
from infra.postgres.times import to_ms, to_time

PAGE: Final = 5_000
"""Rows of one page of an export."""

_HOUR_MS: Final = 3_600_000
_EVERYWHERE: Final[Mapping[str, object]] = {"venue": None, "account": None, "symbol": None}


class PostgresHistory:
    """The HistoryBook over PostgreSQL. Everything raises Unavailable."""

    def __init__(self, database: Database, *, page: int = PAGE) -> None:
        self._database = database
        self._page = page

    async def markets(self, series: Series) -> Sequence[MarketId]:
        """Markets that have rows of a series, sorted."""
        rows = await self._rows(MARKETS[series], {})
        return tuple(MarketId(row.venue, row.account, row.symbol) for row in rows)

    async def newest(
        self, series: Series, market: MarketId | None, span: Span, limit: int
    ) -> Sequence[Line]:
        """The newest rows within a span, newest first."""
        found: list[Line] = []
        for one in await self._of(series, market):
            given = {**place(one), **_times(span), "page": limit}
            rows = await self._rows(PAGES[series].newest, given)
            found.extend(_line(series, row) for row in rows)
        found.sort(key=_moment, reverse=True)
        return found[:limit]

    async def pages(
        self, series: Series, market: MarketId | None, span: Span
    ) -> AsyncIterator[Sequence[Line]]:
        """All rows within a span: market by market, oldest first, none twice."""
        for one in await self._of(series, market):
            given: dict[str, object] = {**place(one), **_times(span), "page": self._page}
            statement = PAGES[series].first
            while rows := await self._rows(statement, given):
                yield tuple(_line(series, row) for row in rows)
                if len(rows) < self._page:
                    break
                given |= {"since": getattr(rows[-1], _first(series)), "after": rows[-1].cursor}
                statement = PAGES[series].after

    async def pnl(self, span: Span, market: MarketId | None = None) -> Sequence[MarketSums]:
        """What each market made within a span; a position is as of the fills booked by now."""
        given = {
            **(_EVERYWHERE if market is None else place(market)),
            **_times(span),
            "since_hour": to_time(-(-span.since_ms // _HOUR_MS) * _HOUR_MS),
            "until_hour": to_time(-(-span.until_ms // _HOUR_MS) * _HOUR_MS),
        }
        return tuple(map(_sums, await self._rows(PNL, given)))

    async def moneys(self, span: Span) -> Sequence[AccountMoney]:
        """Transfers and balance adjustments within a span, of every account."""
        return tuple(
            AccountMoney(
                venue=row.venue,
                account=row.account,
                transfers=row.transfers,
                adjustments=row.adjustments,
            )
            for row in await self._rows(MONEYS, _times(span))
        )

    async def readings(self, venue: str, account: str, span: Span) -> Readings | None:
        """Equity as the venue told it before a span began and before it ended."""
        since, until = to_time(span.since_ms), to_time(span.until_ms)
        given = {"venue": venue, "account": account, "since": since, "until": until}
        rows = await self._rows(READINGS, {**given, "earliest": since - timedelta(days=1)})
        if not rows or rows[0].began_at >= rows[-1].began_at:
            return None
        ends = {"first": rows[0].began_at, "last": rows[-1].began_at}
        held = await self._rows(FOREIGN, {"venue": venue, "account": account, **ends})
        return Readings(
            opening=_reading(rows[0]),
            closing=_reading(rows[-1]),
            foreign=tuple(json.loads(held[0].symbols)) if held else (),
        )

    async def _of(self, series: Series, market: MarketId | None) -> Sequence[MarketId]:
        return await self.markets(series) if market is None else (market,)

    async def _rows(self, statement: TextClause, given: Mapping[str, object]) -> Sequence[Any]:
        async def read(connection: AsyncConnection) -> Sequence[Any]:
            return (await connection.execute(statement, given)).fetchall()

        return await self._database.transaction(read)


def _times(span: Span) -> dict[str, datetime]:
    return {"since": to_time(span.since_ms), "until": to_time(span.until_ms)}


def _first(series: Series) -> str:
    return next(iter(FIELDS[series]))


def _line(series: Series, row: Any) -> Line:
    return tuple(row)[: len(FIELDS[series])]


def _moment(line: Line) -> datetime:
    moment = line[0]
    assert isinstance(moment, datetime)  # noqa: S101 - the first field of every series
    return moment


def _sums(row: Any) -> MarketSums:
    return MarketSums(
        market=MarketId(row.venue, row.account, row.symbol),
        opening=_holding(row.opening, row.opening_mid, row.opening_at),
        closing=_holding(row.closing, row.closing_mid, row.closing_at),
        multiplier=row.multiplier,
        fills=row.fills,
        estimated=row.estimated,
        unmeasured=row.unmeasured - row.estimated,
        turnover=row.turnover,
        cash=row.cash,
        worth=row.worth,
        fees=row.fees,
        funding=row.funding,
        adjusted=row.adjusted,
        priced=row.priced,
    )


def _holding(quantity: Decimal, mid: Decimal | None, at: datetime | None) -> Holding:
    return Holding(quantity=quantity, mid=mid, marked_at_ms=None if at is None else to_ms(at))


def _reading(row: Any) -> EquityReading:
    read_ms = to_ms(row.began_at) if row.read_ms is None else int(row.read_ms)
    return EquityReading(equity=Decimal(row.equity), at_ms=read_ms)
