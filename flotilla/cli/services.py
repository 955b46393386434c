"""`flotilla up`: Temporal with its UI, PostgreSQL and Valkey on this machine, in the foreground."""

import asyncio
import signal
from pathlib import Path

import click

from flotilla.cli.render import emit_json, talk
from infra.embedded.ports import PortWishes
from infra.embedded.stack import EmbeddedStack
from infra.settings import external_services, load_settings
from infra.telemetry.logging import set_up_logging


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

    Other flotilla commands of this machine find them through the data folder.
    """
    settings = load_settings(data_dir=data_dir)
    set_up_logging(
        level=settings.log_level,
        folder=settings.data_dir / "logs",
        process="up",
        secrets=settings.secrets(),
    )
    asyncio.run(_run(settings.data_dir.absolute(), ui_port, as_json=as_json))


def wishes(ui_port: int | None) -> PortWishes:
    """Ports the user demands; a taken one is refused in a sentence."""
    return PortWishes(demanded={} if ui_port is None else {"ui": ui_port})


async def _run(data_dir: Path, ui_port: int | None, *, as_json: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
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
        await stop.wait()
        talk("stopping")
