"""The connection to PostgreSQL: every piece of work is one bounded transaction.

The rule: whatever goes wrong with the service comes out as `Unavailable`, and nothing hangs.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from desk.errors import ConfigurationFault, Unavailable

T = TypeVar("T")

TROUBLES: Final = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""What a missing, dying or frozen PostgreSQL shows itself as, through every layer."""

_ROLLED_BACK: Final = frozenset({"40001", "40P01"})
_ATTEMPTS: Final = 4


class Database:
    """One pool of connections; `timeout_s` bounds every transaction, waiting included."""

    def __init__(self, engine: AsyncEngine, *, timeout_s: float) -> None:
        self._engine = engine
        self._timeout_s = timeout_s

    async def transaction(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in one transaction and commit it.

        Repeats work that PostgreSQL rolled back for a deadlock or a serialization failure.
        Raises Unavailable for everything else that SQL or the network can raise.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._attempts(work)
        except TROUBLES as error:
            raise Unavailable(f"postgres: {sentence(error)}") from error

    async def attempt(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Like `transaction`, but errors come out as the drivers raised them."""
        async with asyncio.timeout(self._timeout_s):
            return await self._attempts(work)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    async def _attempts(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._once(work)
            except DBAPIError as error:
                if sqlstate(error) not in _ROLLED_BACK:
                    raise
        return await self._once(work)

    async def _once(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with self._engine.begin() as connection:
            return await work(connection)


def open_database(database_url: str, *, timeout_s: float = 5.0, connections: int = 8) -> Database:
    """Database behind a URL; connects on first use. ConfigurationFault for an unusable URL."""
    engine = open_engine(database_url, statement_timeout_s=timeout_s, connections=connections)
    return Database(engine, timeout_s=timeout_s + 1.0)


def open_engine(
    database_url: str, *, statement_timeout_s: float, connections: int, bounded: bool = True
) -> AsyncEngine:
    """Engine whose connections time out on both sides of the wire.

    With `bounded` false a statement may take as long as it takes.
    """
    milliseconds = str(int(statement_timeout_s * 1000))
    return create_async_engine(
        parse_url(database_url),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=statement_timeout_s,
        pool_pre_ping=True,
        connect_args={
            "timeout": min(statement_timeout_s, 3.0),
            "command_timeout": statement_timeout_s + 0.5 if bounded else None,
            "server_settings": {
                "application_name": "flotilla",
                "statement_timeout": milliseconds if bounded else "0",
                "idle_in_transaction_session_timeout": milliseconds,
                "TimeZone": "UTC",
            },
        },
    )


def parse_url(database_url: str) -> URL:
    """URL with the driver we use; ConfigurationFault, without the password, when it is none."""
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationFault(
            "database_url: cannot be read; write postgresql://USER:PASSWORD@HOST:PORT/NAME"
        ) from error
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise ConfigurationFault(
            f"database_url: '{url.get_backend_name()}' is not PostgreSQL; "
            "write postgresql://USER:PASSWORD@HOST:PORT/NAME"
        )
    return url.set(drivername="postgresql+asyncpg")


def sqlstate(error: BaseException) -> str | None:
    """Five-character PostgreSQL code of an error, None when it never reached the server."""
    source = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(source, "sqlstate", None)
    return code if isinstance(code, str) else None


def sentence(error: BaseException) -> str:
    """First line of what went wrong, without statement or parameters."""
    source = error.orig if isinstance(error, DBAPIError) and error.orig else error
    text = str(source).strip().splitlines()
    said = text[0].rpartition(">: ")[2] if text else ""
    return said or type(source).__name__
