"""Databases with the program's schema, lent to one test at a time and emptied in between.

Making one and migrating it takes half a second of processor time, hundreds of times in a run.
"""

import asyncpg

from infra.postgres.schema import upgrade
from tests.support.services import Services

_SHAPE = """
SELECT md5(string_agg(line, ';' ORDER BY line)) FROM (
  SELECT concat_ws(' ', attrelid::regclass, attname, atttypid, attnotnull,
                   pg_get_expr(adbin, adrelid)) AS line
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
  WHERE relnamespace = 'public'::regnamespace AND NOT attisdropped
  UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index
    JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = 'public'::regnamespace
  UNION ALL SELECT concat_ws(' ', conrelid::regclass, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
  UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
  UNION ALL SELECT version_num FROM alembic_version
  UNION ALL SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
) AS lines
"""
_ALONE = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_EMPTY = """
SELECT string_agg(format(CASE relkind WHEN 'S' THEN 'ALTER SEQUENCE %I RESTART'
                                      ELSE 'DELETE FROM %I' END, relname), ';')
FROM pg_class WHERE relnamespace = 'public'::regnamespace
  AND (relkind = 'S' OR relkind = 'r' AND relname <> 'alembic_version')
"""


class Databases:
    """Of one process. What a test left in another shape than it got is dropped, not lent again."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._free: list[str] = []
        self._shape: str | None = None

    def lend(self) -> str:
        """Address of a database with all tables and no rows."""
        if self._free:
            return self._free.pop()
        url = self._services.new_database()
        self._services.run(self._migrated(url))
        return url

    def take_back(self, url: str) -> None:
        """Cut whoever is still connected, and empty it; a changed one is dropped."""
        if self._services.run(self._emptied(url)):
            self._free.append(url)
        else:
            self._services.drop_database(url)

    async def _migrated(self, url: str) -> None:
        await upgrade(url)
        session = await _open(url)
        try:
            self._shape = await session.fetchval(_SHAPE)
        finally:
            await session.close()

    async def _emptied(self, url: str) -> bool:
        session = await _open(url)
        try:
            await session.execute(_ALONE)
            if await session.fetchval(_SHAPE) != self._shape:
                return False
            async with session.transaction():
                # Deleted in any order, and no trigger makes new rows of it.
                await session.execute("SET LOCAL session_replication_role = replica")
                await session.execute(await session.fetchval(_EMPTY))
        except asyncpg.PostgresError:  # not even its tables are there
            return False
        finally:
            await session.close()
        return True


async def _open(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url.replace("+asyncpg", ""), ssl=False)
