"""Lots of a set that are a person's by a named decision, in PostgreSQL: they outlive a workflow.

The rule: one decision's lots are written once, whole, and from then on only shrink. A word of an
older decision, or the same word again, changes nothing: an activity that runs twice, or answers
late, can neither bring lots back that a run found gone nor undo what was decided after it.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.identity import MarketId
from desk.units import Lots
from infra.postgres.engine import Database
from infra.postgres.rows import Columns, columns

_LEGS: Final = ("venue", "account", "symbol")

_GIVEN: Final = """
FROM unnest(
    CAST(:venue AS text[]), CAST(:account AS text[]), CAST(:symbol AS text[]),
    CAST(:lots AS bigint[])
) AS g(venue, account, symbol, lots)
"""

_WAIVE: Final = text(f"""
INSERT INTO arbitrage_waivers (set_name, venue, account, symbol, epoch, lots)
SELECT CAST(:set_name AS text), venue, account, symbol, CAST(:epoch AS bigint), lots
{_GIVEN}
ORDER BY venue, account, symbol
ON CONFLICT (set_name, venue, account, symbol) DO UPDATE
SET lots = excluded.lots, epoch = excluded.epoch, changed_at = now()
WHERE arbitrage_waivers.epoch < excluded.epoch
""")

# Towards zero and never through it, whatever is on record by now.
_SHRINK: Final = text(f"""
UPDATE arbitrage_waivers AS w SET
    lots = CASE WHEN w.lots > 0 THEN LEAST(w.lots, GREATEST(0, g.lots))
                ELSE GREATEST(w.lots, LEAST(0, g.lots)) END,
    changed_at = now()
{_GIVEN}
WHERE w.set_name = :set_name AND w.epoch < :epoch
    AND w.venue = g.venue AND w.account = g.account AND w.symbol = g.symbol
""")  # noqa: S608

_WAIVED: Final = text("""
SELECT venue, account, symbol, lots FROM arbitrage_waivers WHERE set_name = :set_name
""")


class PostgresWaivers:
    """The WaiverBook over PostgreSQL. Everything raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def waive(self, set_name: str, lots: Mapping[MarketId, Lots], *, epoch: int) -> None:
        """Put a decision on record, made after the run of `epoch`; once, then only shrunk."""
        given = _given(lots)
        if given:
            await self._written(_WAIVE, set_name, epoch, given)

    async def shrink(self, set_name: str, lots: Mapping[MarketId, Lots], *, epoch: int) -> None:
        """Leave at most this of it, by what the run of `epoch` found; it never grows."""
        given = _given(lots)
        if given:
            await self._written(_SHRINK, set_name, epoch, given)

    async def waived(self, set_name: str) -> Mapping[MarketId, Lots]:
        """Signed lots by leg; legs of which nothing was ever waived are not named."""

        async def read(connection: AsyncConnection) -> Mapping[MarketId, Lots]:
            rows = await connection.execute(_WAIVED, {"set_name": set_name})
            return {MarketId(row.venue, row.account, row.symbol): row.lots for row in rows}

        return await self._database.transaction(read)

    async def _written(
        self, statement: TextClause, set_name: str, epoch: int, given: Columns
    ) -> None:
        told = {"set_name": set_name, "epoch": epoch, **given}
        await self._database.transaction(lambda connection: connection.execute(statement, told))


def _given(lots: Mapping[MarketId, Lots]) -> Columns:
    return columns(
        (*_LEGS, "lots"),
        ((one.venue, one.account, one.symbol, count) for one, count in lots.items()),
    )
