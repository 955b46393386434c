"""Months of the tables that grow by the second: made before they are needed, dropped when too old.

The rule: only marks, comparisons, decision samples and orders that rest no more ever go; fills,
payments, breaks and adjustments never do.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from infra.postgres.engine import Database
from infra.postgres.tables import RESTING

GROWING: Final = {
    "equity": "at",
    "reconciliations": "began_at",
    "decision_samples": "at",
}
"""Tables kept by month, and the moment that says which."""

MONTHS_AHEAD: Final = 2
ORDER_MONTHS: Final = 60
"""How long orders are kept unless told otherwise: what is asked of high-frequency firms."""

_LOCK: Final = 0x6D6F6E746873

# A month is made or dropped under a lock that writers wait for: soon, or another time.
_SOON: Final = text("SET LOCAL lock_timeout = '2s'")
_ALONE: Final = text("SELECT pg_advisory_xact_lock(:key)")

_PARTS: Final = text("""
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass(:table)
""")

_NOW: Final = text("SELECT now()")

_ORDER_MARKETS: Final = text("""
WITH RECURSIVE markets AS (
    (SELECT venue, account, symbol FROM orders ORDER BY venue, account, symbol LIMIT 1)
    UNION ALL
    SELECT next.venue, next.account, next.symbol
    FROM markets m CROSS JOIN LATERAL (
        SELECT o.venue, o.account, o.symbol FROM orders o
        WHERE (o.venue, o.account, o.symbol) > (m.venue, m.account, m.symbol)
        ORDER BY o.venue, o.account, o.symbol LIMIT 1
    ) AS next
)
SELECT venue, account, symbol FROM markets
""")

_OLD_ORDERS: Final = text(f"""
DELETE FROM orders WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM orders
    WHERE venue = :venue AND account = :account AND symbol = :symbol AND sent_at < :before
        AND NOT ({RESTING})
    LIMIT :batch
)) AND NOT ({RESTING})
""")  # noqa: S608 - a constant of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much one round does: rows a transaction, transactions a table, rows moved to a month."""

    batch: int = 5_000
    batches: int = 400
    most_moved: int = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthsKept:
    """What one round did.

    `crowded` are months that got no partition because too many rows had come before it: those are
    read and kept all the same, only slower. `more` says that old rows are left for another round.
    """

    made: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    crowded: tuple[str, ...] = ()
    orders_deleted: int = 0
    more: bool = False


async def keep_partitions(
    database: Database,
    now: datetime,
    keep_months: int,
    *,
    order_months: int = ORDER_MONTHS,
    bounds: Bounds = Bounds(),
    drop: bool = True,
) -> MonthsKept:
    """Make this month and the next ones, drop those older than `keep_months` whole months.

    Orders older than `order_months` go too, in small batches. Without `drop` nothing goes. Safe to
    call at any time and from many processes; what was done before an error stays done. ValueError
    for fewer than one month, Unavailable from PostgreSQL.
    """
    for name, months in (("keep_months", keep_months), ("order_months", order_months)):
        if months < 1:
            raise ValueError(f"{name}: {months} months keep nothing; give 1 or more")
    made, dropped, crowded = list[str](), list[str](), list[str]()
    more = False
    for table in GROWING:
        parts = await _parts(database, table)
        for month in _months(now, MONTHS_AHEAD):
            name = f"{table}_{month:%Y_%m}"
            if name not in parts:
                done = await _make(database, table, name, month, bounds.most_moved)
                (made if done else crowded).append(name)
        if not drop:
            continue
        before = _back(now, keep_months)
        for name in sorted(parts):
            if _is_before(name, table, before):
                await _drop(database, name)
                dropped.append(name)
        more |= await _empty_default(database, table, before, bounds)
    deleted, left = 0, False
    if drop:
        deleted, left = await _delete_orders(database, _back(now, order_months), bounds)
    return MonthsKept(
        made=tuple(made),
        dropped=tuple(dropped),
        crowded=tuple(crowded),
        orders_deleted=deleted,
        more=more or left,
    )


async def database_time(database: Database) -> datetime:
    """What time it is by the database's clock. Raises Unavailable."""

    async def read(connection: AsyncConnection) -> datetime:
        now: datetime = (await connection.execute(_NOW)).scalar_one()
        return now

    return await database.transaction(read)


async def _parts(database: Database, table: str) -> set[str]:
    async def read(connection: AsyncConnection) -> set[str]:
        return set((await connection.execute(_PARTS, {"table": table})).scalars())

    return await database.transaction(read)


async def _make(
    database: Database, table: str, name: str, month: datetime, most_moved: int
) -> bool:
    """A partition with what the default one had of its month; False when that is too much."""
    key, given = GROWING[table], {"begins": month, "ends": _after(month)}
    within = f"{key} >= :begins AND {key} < :ends"
    waiting = text(
        f"SELECT count(*) FROM (SELECT FROM {table}_default WHERE {within} "  # noqa: S608
        f"LIMIT {most_moved + 1}) AS waiting"
    )
    moving = text(
        f"WITH moved AS (DELETE FROM {table}_default WHERE {within} RETURNING *) "  # noqa: S608
        f"INSERT INTO {name} SELECT * FROM moved"
    )

    async def make(connection: AsyncConnection) -> bool:
        await connection.execute(_ALONE, {"key": _LOCK})
        if name in set((await connection.execute(_PARTS, {"table": table})).scalars()):
            return True
        await connection.execute(_SOON)
        # Writers wait at the table itself: one that waited at the default partition would have its
        # row refused there once the month is a partition of its own.
        await connection.execute(text(f"LOCK TABLE ONLY {table} IN SHARE ROW EXCLUSIVE MODE"))
        await connection.execute(text(f"LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE"))
        if (await connection.execute(waiting, given)).scalar_one() > most_moved:
            return False
        await connection.execute(
            text(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
        )
        await connection.execute(moving, given)
        await connection.execute(
            text(
                f"ALTER TABLE {table} ATTACH PARTITION {name} "
                f"FOR VALUES FROM ('{month.isoformat()}') TO ('{_after(month).isoformat()}')"
            )
        )
        return True

    return await database.transaction(make)


async def _drop(database: Database, name: str) -> None:
    async def drop(connection: AsyncConnection) -> None:
        await connection.execute(_ALONE, {"key": _LOCK})
        await connection.execute(_SOON)
        await connection.execute(text(f"DROP TABLE IF EXISTS {name}"))

    await database.transaction(drop)


async def _empty_default(database: Database, table: str, before: datetime, bounds: Bounds) -> bool:
    """Delete old rows that lie in no month of their own; whether some are left."""
    key, part = GROWING[table], f"{table}_default"
    statement = text(
        f"DELETE FROM {part} WHERE ctid = ANY (ARRAY("  # noqa: S608 - names of ours
        f"SELECT ctid FROM {part} WHERE {key} < :before LIMIT :batch))"
    )
    for _ in range(bounds.batches):
        given = {"before": before, "batch": bounds.batch}
        if await _delete(database, statement, given) < bounds.batch:
            return False
    return True


async def _delete_orders(database: Database, before: datetime, bounds: Bounds) -> tuple[int, bool]:
    async def markets(connection: AsyncConnection) -> list[dict[str, Any]]:
        return [dict(row) for row in (await connection.execute(_ORDER_MARKETS)).mappings()]

    total, batches = 0, 0
    for market in await database.transaction(markets):
        given, deleted = {**market, "before": before, "batch": bounds.batch}, bounds.batch
        while deleted == bounds.batch:
            if batches == bounds.batches:
                return total, True
            deleted = await _delete(database, _OLD_ORDERS, given)
            total, batches = total + deleted, batches + 1
    return total, False


async def _delete(database: Database, statement: Any, given: dict[str, Any]) -> int:
    async def delete(connection: AsyncConnection) -> int:
        return int((await connection.execute(statement, given)).rowcount)

    return await database.transaction(delete)


def _months(now: datetime, ahead: int) -> list[datetime]:
    """Beginnings, in UTC, of the month of a moment and of the next ones."""
    found = [_back(now, 0)]
    for _ in range(ahead):
        found.append(_after(found[-1]))
    return found


def _back(now: datetime, months: int) -> datetime:
    """Beginning, in UTC, of the month so many months before that of a moment."""
    here = now.astimezone(UTC)
    years, index = divmod(here.year * 12 + here.month - 1 - months, 12)
    return datetime(years, index + 1, 1, tzinfo=UTC)


def _after(month: datetime) -> datetime:
    return _back(month, -1)


def _is_before(name: str, table: str, before: datetime) -> bool:
    """Whether a partition named for its month lies wholly before a month; others never do."""
    try:
        month = datetime.strptime(name.removeprefix(f"{table}_"), "%Y_%m").replace(tzinfo=UTC)
    except ValueError:
        return False
    return month < before
