"""Brings a database to this program's schema, once, however many processes start together.

The rule: all migrations run in one transaction under one lock; a database we do not fully know is
refused in a sentence and left as it was.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.errors import ConfigurationFault, Unavailable
from infra.postgres.arbitrage_tables import ledger
from infra.postgres.engine import TROUBLES, open_engine, sentence, sqlstate

if TYPE_CHECKING:  # loaded where it is used: most commands do without, and start sooner
    from alembic.config import Config

# Not structlog: where nobody set logging up, in most commands, stdout is for data alone.
_log = logging.getLogger(__name__)

_KEY: Final = {"key": 0x666C6F74696C6C61}
_OLDEST_SERVER: Final = 140_000
_TIMEOUT_S: Final = 60.0
_TABLE_IN_USE: Final = "55P03"


async def upgrade(database_url: str) -> None:
    """Create or migrate the ledger's tables; safe to call from many processes at once.

    Takes as long as the rows ask for, minutes for years of them, and says in the log how far it
    is. A process that finds another one at it waits for its end.

    Raises ConfigurationFault for a database that is newer, foreign or too old a PostgreSQL, and
    Unavailable when it cannot be reached or another program keeps a table in use.
    """
    await _in_transaction(database_url, lambda connection: _move(connection, "head"))


async def downgrade(database_url: str, revision: str = "base") -> None:
    """Go back to an older schema; destroys what the newer one added. Raises as `upgrade`."""
    await _in_transaction(database_url, lambda connection: _move(connection, revision))


async def check_version(database_url: str) -> None:
    """Do nothing when the database has exactly this program's schema; raises as `upgrade`.

    An older schema, or none, is a ConfigurationFault too: this call changes nothing.
    """
    await _in_transaction(database_url, _require_head)


def version_fault(server: int, found: str | None, known: tuple[str, ...]) -> str | None:
    """Why a database cannot be used, in one sentence; None when it can be, perhaps migrated.

    `server` is PostgreSQL's server_version_num, `found` the database's revision (None when it
    has none), `known` this program's revisions, newest first.
    """
    if server < _OLDEST_SERVER:
        return f"database: PostgreSQL {server // 10_000} is too old; use version 14 or newer"
    if found is None or found in known:
        return None
    if found.isdigit() and int(found) > int(known[0]):
        return (
            f"database: schema {found} is newer than this program's {known[0]}; "
            "upgrade flotilla or use another database"
        )
    return f"database: schema '{found}' is not one of flotilla's; use another database"


async def _in_transaction(database_url: str, work: Callable[[Connection], None]) -> None:
    engine = open_engine(database_url, statement_timeout_s=_TIMEOUT_S, connections=1, bounded=False)
    try:
        async with engine.begin() as connection:
            await _lock(connection)
            await connection.run_sync(work)
    except TROUBLES as error:
        if sqlstate(error) == _TABLE_IN_USE:
            raise Unavailable(
                f"postgres: a table to migrate was in use for {_TIMEOUT_S:.0f} s; "
                "stop what uses this database, then start again"
            ) from error
        raise Unavailable(f"postgres: {sentence(error)}") from error
    finally:
        await engine.dispose()


async def _lock(connection: AsyncConnection) -> None:
    """Have the database alone, however long another process has it to migrate it."""
    # What does not answer now is found out here, since no statement after this one is bounded.
    async with asyncio.timeout(_TIMEOUT_S):
        free = await connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), _KEY)
    if not free.scalar_one():
        _log.info("database waits its turn: another process checks or migrates it")
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), _KEY)
    await connection.execute(text(f"SET LOCAL lock_timeout = '{_TIMEOUT_S:.0f}s'"))


def _move(connection: Connection, revision: str) -> None:
    from alembic import command  # noqa: PLC0415

    settings = _settings(connection)
    found = _check(connection, settings)
    if revision == "head":
        if found and found != (head := _known(settings)[0]):
            _log.info("database is migrated from %s to %s, which may take minutes", found, head)
        command.upgrade(settings, revision)
    else:
        command.downgrade(settings, revision)


def _require_head(connection: Connection) -> None:
    settings = _settings(connection)
    found = _check(connection, settings)
    head = _known(settings)[0]
    if found != head:
        raise ConfigurationFault(
            f"database: schema {found or 'none'} is older than this program's {head}; "
            "run flotilla up, which migrates it"
        )


def _check(connection: Connection, settings: "Config") -> str | None:
    server = int(connection.execute(text("SHOW server_version_num")).scalar_one())
    found = _revision(connection)
    fault = version_fault(server, found, _known(settings)) or _foreign_tables(connection, found)
    if fault:
        raise ConfigurationFault(fault)
    return found


def _revision(connection: Connection) -> str | None:
    if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar_one() is None:
        return None
    newest = text("SELECT max(version_num) FROM alembic_version")
    found: str | None = connection.execute(newest).scalar_one()
    return found


def _foreign_tables(connection: Connection, found: str | None) -> str | None:
    if found is not None:
        return None
    taken = connection.execute(
        text(
            "SELECT min(relname) FROM pg_class WHERE oid = ANY (SELECT to_regclass(n) "
            "FROM unnest(CAST(:names AS text[])) AS n)"
        ),
        {"names": list(ledger.tables)},
    ).scalar_one()
    if taken is None:
        return None
    return f"database: already has a table '{taken}' of another program; use an empty database"


def _known(settings: "Config") -> tuple[str, ...]:
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    scripts = ScriptDirectory.from_config(settings)
    return tuple(script.revision for script in scripts.walk_revisions())


def _settings(connection: Connection) -> "Config":
    from alembic.config import Config  # noqa: PLC0415

    settings = Config()
    folder = str(Path(__file__).parent / "migrations")
    settings.set_main_option("script_location", folder.replace("%", "%%"))
    settings.attributes["connection"] = connection
    return settings
