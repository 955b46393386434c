"""What days began with, what they may lose, and the latch that ends quoting until the next one.

The rule: a day's start and a limit are never overwritten, a peak only grows, and a latch in force
gives way only to a harder or longer one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.daily_loss import DayFacts, DayLimits, LossLimit, MarketPnl, holds
from desk.identity import MarketId
from desk.records import Kill
from desk.trading_day import TradingDay
from infra.postgres import control
from infra.postgres.engine import Database
from infra.postgres.rows import printable
from infra.postgres.times import to_ms, to_time

_FACTS: Final = text("""
SELECT scope, start_pnl, peak_pnl, start_equity FROM trading_days WHERE began_at = :began_at
""")

_NOTE: Final = text("""
INSERT INTO trading_days AS d (scope, began_at, start_pnl, peak_pnl, start_equity)
VALUES (:scope, :began_at, :start, :peak, :equity)
ON CONFLICT (began_at, scope) DO UPDATE SET
    peak_pnl = GREATEST(d.peak_pnl, excluded.peak_pnl),
    start_equity = COALESCE(d.start_equity, excluded.start_equity)
RETURNING scope, start_pnl, peak_pnl, start_equity
""")

# What came after the moment is taken off the fold: the rows of a day, not those of all years.
_PNL: Final = text("""
SELECT p.venue, p.account, p.symbol,
       p.cash - COALESCE(later.cash, 0) + COALESCE(adjusted.cost, 0) AS cash,
       p.fees - COALESCE(later.fees, 0) AS fees,
       p.funding - COALESCE(paid.funding, 0) AS funding,
       p.quantity - COALESCE(later.quantity, 0) - COALESCE(adjusted.quantity, 0) AS quantity,
       i.multiplier, p.unpriced = 0 AS priced, marked.mid, marked.at,
       marked.pnl AS marked_pnl
FROM positions p
LEFT JOIN instruments i ON i.venue = p.venue AND i.symbol = p.symbol
LEFT JOIN LATERAL (
    SELECT sum(price * quantity * multiplier * CASE side WHEN 'buy' THEN -1 ELSE 1 END) AS cash,
           sum(fee) AS fees,
           sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END) AS quantity
    FROM fills f
    WHERE f.venue = p.venue AND f.account = p.account AND f.symbol = p.symbol
        AND f.traded_at > :at
) AS later ON true
LEFT JOIN LATERAL (
    SELECT sum(amount) AS funding FROM payments m
    WHERE m.venue = p.venue AND m.account = p.account AND m.symbol = p.symbol
        AND m.kind = 'funding' AND m.paid_at > :at
) AS paid ON true
LEFT JOIN LATERAL (
    SELECT sum(quantity * price * multiplier) AS cost, sum(quantity) AS quantity
    FROM adjustments a
    WHERE a.venue = p.venue AND a.account = p.account AND a.symbol = p.symbol AND a.at > :at
) AS adjusted ON true
LEFT JOIN LATERAL (
    SELECT e.mid, e.at, e.pnl FROM equity e
    WHERE e.venue = p.venue AND e.account = p.account AND e.symbol = p.symbol AND e.at <= :at
    ORDER BY e.at DESC, e.epoch DESC LIMIT 1
) AS marked ON true
WHERE CAST(:venue AS text) IS NULL
    OR (p.venue = :venue AND p.account = :account AND p.symbol = :symbol)
ORDER BY p.venue, p.account, p.symbol
""")

_NOW: Final = text("SELECT clock_timestamp() AS at")

_LIMITS: Final = text("""
SELECT DISTINCT ON (scope) scope, soft, hard, drawdown, set_by, reason, set_at
FROM loss_limits ORDER BY scope, id DESC
""")

_SET_LIMIT: Final = text("""
INSERT INTO loss_limits (scope, soft, hard, drawdown, set_by, reason)
VALUES (:scope, :soft, :hard, :drawdown, :by, :reason)
""")

# The lock under which kills of a scope are set and lifted.
_ONE_AT_A_TIME: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")

_NOWHERE: Final[Mapping[str, object]] = {"venue": None, "account": None, "symbol": None}
_FOREVER: Final = datetime(9999, 1, 1, tzinfo=UTC)


class PostgresLossBook:
    """The LossBook over PostgreSQL. Everything raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def facts(self, day: TradingDay) -> Mapping[str, DayFacts]:
        """The recorded facts of a day, by scope."""
        rows = await self._rows(_FACTS, {"began_at": to_time(day.begins_ms)})
        return {row.scope: _facts(day, row) for row in rows}

    async def note(self, facts: DayFacts) -> DayFacts:
        """Record a day's start, once, and its peak, which only grows; what is recorded now."""
        given = {
            "scope": facts.scope,
            "began_at": to_time(facts.day.begins_ms),
            "start": facts.start,
            "peak": facts.peak,
            "equity": facts.equity,
        }
        (row,) = await self._rows(_NOTE, given)
        return _facts(facts.day, row)

    async def pnl(
        self, at_ms: int | None = None, market: MarketId | None = None
    ) -> Sequence[MarketPnl]:
        """PnL at a moment (None: now), of one market or of all that ever traded.

        Fills, payments and adjustments up to the moment, and what they left at the last mid
        marked until then.
        """
        place = _NOWHERE if market is None else control.place(market)
        given = {**place, "at": _FOREVER if at_ms is None else to_time(at_ms)}
        return tuple(_pnl(row) for row in await self._rows(_PNL, given))

    async def now_ms(self) -> int:
        """Unix milliseconds by the database's clock."""
        (row,) = await self._rows(_NOW, {})
        return to_ms(row.at)

    async def limits(self) -> Mapping[str, LossLimit]:
        """The newest limits of each scope, also such that were switched off."""
        return {row.scope: _limit(row) for row in await self._rows(_LIMITS, {})}

    async def set_limit(self, limit: LossLimit) -> None:
        """Put limits in force in place of older ones, which stay on record."""
        given = {
            "scope": limit.scope,
            "soft": limit.limits.soft,
            "hard": limit.limits.hard,
            "drawdown": limit.limits.drawdown,
            "by": limit.by,
            "reason": printable(limit.reason),
        }

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(_SET_LIMIT, given)

        await self._database.transaction(write)

    async def latch(self, wanted: Kill) -> Kill:
        """Record a latch, unless one in force at its scope is as hard and as long; the one that is.

        One that gives way is lifted in the record by the same transaction.
        """

        async def work(connection: AsyncConnection) -> Kill:
            await connection.execute(_ONE_AT_A_TIME, {"name": f"kill:{wanted.scope}"})
            active = await control.active_kills(connection)
            standing = next((kill for kill in active if kill.scope == wanted.scope), None)
            if standing is None:
                await control.set_kill(connection, wanted)
                return wanted
            if holds(standing, wanted):
                return standing
            # Kills of a scope are told apart by their time.
            later = replace(wanted, at_ms=max(wanted.at_ms, standing.at_ms + 1))
            await control.set_kill(connection, later)
            return later

        return await self._database.transaction(work)

    async def _rows(
        self, statement: TextClause, given: Mapping[str, object]
    ) -> Sequence[Row[tuple[object, ...]]]:
        async def read(connection: AsyncConnection) -> Sequence[Row[tuple[object, ...]]]:
            return (await connection.execute(statement, given)).fetchall()

        return await self._database.transaction(read)


def _facts(day: TradingDay, row: Row[tuple[object, ...]]) -> DayFacts:
    return DayFacts(
        scope=row.scope,
        day=day,
        start=row.start_pnl,
        peak=row.peak_pnl,
        equity=row.start_equity,
    )


def _pnl(row: Row[tuple[object, ...]]) -> MarketPnl:
    return MarketPnl(
        market=MarketId(row.venue, row.account, row.symbol),
        cash=row.cash,
        fees=row.fees,
        funding=row.funding,
        quantity=row.quantity,
        multiplier=row.multiplier,
        priced=row.priced,
        mid=row.mid,
        marked_at_ms=None if row.at is None else to_ms(row.at),
        marked_pnl=row.marked_pnl,
    )


def _limit(row: Row[tuple[object, ...]]) -> LossLimit:
    return LossLimit(
        scope=row.scope,
        limits=DayLimits(soft=row.soft, hard=row.hard, drawdown=row.drawdown),
        by=row.set_by,
        reason=row.reason,
        set_at_ms=to_ms(row.set_at),
    )
