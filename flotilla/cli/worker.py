"""`flotilla worker`: owns markets, or guards them, against the configured services.

Every role watches the leases of the whole fleet; the guardian does nothing else that needs a
market's session, so that it outlives what it guards.
"""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from socket import gethostname
from typing import Final

import click
import structlog
from temporalio.client import Client

from activities.ports import ActivityPorts
from flotilla.board_keeper import keep_board, keep_file
from flotilla.cli.services import guard_sentence
from flotilla.control import open_temporal
from flotilla.drill_schedules import make_drill_schedules
from flotilla.failures import one_fault
from flotilla.kill_keeper import kept_kills
from flotilla.roles import ROLES, run_worker
from flotilla.schedules import kept_schedules
from flotilla.wiring import open_ports, worker_name
from infra.kill_file import StateKillFile
from infra.settings import Settings, load_settings, misspelt_variables
from infra.telemetry.logging import set_up_logging
from infra.telemetry.setup import Telemetry, set_up
from infra.temporal.client import check_server
from infra.temporal.search_attributes import SEARCH_ATTRIBUTES, ensure_search_attributes
from quoting.dead_man import DeadMan

_MARKET_POLL_S: Final = 0.5
_GUARDIAN_POLL_S: Final = 0.25
_FIRST_RETRY_S: Final = 1.0
_LAST_RETRY_S: Final = 15.0
_LEAVE_S: Final = 10.0


@click.command()
@click.option(
    "--role",
    type=click.Choice(sorted(ROLES)),
    default="market",
    help="market: own markets. guardian: cancel what dead workers leave behind.",
)
def worker(role: str) -> None:
    """Run a worker. On SIGTERM or Ctrl-C its sessions cancel every order before it ends.

    Role guardian is a process of its own, best on another machine, with the same settings. Within
    seconds of a worker's death or freeze it cancels that worker's orders at the venue and raises an
    alert. It needs Redis, Postgres and the settings of every venue and account to guard; it starts
    and goes on without Temporal. Market workers guard each other in the same way: the guardian is
    for when the last one dies. 'flotilla up' and 'flotilla demo' run one.
    """
    settings = load_settings()
    set_up_logging(
        level=settings.log_level,
        folder=settings.data_dir / "logs",
        process=f"worker-{role}",
        secrets=settings.secrets(),
    )
    telemetry = set_up(settings.telemetry, role=role, fleet=settings.fleet, instance=worker_name())
    for sentence in misspelt_variables():
        _log().warning(sentence)
    try:
        with asyncio.Runner(loop_factory=fast_loop) as runner:
            runner.run(_run(settings, telemetry, role))
    finally:
        telemetry.close()


def fast_loop() -> asyncio.AbstractEventLoop:
    """Uvloop where there is one."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _run(settings: Settings, telemetry: Telemetry, role: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with one_fault():
        if role == "guardian":
            await _guard(settings, telemetry, stop)
        else:
            await _work(settings, telemetry, stop)
    _log().info("worker ended in good order")


async def _work(settings: Settings, telemetry: Telemetry, stop: asyncio.Event) -> None:
    """Own markets; the watch over leases goes on until the last session has ended."""
    async with (
        open_temporal(settings) as client,
        open_ports(settings, telemetry) as ports,
        _brakes(settings, ports, poll_s=_MARKET_POLL_S),
    ):
        await _prepare(client, settings)
        _spare_the_collector()
        _log().info("worker ready", role="market", worker=ports.worker)
        async with kept_schedules(client, settings), kept_kills(client, ports, settings.fleet):
            await run_worker(client, ports, stop, role="market")


async def _guard(settings: Settings, telemetry: Telemetry, stop: asyncio.Event) -> None:
    """Watch leases at once, and serve the brakes' task queue whenever Temporal is there."""
    async with (
        open_ports(settings, telemetry) as ports,
        _brakes(settings, ports, poll_s=_GUARDIAN_POLL_S),
    ):
        _spare_the_collector()
        _log().info("worker ready", role="guardian", worker=ports.worker)
        _log().info(guard_sentence(settings))
        serving = asyncio.create_task(_serve_brakes(settings, ports, stop))
        try:
            await stop.wait()
            await asyncio.wait([serving], timeout=_LEAVE_S)
        finally:
            await _end(serving)


@asynccontextmanager
async def _brakes(
    settings: Settings, ports: ActivityPorts, *, poll_s: float
) -> AsyncIterator[None]:
    """What every worker does beside its role: watch the leases, keep kill board and KILL file."""
    file = StateKillFile(settings.state_dir / "KILL")
    tell = structlog.get_logger("flotilla.dead_man").warning
    jobs: tuple[Callable[[], Awaitable[None]], ...] = (
        DeadMan(ports, poll_s=poll_s, tell=tell).run,
        partial(keep_board, ports),
        partial(keep_file, ports, file, gethostname()),
    )
    async with asyncio.TaskGroup() as tasks:
        brakes = [tasks.create_task(_unending(job)) for job in jobs]
        try:
            yield
        finally:
            for brake in brakes:
                brake.cancel()


async def _unending(job: Callable[[], Awaitable[None]]) -> None:
    """Begin it again whenever it fails: a bug in one brake must not take the others away."""
    while True:
        try:
            await job()
        except Exception:  # noqa: BLE001 - whatever it is, it is told and tried again
            _log().exception("a brake failed and is begun again")
        await asyncio.sleep(_FIRST_RETRY_S)


async def _serve_brakes(settings: Settings, ports: ActivityPorts, stop: asyncio.Event) -> None:
    """Poll Temporal until told to stop; its absence or errors do not end the guarding."""
    wait_s, said = _FIRST_RETRY_S, ""
    while not stop.is_set():
        try:
            async with open_temporal(settings) as client:
                await _prepare(client, settings)
                _log().info("the brakes' task queue is served", role="guardian")
                wait_s, said = _FIRST_RETRY_S, ""
                async with (
                    kept_schedules(client, settings),
                    kept_kills(client, ports, settings.fleet),
                ):
                    await run_worker(client, ports, stop, role="guardian")
        except Exception as error:  # noqa: BLE001 - guarding does not depend on Temporal
            if str(error) != said:
                _log().warning("guarding without Temporal; it is tried again", trouble=str(error))
            said = str(error)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await stop.wait()
        wait_s = min(_LAST_RETRY_S, wait_s * 2)


async def _prepare(client: Client, settings: Settings) -> None:
    await ensure_search_attributes(client, SEARCH_ATTRIBUTES)
    for made in await make_drill_schedules(client, settings):
        _log().info("drill scheduled", schedule=made)
    for problem in await check_server(client):
        _log().warning(problem)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _spare_the_collector() -> None:
    """What was made while starting lives as long as the process: it need not be looked at."""
    gc.collect()
    gc.freeze()


def _log() -> structlog.stdlib.BoundLogger:
    log: structlog.stdlib.BoundLogger = structlog.get_logger("flotilla.worker")
    return log
