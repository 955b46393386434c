"""Runs a ledger writer for the length of a block, as a worker process would."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from infra.postgres.alerts import PostgresAlerts
from infra.postgres.engine import open_database
from infra.postgres.spool import Spool
from infra.postgres.writer import PostgresLedgerWriter
from tests.infra.postgres.clock import RunningClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A running writer and the folder it spools to."""

    writer: PostgresLedgerWriter
    folder: Path


@asynccontextmanager
async def running_writer(
    *, url: str, folder: Path, name: str = "worker", drain_s: float = 3.0, timeout_s: float = 5.0
) -> AsyncIterator[Written]:
    database = open_database(url, timeout_s=timeout_s, connections=2)
    writer = PostgresLedgerWriter(
        database=database,
        spool=Spool(folder, name=name),
        clock=RunningClock(),
        alerts=PostgresAlerts(database),
        drain_s=drain_s,
    )
    task = asyncio.create_task(writer.run())
    try:
        yield Written(writer=writer, folder=folder)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        writer.close()
        await database.close()
