"""`flotilla worker`: owns markets against the configured services until told to stop."""

import asyncio
import gc
import signal

import click
import structlog

from flotilla.board_keeper import keep_board
from flotilla.control import open_temporal
from flotilla.roles import ROLES, run_worker
from flotilla.wiring import open_ports, worker_name
from infra.settings import Settings, load_settings, misspelt_variables
from infra.telemetry.logging import set_up_logging
from infra.telemetry.setup import Telemetry, set_up
from infra.temporal.client import check_server
from infra.temporal.search_attributes import SEARCH_ATTRIBUTES, ensure_search_attributes


@click.command()
@click.option(
    "--role", type=click.Choice(sorted(ROLES)), default="market", help="What this worker does."
)
def worker(role: str) -> None:
    """Run a worker. On SIGTERM or Ctrl-C its sessions cancel every order before it ends."""
    settings = load_settings()
    set_up_logging(
        level=settings.log_level,
        folder=settings.data_dir / "logs",
        process=f"worker-{role}",
        secrets=settings.secrets(),
    )
    telemetry = set_up(settings.telemetry, role=role, fleet=settings.fleet, instance=worker_name())
    for sentence in misspelt_variables():
        structlog.get_logger("flotilla.worker").warning(sentence)
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
    log = structlog.get_logger("flotilla.worker")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with open_temporal(settings) as client, open_ports(settings, telemetry) as ports:
        await ensure_search_attributes(client, SEARCH_ATTRIBUTES)
        for problem in await check_server(client):
            log.warning(problem)
        # What was made while starting lives as long as the process: the collector need not look.
        gc.collect()
        gc.freeze()
        log.info("worker ready", role=role, worker=ports.worker)
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(keep_board(ports.board, ports.ledger))
            await run_worker(client, ports, stop, role=role)
            keeping.cancel()
        log.info("worker ended in good order")
