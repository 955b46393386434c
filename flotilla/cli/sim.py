"""`flotilla sim ocx`: a venue's own wire protocol on loopback, with a counter-flow and faults."""

import asyncio
import random
import secrets
import signal
from contextlib import suppress
from pathlib import Path

import click

from desk.errors import ConfigurationFault
from flotilla.cli.render import emit_json, talk
from flotilla.directory import MAIN
from flotilla.simulated import RATE_PER_MINUTE, ocx_settings, symbols
from infra.secrets import read_or_create_secret
from venues.ocx.simulator.server import serve
from venues.ocx.simulator.settings import SimulatorSettings

_NAMED = 10


@click.group()
def sim() -> None:
    """Simulated venues on this machine, for drills, tests and paper quoting."""


@sim.command()
@click.option("--port", type=int, default=0, help="Port on loopback; 0 takes a free one.")
@click.option("--markets", "count", type=click.IntRange(1, 200), default=3, help="How many.")
@click.option("--regime", default="calm", help="Counter-flow: calm, trending, jump or illiquid.")
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A recording (Parquet) to replay in every market instead of the counter-flow.",
)
@click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Faults to inject, as JSON.",
)
@click.option("--rate-per-minute", type=int, default=RATE_PER_MINUTE, help="Order requests.")
@click.option("--seed", type=int, default=None, help="Seed of the counter-flow (default: any).")
@click.option(
    "--key-file",
    "key_files",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    multiple=True,
    help="File with an account's API key (0600); made when it does not exist. The first is of "
    "account main; each further one opens an account named like its file.",
)
def ocx(
    port: int,
    count: int,
    regime: str,
    replay: Path | None,
    faults: Path | None,
    rate_per_minute: int,
    seed: int | None,
    key_files: tuple[Path, ...],
) -> None:
    """Serve the simulated OCX until Ctrl-C; prints {"base_url": …} when ready."""
    chosen = secrets.randbits(32) if seed is None else seed
    named = ", ".join(symbols(count, replay)[:_NAMED])
    talk(f"seed {chosen}; {count} markets: {named}{' …' if count > _NAMED else ''}")
    settings = ocx_settings(
        count=count,
        regime=regime,
        replay=replay,
        keys={
            path.stem if number else MAIN: read_or_create_secret(path, "--key-file")
            for number, path in enumerate(key_files)
        },
        rate_per_minute=rate_per_minute,
    )
    try:
        asyncio.run(_serve_until_told(settings, port, chosen, faults))
    except OSError as error:
        raise ConfigurationFault(
            f"--port: {port} cannot be used ({error.strerror}); choose another or 0"
        ) from error


async def _serve_until_told(
    settings: SimulatorSettings, port: int, seed: int, faults: Path | None
) -> None:
    loop = asyncio.get_running_loop()
    serving = asyncio.current_task()
    assert serving is not None  # noqa: S101 - asyncio.run made it
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serve(
            settings,
            port,
            random=random.Random(seed),  # noqa: S311 - a crowd, not a secret
            faults=faults,
            on_ready=lambda url: emit_json({"base_url": url}),
        )
