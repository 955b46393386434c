"""Hedges owed, in PostgreSQL: opened before the first order, closed by the ledger or by a name.

The rule: an obligation counts as done by fills only while the ledger holds exactly the positions
that were weighed; the statement that closes it looks for itself.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.errors import Unavailable
from desk.identity import MarketId
from desk.records import HedgeObligation
from infra.postgres.control import place
from infra.postgres.engine import Database
from infra.postgres.rows import printable
from infra.postgres.times import to_ms

_FILLS: Final = "fills"

_QUANTITY: Final = text("""
SELECT quantity, unpriced FROM positions
WHERE venue = :venue AND account = :account AND symbol = :symbol
""")

_OPEN_FOR: Final = text("""
SELECT * FROM hedge_obligations
WHERE venue = :venue AND account = :account AND symbol = :symbol AND state = 'open'
""")

_OWE: Final = text("""
INSERT INTO hedge_obligations (
    source_venue, source_account, source_symbol, venue, account, symbol, epoch,
    opening_owed, opening_position, owed, filled
)
VALUES (
    :source_venue, :source_account, :source_symbol, :venue, :account, :symbol, :epoch,
    :owed, :position, :owed, 0
)
ON CONFLICT (venue, account, symbol) WHERE state = 'open' DO NOTHING
""")

_PROGRESS: Final = text("""
UPDATE hedge_obligations
SET owed = :owed, filled = :position - opening_position, changed_at = now()
WHERE id = :number AND state = 'open'
RETURNING id
""")

# Positions are folds over booked fills; a market that never traded has no row and holds zero.
_DISCHARGE: Final = text("""
UPDATE hedge_obligations AS o
SET state = 'discharged', discharged_by = :by, reason = :reason, owed = 0,
    changed_at = now(), discharged_at = now()
WHERE o.id = :number AND o.state = 'open'
    AND :hedge = COALESCE((
        SELECT p.quantity FROM positions p
        WHERE p.venue = o.venue AND p.account = o.account AND p.symbol = o.symbol
    ), 0)
    AND :source = COALESCE((
        SELECT p.quantity FROM positions p
        WHERE p.venue = o.source_venue AND p.account = o.source_account
            AND p.symbol = o.source_symbol
    ), 0)
RETURNING o.id
""")

_RELEASE: Final = text("""
UPDATE hedge_obligations
SET state = 'discharged', discharged_by = :by, reason = :reason,
    changed_at = now(), discharged_at = now()
WHERE id = :number AND state = 'open'
RETURNING id
""")

_RECENT: Final = text("""
SELECT * FROM hedge_obligations
WHERE source_venue = :venue AND source_account = :account AND source_symbol = :symbol
ORDER BY opened_at DESC, id DESC LIMIT :limit
""")


class PostgresHedgeBook:
    """The HedgeBook over PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def quantity(self, market: MarketId) -> Decimal:
        """Signed base units that a market's booked fills add up to; zero when it never traded."""
        rows = await self._rows(_QUANTITY, place(market))
        if not rows:
            return Decimal(0)
        if rows[0].unpriced:
            raise Unavailable(
                f"postgres: {rows[0].unpriced} fills of {market.path} were booked before its "
                "instrument was known; call remember_instrument"
            )
        quantity: Decimal = rows[0].quantity
        return quantity

    async def open_for(self, hedge: MarketId) -> HedgeObligation | None:
        """The open obligation at a hedge market."""
        rows = await self._rows(_OPEN_FOR, place(hedge))
        return _obligation(rows[0]) if rows else None

    async def owe(
        self, source: MarketId, hedge: MarketId, epoch: int, owed: int, position: int
    ) -> HedgeObligation:
        """Open an obligation of signed lots at this position, or give the one already open."""
        given = {
            **place(hedge),
            "source_venue": source.venue,
            "source_account": source.account,
            "source_symbol": source.symbol,
            "epoch": epoch,
            "owed": owed,
            "position": position,
        }

        async def work(connection: AsyncConnection) -> HedgeObligation:
            await connection.execute(_OWE, given)
            return _obligation((await connection.execute(_OPEN_FOR, place(hedge))).one())

        return await self._database.transaction(work)

    async def progress(self, number: int, owed: int, position: int) -> bool:
        """Note what is owed now, and the ledger's position; False when it is not open."""
        given = {"number": number, "owed": owed, "position": position}
        return bool(await self._rows(_PROGRESS, given))

    async def discharge(self, number: int, source: Decimal, hedge: Decimal, reason: str) -> bool:
        """Close it as done by fills, if the ledger holds exactly these base units; else False."""
        given = {
            "number": number,
            "source": source,
            "hedge": hedge,
            "by": _FILLS,
            "reason": printable(reason),
        }
        return bool(await self._rows(_DISCHARGE, given))

    async def release(self, number: int, by: str, reason: str) -> bool:
        """Close it by a named decision; False when it is not open. ValueError without a name."""
        if not by.strip() or by == _FILLS:
            raise ValueError(f"by: '{by}' is not a person's name")
        given = {"number": number, "by": printable(by), "reason": printable(reason)}
        return bool(await self._rows(_RELEASE, given))

    async def recent(self, source: MarketId, limit: int) -> Sequence[HedgeObligation]:
        """Obligations of a source market, newest first."""
        rows = await self._rows(_RECENT, {**place(source), "limit": limit})
        return tuple(_obligation(row) for row in rows)

    async def _rows(self, statement: TextClause, given: Mapping[str, object]) -> Sequence[Any]:
        async def work(connection: AsyncConnection) -> Sequence[Any]:
            return (await connection.execute(statement, given)).fetchall()

        return await self._database.transaction(work)


def _obligation(row: Any) -> HedgeObligation:
    return HedgeObligation(
        number=row.id,
        source=MarketId(row.source_venue, row.source_account, row.source_symbol),
        hedge=MarketId(row.venue, row.account, row.symbol),
        epoch=row.epoch,
        opening_owed=row.opening_owed,
        opening_position=row.opening_position,
        owed=row.owed,
        filled=row.filled,
        opened_at_ms=to_ms(row.opened_at),
        discharged_by=row.discharged_by,
        reason=row.reason,
        discharged_at_ms=None if row.discharged_at is None else to_ms(row.discharged_at),
    )
