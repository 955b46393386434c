"""A migrated ledger of the test's own, its reader, and a way to run a writer."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from infra.postgres.engine import Database, open_database
from infra.postgres.reader import PostgresLedger
from infra.postgres.schema import upgrade
from tests.infra.postgres.running import Written, running_writer
from tests.infra.postgres.server import ScratchPostgres

StartWriter = Callable[..., AbstractAsyncContextManager[Written]]


@pytest.fixture
def database_url(bare_database_url: str) -> str:
    """A fresh one: plans, versions and migrations show what others did to a used one."""
    return bare_database_url


@pytest.fixture
async def ledger_url(database_url: str) -> str:
    await upgrade(database_url)
    return database_url


@pytest.fixture
async def database(ledger_url: str) -> AsyncIterator[Database]:
    database = open_database(ledger_url)
    yield database
    await database.close()


@pytest.fixture
def ledger(database: Database) -> PostgresLedger:
    return PostgresLedger(database)


@pytest.fixture
def start_writer(ledger_url: str, tmp_path: Path) -> StartWriter:
    def start(**settings: Any) -> AbstractAsyncContextManager[Written]:
        return running_writer(**{"url": ledger_url, "folder": tmp_path / "spool", **settings})

    return start


@pytest.fixture
async def scratch() -> AsyncIterator[ScratchPostgres]:
    # Not under tmp_path: an unprivileged server cannot walk through pytest's private folders.
    with TemporaryDirectory() as folder:
        server = ScratchPostgres(Path(folder))
        server.create()
        try:
            await server.start()
            yield server
        finally:
            server.kill()
