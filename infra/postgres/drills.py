"""The record of drills: every one that was run, what it proved, and who acknowledged a failure."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.drills import Drill, DrillKind
from desk.identity import MarketId
from infra.postgres.engine import Database
from infra.postgres.rows import printable
from infra.postgres.times import to_ms, to_time

_RECORD: Final = text("""
INSERT INTO drills (
    kind, venue, account, symbol, run_id, began_at, ended_at, passed, message, evidence
)
VALUES (
    :kind, :venue, :account, :symbol, :run_id, :began_at, :ended_at, :passed, :message, :evidence
)
ON CONFLICT (run_id) DO NOTHING
""")

_COLUMNS: Final = """
SELECT id, kind, venue, account, symbol, run_id, began_at, ended_at, passed, message, evidence,
       acknowledged_by
FROM drills
"""

_FAILED: Final = text(f"{_COLUMNS} WHERE NOT passed AND acknowledged_at IS NULL ORDER BY id")

_RECENT: Final = text(f"{_COLUMNS} ORDER BY id DESC LIMIT :limit")

_ACKNOWLEDGE: Final = text("""
UPDATE drills SET acknowledged_at = now(), acknowledged_by = :by, acknowledged_reason = :reason
WHERE id = :number AND NOT passed AND acknowledged_at IS NULL
RETURNING id
""")


class PostgresDrills:
    """The DrillBook over PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, drill: Drill) -> None:
        """Keep one drill; recording it again changes nothing. Raises Unavailable."""
        given = {
            "kind": drill.kind.value,
            "venue": drill.market.venue,
            "account": drill.market.account,
            "symbol": drill.market.symbol,
            "run_id": drill.run_id,
            "began_at": to_time(drill.began_at_ms),
            "ended_at": to_time(drill.ended_at_ms),
            "passed": drill.passed,
            "message": printable(drill.message),
            "evidence": printable(drill.evidence),
        }
        await self._database.transaction(lambda connection: connection.execute(_RECORD, given))

    async def failed(self) -> Sequence[Drill]:
        """Failed drills that nobody acknowledged, oldest first. Raises Unavailable."""
        return await self._read(_FAILED, {})

    async def recent(self, limit: int) -> Sequence[Drill]:
        """The last drills, newest first. Raises Unavailable."""
        return await self._read(_RECENT, {"limit": limit})

    async def acknowledge(self, number: int, by: str, reason: str) -> bool:
        """Take a failure note by name; False when there is none open. Raises Unavailable."""
        given = {"number": number, "by": by, "reason": printable(reason)}

        async def write(connection: AsyncConnection) -> bool:
            return (await connection.execute(_ACKNOWLEDGE, given)).first() is not None

        return await self._database.transaction(write)

    async def _read(self, statement: TextClause, given: dict[str, object]) -> Sequence[Drill]:
        async def read(connection: AsyncConnection) -> Sequence[Drill]:
            return tuple(
                Drill(
                    kind=DrillKind(row.kind),
                    market=MarketId(row.venue, row.account, row.symbol),
                    run_id=row.run_id,
                    began_at_ms=to_ms(row.began_at),
                    ended_at_ms=to_ms(row.ended_at),
                    passed=row.passed,
                    message=row.message,
                    evidence=row.evidence,
                    number=row.id,
                    acknowledged_by=row.acknowledged_by,
                )
                for row in await connection.execute(statement, given)
            )

        return await self._database.transaction(read)
