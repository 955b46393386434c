"""The only place where adapters meet decisions: ports for activities, made from settings."""

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog

from activities.ports import ActivityPorts
from desk.arbitrage_ports import ArbitrageBook, ClaimPort
from desk.book_ports import BreakBook, ReconciliationBook
from desk.control_ports import KillAnswers, OwnershipBook
from desk.drill_ports import DrillBook, DrillGround
from desk.errors import ConfigurationFault, Unavailable
from desk.history_ports import HistoryBook
from desk.identity import MarketId
from desk.ports import KillBoard, LedgerReader
from flotilla.directory import Directory
from flotilla.failures import one_fault
from flotilla.meter import MarketMeter
from flotilla.panic_process import run_panic
from flotilla.tracing import open_traces
from flotilla.upkeep import upkeep_of
from infra.clock import SystemClock
from infra.kill_file import StateKillFile
from infra.postgres.alerts import PostgresAlerts
from infra.postgres.arbitrage import PostgresArbitrageBook
from infra.postgres.arbitrage_waivers import PostgresWaivers
from infra.postgres.breaks import PostgresBreaks
from infra.postgres.drills import PostgresDrills
from infra.postgres.engine import Database, open_database
from infra.postgres.hedges import PostgresHedgeBook
from infra.postgres.history import PostgresHistory
from infra.postgres.kill_answers import PostgresKillAnswers
from infra.postgres.losses import PostgresLossBook
from infra.postgres.ownership import PostgresOwnership
from infra.postgres.payments import PostgresPayments
from infra.postgres.reader import PostgresLedger
from infra.postgres.reconciliations import PostgresReconciliations
from infra.postgres.samples import PostgresSamples
from infra.postgres.schema import upgrade
from infra.postgres.spool import Spool
from infra.postgres.writer import PostgresLedgerWriter
from infra.redis.arbitrage_claims import RedisArbitrageClaims
from infra.redis.connection import open_redis
from infra.redis.kill_board import RedisKillBoard
from infra.redis.leases import RedisLeases
from infra.redis.rate_shares import RedisRateShares
from infra.saved_files import SavedFolder
from infra.settings import Settings
from infra.telemetry import catalogue
from infra.telemetry.setup import Telemetry


def worker_name() -> str:
    """This process in leases and records."""
    return f"{socket.gethostname()}-{os.getpid()}"


@asynccontextmanager
async def open_ports(settings: Settings, telemetry: Telemetry) -> AsyncIterator[ActivityPorts]:
    """Everything decisions need, connected; what was queued is written before it closes.

    Raises ConfigurationFault for services nobody named and for a database of another version,
    Unavailable when one does not answer.
    """
    database_url, redis_url = service_urls(settings)
    await upgrade(database_url)
    database, redis = open_database(database_url), open_redis(redis_url)
    clock, alerts = SystemClock(), PostgresAlerts(database)
    writer = PostgresLedgerWriter(
        database=database,
        spool=Spool(settings.data_dir / "spool", name=worker_name()),
        clock=clock,
        alerts=alerts,
    )
    telemetry.observe(catalogue.LEDGER_BEHIND, writer.behind_s)
    try:
        async with one_fault(), asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(writer.run())
            traces = open_traces(settings, clock, PostgresSamples(database), worker_name())
            tracing = tasks.create_task(traces.run())
            rates = RedisRateShares(redis, fleet=settings.fleet)
            leases = RedisLeases(redis, fleet=settings.fleet)
            directory = Directory(tasks, settings, clock, random.SystemRandom(), rates)
            try:
                yield ActivityPorts(
                    worker=worker_name(),
                    fleet=settings.fleet,
                    venues=directory,
                    lease=leases,
                    lost=leases,
                    holders=leases,
                    board=RedisKillBoard(redis, fleet=settings.fleet),
                    kill_file=StateKillFile(settings.state_dir / "KILL"),
                    writer=writer,
                    ledger=PostgresLedger(database),
                    hedges=PostgresHedgeBook(database),
                    claims=RedisArbitrageClaims(redis, fleet=settings.fleet),
                    trades=PostgresArbitrageBook(database),
                    waivers=PostgresWaivers(database),
                    answers=PostgresKillAnswers(database),
                    ownership=PostgresOwnership(database),
                    losses=PostgresLossBook(database),
                    payments=PostgresPayments(database),
                    breaks=PostgresBreaks(database),
                    reconciliations=PostgresReconciliations(database),
                    upkeep=upkeep_of(database, settings, alerts),
                    break_rules=settings.rules(),
                    cap_rules=settings.caps(),
                    days=settings.days(),
                    drills=DrillGround(
                        markets=frozenset(map(MarketId.parse, settings.drill_markets)),
                        book=PostgresDrills(database),
                        panic=run_panic,
                    ),
                    alerts=alerts,
                    clock=clock,
                    meter=lambda market: MarketMeter(telemetry, market),
                    traces=traces,
                    saved=SavedFolder(settings.data_dir / "saved"),
                    holds_on_trace=settings.recovery_trace == "hold",
                    max_unrecorded_intents=settings.max_unrecorded_intents,
                    log=structlog.get_logger("flotilla.recovery").warning,
                )
            finally:
                await directory.close()
                for job in (tracing, writing):
                    job.cancel()
                    with suppress(asyncio.CancelledError):
                        await job
                if lost := traces.unrecorded:
                    with suppress(Unavailable):  # it is in the log by then
                        await alerts.alert(None, "warning", lost)
    finally:
        writer.close()
        await redis.aclose()
        await database.close()


@asynccontextmanager
async def open_board(settings: Settings) -> AsyncIterator[KillBoard]:
    """The kill board alone: needs Redis and nothing else. ConfigurationFault when unnamed."""
    redis = open_redis(_named("FLOTILLA_REDIS_URL", settings.redis_url))
    try:
        yield RedisKillBoard(redis, fleet=settings.fleet)
    finally:
        await redis.aclose()


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[LedgerReader]:
    """The ledger alone: needs Postgres and nothing else. Raises as `open_ports`."""
    async with _database(settings) as database:
        yield PostgresLedger(database)


@asynccontextmanager
async def open_kill_record(
    settings: Settings,
) -> AsyncIterator[tuple[LedgerReader, KillAnswers]]:
    """Kills and their answers alone: needs Postgres and nothing else. Raises as `open_ports`."""
    async with _database(settings) as database:
        yield PostgresLedger(database), PostgresKillAnswers(database)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The record of comparisons and of the breaks they found, and of what was ever ours."""

    reconciliations: ReconciliationBook
    breaks: BreakBook
    ownership: OwnershipBook


@asynccontextmanager
async def open_books(settings: Settings) -> AsyncIterator[Books]:
    """The record of comparisons and breaks alone: needs Postgres, nothing else. As `open_ports`."""
    async with _database(settings) as database:
        yield Books(
            reconciliations=PostgresReconciliations(database),
            breaks=PostgresBreaks(database),
            ownership=PostgresOwnership(database),
        )


@asynccontextmanager
async def open_history(settings: Settings) -> AsyncIterator[HistoryBook]:
    """The past, for people: needs Postgres and nothing else. Raises as `open_ports`."""
    async with _database(settings) as database:
        yield PostgresHistory(database)


@asynccontextmanager
async def open_owned(
    settings: Settings,
) -> AsyncIterator[tuple[KillAnswers, OwnershipBook, ReconciliationBook]]:
    """What was ever ours, alone: needs Postgres and nothing else. Raises as `open_ports`."""
    async with _database(settings) as database:
        yield (
            PostgresKillAnswers(database),
            PostgresOwnership(database),
            PostgresReconciliations(database),
        )


@asynccontextmanager
async def open_breaks(settings: Settings) -> AsyncIterator[BreakBook]:
    """The record of breaks alone: needs Postgres and nothing else. Raises as `open_ports`."""
    async with _database(settings) as database:
        yield PostgresBreaks(database)


@asynccontextmanager
async def open_samples(settings: Settings) -> AsyncIterator[PostgresSamples]:
    """Sampled decisions alone: needs Postgres and nothing else. Raises as `open_ports`."""
    async with _database(settings) as database:
        yield PostgresSamples(database)


@asynccontextmanager
async def open_drills(settings: Settings) -> AsyncIterator[DrillBook]:
    """The record of drills alone: needs Postgres and nothing else. Raises as `open_ports`."""
    async with _database(settings) as database:
        yield PostgresDrills(database)


@asynccontextmanager
async def open_trades(settings: Settings) -> AsyncIterator[ArbitrageBook]:
    """The record of arbitrage alone: needs Postgres and nothing else. Raises as `open_ports`."""
    async with _database(settings) as database:
        yield PostgresArbitrageBook(database)


@asynccontextmanager
async def open_claims(settings: Settings) -> AsyncIterator[ClaimPort]:
    """Claims of arbitrage alone: needs Redis and nothing else. ConfigurationFault when unnamed."""
    redis = open_redis(_named("FLOTILLA_REDIS_URL", settings.redis_url))
    try:
        yield RedisArbitrageClaims(redis, fleet=settings.fleet)
    finally:
        await redis.aclose()


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    """The ledger's database, its tables brought up to date. Raises as `open_ports`."""
    database_url = _named("FLOTILLA_DATABASE_URL", settings.database_url)
    await upgrade(database_url)
    database = open_database(database_url)
    try:
        yield database
    finally:
        await database.close()


def service_urls(settings: Settings) -> tuple[str, str]:
    """Database and Redis addresses; ConfigurationFault when nothing says where they are."""
    return (
        _named("FLOTILLA_DATABASE_URL", settings.database_url),
        _named("FLOTILLA_REDIS_URL", settings.redis_url),
    )


def _named(name: str, url: str | None) -> str:
    if not url:
        raise ConfigurationFault(
            f"{name}: no such service is known; run 'flotilla up' in another terminal, "
            f"or set {name}"
        )
    return url
