"""`flotilla up`: Temporal with its UI, PostgreSQL and Valkey on this machine, in the foreground.

A guardian runs beside them as long as they do, so that one machine with one worker is protected.
"""

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path

import click

from flotilla.accounts import accounts_with_credentials
from flotilla.cli.render import emit_json, talk
from flotilla.demo.children import GUARDIAN, Child
from flotilla.failures import one_fault
from infra.embedded.ports import PortWishes
from infra.embedded.stack import EmbeddedStack
from infra.settings import Settings, external_services, load_settings
from infra.telemetry.logging import set_up_logging
from venues.registry import BUILDERS


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Databases, logs and services.json (default: FLOTILLA_DATA_DIR or ./data).",
)
@click.option("--ui-port", type=int, default=None, help="Port of the Temporal UI.")
@click.option("--json", "as_json", is_flag=True, help="Print the addresses as JSON on stdout.")
def up(data_dir: Path | None, ui_port: int | None, *, as_json: bool) -> None:
    """Run the services until Ctrl-C; a service given by URL is used and not started.

    Other flotilla commands of this machine find them through the data folder. A guardian
    ('flotilla worker --role guardian') runs with them: give this command the settings of your
    venues too, and it cancels the orders of workers that die.
    """
    settings = load_settings(data_dir=data_dir)
    set_up_logging(
        level=settings.log_level,
        folder=settings.data_dir / "logs",
        process="up",
        secrets=settings.secrets(),
    )
    asyncio.run(_run(settings, ui_port, as_json=as_json))


def wishes(ui_port: int | None) -> PortWishes:
    """Ports the user demands; a taken one is refused in a sentence."""
    return PortWishes(demanded={} if ui_port is None else {"ui": ui_port})


def guard_sentence(settings: Settings) -> str:
    """Which accounts a guardian with these settings can clear, or how to give it some."""
    guarded = [
        f"{name}/{account}"
        for name in sorted(BUILDERS)
        for account in accounts_with_credentials(
            [*settings.venue(name).values, *settings.venue(name).secrets]
        )
    ]
    if not guarded:
        return (
            "guards the markets of venues it knows, and knows none; set "
            "FLOTILLA_VENUE_<NAME>__<KEY> as for a worker, and start again"
        )
    return f"guards the markets of {', '.join(guarded)}: it clears what dead workers leave behind"


async def _run(settings: Settings, ui_port: int | None, *, as_json: bool) -> None:
    stop, data_dir = asyncio.Event(), settings.data_dir.absolute()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    guardian = Child("guardian", GUARDIAN, log=data_dir / "logs" / "guardian.out")
    async with EmbeddedStack(
        data_dir, external=external_services(), ports=wishes(ui_port)
    ) as stack:
        for note in stack.notes:
            talk(note)
        if as_json:
            emit_json({"ui_url": stack.ui_url, "temporal_address": stack.temporal_address})
        talk(f"Temporal UI: {stack.ui_url}/namespaces/default/workflows")
        talk(f"Temporal:    {stack.temporal_address}")
        talk(f"data:        {data_dir}; Ctrl-C stops everything in good order")
        talk(f"guardian:    {guard_sentence(settings)}")
        await _guarded(guardian, {"FLOTILLA_DATA_DIR": str(data_dir)}, stop)


async def _guarded(guardian: Child, environment: Mapping[str, str], stop: asyncio.Event) -> None:
    """Keep the guardian running until told to stop; it ends before the services it needs."""
    await guardian.start(environment)
    try:
        async with one_fault(), asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(guardian.watch(environment, restart=True, tell=talk))
            await stop.wait()
            talk("stopping")
            watching.cancel()
    finally:
        await guardian.stop()
