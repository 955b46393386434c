"""The only place where adapters meet decisions: ports for activities, made from settings."""

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from activities.ports import ActivityPorts
from desk.errors import ConfigurationFault
from flotilla.directory import Directory
from flotilla.meter import MarketMeter
from infra.clock import SystemClock
from infra.kill_file import StateKillFile
from infra.postgres.alerts import PostgresAlerts
from infra.postgres.engine import open_database
from infra.postgres.reader import PostgresLedger
from infra.postgres.schema import upgrade
from infra.postgres.writer import PostgresLedgerWriter
from infra.redis.connection import open_redis
from infra.redis.kill_board import RedisKillBoard
from infra.redis.leases import RedisLeases
from infra.settings import Settings
from infra.telemetry.setup import Meters


def kill_file(settings: Settings) -> StateKillFile:
    """`state/KILL` where the settings say."""
    return StateKillFile(settings.state_dir / "KILL")


@asynccontextmanager
async def open_ports(settings: Settings, meters: Meters) -> AsyncIterator[ActivityPorts]:
    """Everything activities need, connected; what was queued is written before it closes."""
    database_url, redis_url = service_urls(settings)
    await upgrade(database_url)
    database = open_database(database_url)
    redis = open_redis(redis_url)
    clock = SystemClock()
    alerts = PostgresAlerts(database)
    writer = PostgresLedgerWriter(
        database, clock=clock, spool=settings.data_dir / "spool", alerts=alerts
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(writer.run())
            directory = Directory(tasks, settings.venue, clock, random.SystemRandom())
            try:
                yield ActivityPorts(
                    worker=f"{socket.gethostname()}:{os.getpid()}",
                    venues=directory,
                    lease=RedisLeases(redis, fleet=settings.fleet),
                    board=RedisKillBoard(redis, fleet=settings.fleet),
                    kill_file=kill_file(settings),
                    writer=writer,
                    ledger=PostgresLedger(database),
                    alerts=alerts,
                    clock=clock,
                    meter=lambda market: MarketMeter(meters, market),
                )
            finally:
                await directory.close()
                writing.cancel()
                with suppress(asyncio.CancelledError):
                    await writing
    finally:
        await redis.aclose()
        await database.close()


def service_urls(settings: Settings) -> tuple[str, str]:
    """Database and Redis addresses; ConfigurationFault when nothing says where they are."""
    for name, value in (
        ("FLOTILLA_DATABASE_URL", settings.database_url),
        ("FLOTILLA_REDIS_URL", settings.redis_url),
    ):
        if not value:
            raise ConfigurationFault(
                f"{name}: no such service is known; run 'flotilla up' in another terminal, "
                f"or set {name}"
            )
    return str(settings.database_url), str(settings.redis_url)


