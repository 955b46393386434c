"""Epochs and kills: the durable record of who may quote and who said stop.

The rule: an epoch is given out once. A kill, known by scope and time, is lifted by a named person
and no other with it, or replaced by another kill of its scope.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.identity import MarketId
from desk.records import Kill, KillEffect
from infra.postgres.rows import printable
from infra.postgres.times import to_ms, to_time

_ONE_AT_A_TIME: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")

_OPEN_EPOCH: Final = text("""
INSERT INTO session_epochs (venue, account, symbol, epoch, owner, run_id)
SELECT :venue, :account, :symbol,
       GREATEST(COALESCE(max(epoch), 0), CAST(:beyond AS bigint)) + 1, :owner, :run_id
FROM session_epochs
WHERE venue = :venue AND account = :account AND symbol = :symbol
RETURNING epoch
""")

_CLOSE_EPOCH: Final = text("""
UPDATE session_epochs SET ended_at = now(), end_reason = :reason
WHERE venue = :venue AND account = :account AND symbol = :symbol AND epoch = :epoch
    AND ended_at IS NULL
RETURNING epoch
""")

_ACTIVE_KILLS: Final = text("""
SELECT scope, reason, set_by, set_at, effect, until FROM kills
WHERE lifted_at IS NULL ORDER BY set_at, id
""")

_KNOWN_KILL: Final = text("SELECT id FROM kills WHERE scope = :scope AND set_at = :at")

_REPLACE_KILL: Final = text("""
UPDATE kills SET lifted_at = now(), lifted_by = :by, lifted_reason = 'replaced by another kill'
WHERE scope = :scope AND lifted_at IS NULL
""")

_SET_KILL: Final = text("""
INSERT INTO kills (scope, reason, set_by, set_at, effect, until)
VALUES (:scope, :reason, :by, :at, :effect, :until)
""")

_LIFT_KILL: Final = text("""
UPDATE kills SET lifted_at = now(), lifted_by = :by, lifted_reason = :reason
WHERE scope = :scope AND set_at = :at AND lifted_at IS NULL
RETURNING id
""")

_LIFT_BEFORE_IT_COMES: Final = text("""
INSERT INTO kills (scope, reason, set_by, set_at, lifted_at, lifted_by, lifted_reason)
VALUES (:scope, 'not recorded', 'not recorded', :at, now(), :by, :reason)
""")


async def open_epoch(
    connection: AsyncConnection, market: MarketId, owner: str, run_id: str, beyond: int
) -> int:
    """Next epoch of a market, above `beyond`; concurrent callers get different ones."""
    await connection.execute(_ONE_AT_A_TIME, {"name": f"epoch:{market.path}"})
    found = await connection.execute(
        _OPEN_EPOCH, {**place(market), "owner": owner, "run_id": run_id, "beyond": beyond}
    )
    return int(found.scalar_one())


async def close_epoch(
    connection: AsyncConnection, market: MarketId, epoch: int, reason: str
) -> bool:
    """Record why a session ended; False when that was recorded before, or no such epoch."""
    found = await connection.execute(
        _CLOSE_EPOCH, {**place(market), "epoch": epoch, "reason": printable(reason)}
    )
    return found.first() is not None


async def active_kills(connection: AsyncConnection) -> Sequence[Kill]:
    """Kills in force, oldest first."""
    found = await connection.execute(_ACTIVE_KILLS)
    return tuple(map(kill_of, found))


def kill_of(row: Row[tuple[object, ...]]) -> Kill:
    """The kill in a row of `scope, reason, set_by, set_at, effect, until`."""
    return Kill(
        scope=row.scope,
        reason=row.reason,
        by=row.set_by,
        at_ms=to_ms(row.set_at),
        effect=KillEffect(row.effect),
        until_ms=None if row.until is None else to_ms(row.until),
    )


async def set_kill(connection: AsyncConnection, kill: Kill) -> None:
    """Record a kill in place of the one in force at its scope; a known one changes nothing."""
    row = {
        "scope": kill.scope,
        "reason": printable(kill.reason),
        "by": kill.by,
        "at": to_time(kill.at_ms),
        "effect": kill.effect.value,
        "until": None if kill.until_ms is None else to_time(kill.until_ms),
    }
    if await _knows_kill(connection, row):
        return
    await connection.execute(_REPLACE_KILL, row)
    await connection.execute(_SET_KILL, row)


async def lift_kill(
    connection: AsyncConnection, scope: str, at_ms: int, by: str, reason: str
) -> bool:
    """Record that one kill was lifted; False when it was not in force.

    One not recorded yet is recorded as lifted: whoever set it is still on the way here.
    """
    row = {"scope": scope, "at": to_time(at_ms), "by": by, "reason": printable(reason)}
    known = await _knows_kill(connection, row)
    found = await connection.execute(_LIFT_KILL if known else _LIFT_BEFORE_IT_COMES, row)
    return known and found.first() is not None


async def _knows_kill(connection: AsyncConnection, row: Mapping[str, object]) -> bool:
    """Whether it was ever recorded; who asks has the scope to itself until the transaction ends."""
    await connection.execute(_ONE_AT_A_TIME, {"name": f"kill:{row['scope']}"})
    found = await connection.execute(_KNOWN_KILL, row)
    return found.first() is not None


def place(market: MarketId) -> dict[str, object]:
    """Parameters that name a market."""
    return {"venue": market.venue, "account": market.account, "symbol": market.symbol}
