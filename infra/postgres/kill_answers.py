"""Who must answer a kill, and who has: the durable evidence of every stop.

The rule: the first word on a stage stands; a later one changes nothing.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.identity import MarketId
from desk.records import Kill, KillAnswer, KillStage, kill_scopes
from infra.postgres.control import kill_of
from infra.postgres.engine import Database
from infra.postgres.journal import write_answer
from infra.postgres.times import to_ms, to_time

_MARKETS: Final = text("""
SELECT DISTINCT venue, account, symbol FROM session_epochs ORDER BY venue, account, symbol
""")

_ANSWERS: Final = text("""
SELECT venue, account, symbol, stage, at, evidence FROM kill_answers
WHERE scope = :scope AND set_at = :set_at
ORDER BY at, venue, account, symbol
""")

_OVER: Final = text("""
SELECT lifted_at IS NOT NULL AS over FROM kills WHERE scope = :scope AND set_at = :set_at
""")

# Some older ones too: whoever ended them in the record may have died before the board was told.
_ENDED: Final = text("""
SELECT scope, reason, set_by, set_at, effect, until FROM kills
WHERE until <= now() AND (lifted_at IS NULL OR lifted_at > now() - interval '1 hour')
ORDER BY set_at, id
""")


class PostgresKillAnswers:
    """The KillAnswers port over PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def markets(self, scope: str) -> Sequence[MarketId]:
        """Every market in a kill's scope that ever had an epoch. Raises Unavailable."""

        async def read(connection: AsyncConnection) -> Sequence[MarketId]:
            found = await connection.execute(_MARKETS)
            return tuple(MarketId(row.venue, row.account, row.symbol) for row in found)

        known = await self._database.transaction(read)
        return tuple(market for market in known if scope in kill_scopes(market))

    async def note(self, answer: KillAnswer) -> None:
        """Record one stage; the first word on it stands. Raises Unavailable."""
        await self._database.transaction(lambda c: write_answer(c, answer))

    async def answers(self, scope: str, set_at_ms: int) -> Sequence[KillAnswer]:
        """Every answer to one kill, by time. Raises Unavailable."""

        async def read(connection: AsyncConnection) -> Sequence[KillAnswer]:
            given = {"scope": scope, "set_at": to_time(set_at_ms)}
            return tuple(
                KillAnswer(
                    scope=scope,
                    set_at_ms=set_at_ms,
                    market=MarketId(row.venue, row.account, row.symbol),
                    stage=KillStage(row.stage),
                    at_ms=to_ms(row.at),
                    evidence=row.evidence,
                )
                for row in await connection.execute(_ANSWERS, given)
            )

        return await self._database.transaction(read)

    async def over(self, scope: str, set_at_ms: int) -> bool:
        """Whether this kill was recorded and is in force no more. Raises Unavailable."""

        async def read(connection: AsyncConnection) -> bool:
            given = {"scope": scope, "set_at": to_time(set_at_ms)}
            row = (await connection.execute(_OVER, given)).first()
            return row is not None and bool(row.over)

        return await self._database.transaction(read)

    async def ended(self) -> Sequence[Kill]:
        """Kills whose end has passed by PostgreSQL's clock, in force or lifted lately.

        Raises Unavailable.
        """

        async def read(connection: AsyncConnection) -> Sequence[Kill]:
            return tuple(map(kill_of, await connection.execute(_ENDED)))

        return await self._database.transaction(read)
