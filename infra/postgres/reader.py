"""Reads and rare writes that wait for PostgreSQL; everything raises `Unavailable`, soon.

The rule: facts that cannot be exact (a fill of an unknown instrument, a lot that no longer divides
the position) are refused, never estimated.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.errors import Unavailable
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import Fill, Liquidity
from desk.records import ControlDecision, EquityMark, FillSeen, Kill, LedgerFacts
from desk.units import Side
from infra.postgres import booking, control
from infra.postgres.control import place
from infra.postgres.engine import Database
from infra.postgres.journal import end_orders, write_decision
from infra.postgres.times import to_ms, to_time

_FACTS: Final = text("""
SELECT COALESCE(p.fills, 0) AS fills, COALESCE(p.unpriced, 0) AS unpriced,
       COALESCE(p.quantity, 0) AS quantity, COALESCE(p.cash, 0) AS cash,
       COALESCE(p.fees, 0) AS fees, COALESCE(p.funding, 0) AS funding,
       p.last_trade_at, i.lot_size,
       (
           SELECT max(peak) FROM equity_peaks
           WHERE venue = :venue AND account = :account AND symbol = :symbol AND epoch >= :epoch
       ) AS peak_pnl
FROM (SELECT 1) AS always
LEFT JOIN positions p ON p.venue = :venue AND p.account = :account AND p.symbol = :symbol
LEFT JOIN instruments i ON i.venue = :venue AND i.symbol = :symbol
""")

FILLS: Final = text("""
SELECT trade_id, side, price_ticks, lots, liquidity, fee, fee_estimated, traded_at,
       client_order_id, venue_order_id
FROM fills
WHERE venue = :venue AND account = :account AND symbol = :symbol AND traded_at >= :since
ORDER BY traded_at, id
""")

RECORDED: Final = text("""
SELECT client_order_id FROM orders
WHERE venue = :venue AND account = :account AND symbol = :symbol
    AND client_order_id = ANY(CAST(:client_order_ids AS text[]))
""")

_EQUITY: Final = text("""
SELECT epoch, at, pnl, peak, position_lots, mid FROM equity
WHERE venue = :venue AND account = :account AND symbol = :symbol AND at >= :since
ORDER BY at, epoch
""")

_PEAK: Final = text("""
SELECT max(pnl) AS peak FROM equity
WHERE venue = :venue AND account = :account AND symbol = :symbol AND at >= :since
""")

_ORDER_COUNTS: Final = text("""
SELECT COALESCE(outcome, 'unanswered') AS outcome, count(*) AS orders FROM orders
WHERE venue = :venue AND account = :account AND symbol = :symbol AND sent_at >= :since
GROUP BY 1
""")

_ALERTS: Final = text("""
SELECT venue, account, symbol, severity, text, at FROM alerts
WHERE at >= :since ORDER BY at DESC, id DESC LIMIT :limit
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One recorded alert; `market` is None for those of the whole fleet."""

    market: MarketId | None
    severity: str
    text: str
    at_ms: int


class PostgresLedger:
    """The LedgerReader over PostgreSQL, with the series that status and reports read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remember_instrument(self, instrument: Instrument) -> None:
        """Keep tick, lot and multiplier; before a session's first fill. Prices late fills."""
        await self._database.transaction(lambda c: booking.remember_instrument(c, instrument))

    async def open_epoch(
        self, market: MarketId, owner: str, run_id: str, *, beyond: int = 0
    ) -> int:
        """Next epoch of a market, from 1 and above `beyond`, recorded with who opened it."""
        return await self._database.transaction(
            lambda c: control.open_epoch(c, market, owner, run_id, beyond)
        )

    async def close_epoch(self, market: MarketId, epoch: int, reason: str) -> bool:
        """Record why a session ended; False when that was recorded before, or no such epoch."""
        return await self._database.transaction(
            lambda c: control.close_epoch(c, market, epoch, reason)
        )

    async def facts(self, market: MarketId, life_epoch: int) -> LedgerFacts:
        """Folds over this market's fills, payments and adjustments; zeros where there are none.

        `peak_pnl` is the highest peak marked in `life_epoch` or a later one, None without a mark.
        """
        (row,) = await self._rows(_FACTS, market, {"epoch": life_epoch})
        return _facts(market, row)

    async def fills(self, market: MarketId, since_ms: int = 0) -> Sequence[Fill]:
        """Booked fills of a market, oldest first, in the ticks and lots they were booked in."""
        rows = await self._rows(FILLS, market, {"since": to_time(since_ms)})
        return tuple(_fill(market, row) for row in rows)

    async def book_fills(self, market: MarketId, fills: Sequence[Fill]) -> int:
        """Book fills not yet booked (unique by venue, account, trade id); how many were new."""
        strangers = [fill.trade_id for fill in fills if _market_of(fill) != market]
        if strangers:
            raise ValueError(f"fills: {strangers[:3]} are not of {market.path}")
        heard = [FillSeen(market=market, fill=fill) for fill in fills]
        return await self._database.transaction(lambda c: booking.book_fills(c, heard))

    async def recorded_orders(
        self, market: MarketId, client_order_ids: Collection[str]
    ) -> frozenset[str]:
        """Which of these orders are on record, be it as sent, answered or ended."""
        rows = await self._rows(RECORDED, market, {"client_order_ids": list(client_order_ids)})
        return frozenset(row.client_order_id for row in rows)

    async def end_orders(self, market: MarketId, epoch: int, how: str, at_ms: int) -> int:
        """Record that nothing of this epoch and older ones rests; how many orders had no end."""
        return await self._database.transaction(lambda c: end_orders(c, market, epoch, how, at_ms))

    async def record_decision(self, decision: ControlDecision) -> None:
        """Record one control decision durably; recording it again changes nothing."""
        await self._database.transaction(lambda c: write_decision(c, decision))

    async def active_kills(self) -> Sequence[Kill]:
        """The kills in force, oldest first."""
        return await self._database.transaction(control.active_kills)

    async def set_kill(self, kill: Kill) -> None:
        """Record a kill durably, in place of another in force at its scope.

        One that was recorded before, by scope and time, changes nothing.
        """
        await self._database.transaction(lambda c: control.set_kill(c, kill))

    async def lift_kill(self, scope: str, at_ms: int, by: str, reason: str) -> bool:
        """Record that the kill set at this scope and time was lifted; False when not in force.

        One the record does not know yet is kept as lifted, so that it cannot come late.
        """
        return await self._database.transaction(
            lambda c: control.lift_kill(c, scope, at_ms, by, reason)
        )

    async def equity(self, market: MarketId, since_ms: int) -> Sequence[EquityMark]:
        """Marks of a market since a time, oldest first."""
        rows = await self._rows(_EQUITY, market, {"since": to_time(since_ms)})
        return tuple(
            EquityMark(
                market=market,
                epoch=row.epoch,
                pnl=row.pnl,
                peak=row.peak,
                position=row.position_lots,
                mid=row.mid,
                at_ms=to_ms(row.at),
            )
            for row in rows
        )

    async def peak_since(self, market: MarketId, since_ms: int) -> Decimal | None:
        """Highest PnL marked since a time, as for a trading day; None without a mark."""
        rows = await self._rows(_PEAK, market, {"since": to_time(since_ms)})
        peak: Decimal | None = rows[0].peak
        return peak

    async def order_counts(self, market: MarketId, since_ms: int) -> Mapping[str, int]:
        """Orders sent since a time, by outcome; those without an answer are `unanswered`."""
        rows = await self._rows(_ORDER_COUNTS, market, {"since": to_time(since_ms)})
        return {row.outcome: row.orders for row in rows}

    async def alerts(self, since_ms: int, limit: int = 100) -> Sequence[Alert]:
        """Alerts since a time, newest first."""
        given = {"since": to_time(since_ms), "limit": limit}

        async def read(connection: AsyncConnection) -> Sequence[Row[tuple[object, ...]]]:
            return (await connection.execute(_ALERTS, given)).fetchall()

        return tuple(
            Alert(
                market=MarketId(row.venue, row.account, row.symbol) if row.venue else None,
                severity=row.severity,
                text=row.text,
                at_ms=to_ms(row.at),
            )
            for row in await self._database.transaction(read)
        )

    async def _rows(
        self, statement: TextClause, market: MarketId, given: Mapping[str, object]
    ) -> Sequence[Row[tuple[object, ...]]]:
        async def read(connection: AsyncConnection) -> Sequence[Row[tuple[object, ...]]]:
            return (await connection.execute(statement, {**place(market), **given})).fetchall()

        return await self._database.transaction(read)


def _market_of(fill: Fill) -> MarketId:
    return MarketId(fill.venue, fill.account, fill.symbol)


def _facts(market: MarketId, row: Row[tuple[object, ...]]) -> LedgerFacts:
    if row.unpriced:
        raise Unavailable(
            f"postgres: {row.unpriced} fills of {market.path} were booked before its instrument "
            "was known; call remember_instrument"
        )
    return LedgerFacts(
        fills=row.fills,
        position=_lots(market, row.quantity, row.lot_size),
        cash=row.cash,
        fees=row.fees,
        funding=row.funding,
        last_trade_ms=_optional_ms(row.last_trade_at),
        peak_pnl=row.peak_pnl,
    )


def _lots(market: MarketId, quantity: Decimal, lot_size: Decimal | None) -> int:
    if not quantity:
        return 0
    lots = quantity / lot_size if lot_size else Decimal("NaN")
    if not lots.is_finite() or lots != lots.to_integral_value():
        raise Unavailable(
            f"postgres: position {quantity} of {market.path} is not a whole number of lots of "
            f"{lot_size}; the venue changed the lot, settle the difference by hand"
        )
    return int(lots)


def _optional_ms(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)


def _fill(market: MarketId, row: Row[tuple[object, ...]]) -> Fill:
    return Fill(
        venue=market.venue,
        account=market.account,
        symbol=market.symbol,
        trade_id=row.trade_id,
        side=Side(row.side),
        price=row.price_ticks,
        lots=row.lots,
        liquidity=Liquidity(row.liquidity),
        fee=row.fee,
        fee_estimated=row.fee_estimated,
        traded_at_ms=to_ms(row.traded_at),
        client_order_id=row.client_order_id,
        venue_order_id=row.venue_order_id,
    )
