"""`flotilla sim VENUE`: a venue's own wire protocol on loopback, with a counter-flow and faults."""

import asyncio
import random
import secrets
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from desk.errors import ConfigurationFault
from flotilla.accounts import MAIN
from flotilla.cli.render import emit_json, talk
from flotilla.simulated import ocx as ocx_markets
from flotilla.simulated import x10 as x10_markets
from flotilla.simulated import zo as zo_markets
from flotilla.simulated.arbitrage import with_arbitrage
from flotilla.simulated.markets import RATE_PER_MINUTE
from infra.secrets import read_or_create_secret
from venues.ocx.simulator.server import serve as serve_ocx
from venues.x10.simulator.server import serve as serve_x10
from venues.zo.simulator.server import serve as serve_zo

_NAMED = 10
_STARK = ".stark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What every simulated venue is told."""

    port: int
    count: int
    regime: str
    replay: Path | None
    faults: Path | None
    rate_per_minute: int
    seed: int
    key_files: tuple[Path, ...]
    events: int = 0
    outcomes: int = 0
    pairs: bool = False

    def accounts(self) -> Mapping[str, Path]:
        """Key file of each account; the first is of account main, the others name themselves."""
        return {path.stem if place else MAIN: path for place, path in enumerate(self.key_files)}


Serve = Callable[[Options, random.Random, Callable[[dict[str, str]], None]], Awaitable[None]]


@click.group()
def sim() -> None:
    """Simulated venues on this machine, for drills, tests and paper quoting."""


def _command(
    name: str,
    names: Callable[[int, Path | None], tuple[str, ...]],
    serve: Serve,
    *own: click.Option,
) -> None:
    """Add one venue's command; all of them take the same options, besides their `own`."""

    @sim.command(name)
    @click.option("--port", type=int, default=0, help="Port on loopback; 0 takes a free one.")
    @click.option("--markets", "count", type=click.IntRange(1, 200), default=3, help="How many.")
    @click.option("--regime", default="calm", help="Counter-flow: calm, trending, jump, illiquid.")
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
    @click.option("--rate-per-minute", type=int, default=RATE_PER_MINUTE, help="Requests allowed.")
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
    def command(**given: Any) -> None:
        seed = secrets.randbits(32) if given["seed"] is None else given["seed"]
        options = Options(**{**given, "seed": seed})
        listed = names(options.count, options.replay)
        more = " …" if options.count > _NAMED else ""
        talk(f"seed {seed}; {options.count} markets: {', '.join(listed[:_NAMED])}{more}")
        try:
            asyncio.run(_serve_until_told(options, serve))
        except OSError as error:
            raise ConfigurationFault(
                f"--port: {options.port} cannot be used ({error.strerror}); choose another or 0"
            ) from error

    command.help = serve.__doc__
    command.params.extend(own)


async def _serve_until_told(options: Options, serve: Serve) -> None:
    loop = asyncio.get_running_loop()
    serving = asyncio.current_task()
    assert serving is not None  # noqa: S101 - asyncio.run made it
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, serving.cancel)
    with suppress(asyncio.CancelledError):
        crowd = random.Random(options.seed)  # noqa: S311 - a crowd, not a secret
        await serve(options, crowd, emit_json)


async def _ocx(
    options: Options, crowd: random.Random, ready: Callable[[dict[str, str]], None]
) -> None:
    """Serve the simulated OCX until Ctrl-C; prints {"base_url": …} when ready."""
    settings = ocx_markets.ocx_settings(
        count=options.count,
        regime=options.regime,
        replay=options.replay,
        keys={
            name: read_or_create_secret(path, "--key-file")
            for name, path in options.accounts().items()
        },
        rate_per_minute=options.rate_per_minute,
    )
    await serve_ocx(
        with_arbitrage(
            settings,
            events=options.events,
            outcomes=options.outcomes,
            pairs=options.pairs,
            regime=options.regime,
        ),
        options.port,
        random=crowd,
        faults=options.faults,
        on_ready=lambda url: ready({"base_url": url}),
    )


async def _x10(
    options: Options, crowd: random.Random, ready: Callable[[dict[str, str]], None]
) -> None:
    """Serve the simulated X10 until Ctrl-C; prints {"base_url": …, "stream_url": …} when ready.

    Beside each key file lies the account's Stark private key, as FILE.stark; vaults count from
    10001 on.
    """
    settings = x10_markets.x10_settings(
        count=options.count,
        regime=options.regime,
        replay=options.replay,
        keys={
            name: (read_or_create_secret(path, "--key-file"), _stark_key(path))
            for name, path in options.accounts().items()
        },
        rate_per_minute=options.rate_per_minute,
    )
    await serve_x10(
        settings,
        options.port,
        random=crowd,
        faults=options.faults,
        on_ready=lambda base, stream: ready({"base_url": base, "stream_url": stream}),
    )


async def _zo(
    options: Options, crowd: random.Random, ready: Callable[[dict[str, str]], None]
) -> None:
    """Serve the simulated 01.xyz until Ctrl-C; prints {"base_url": …} when ready.

    A key file holds an account's wallet key. The venue states no rate limit, so none is kept.
    """
    settings = zo_markets.zo_settings(
        count=options.count,
        regime=options.regime,
        replay=options.replay,
        keys={
            name: read_or_create_secret(path, "--key-file", _wallet_key)
            for name, path in options.accounts().items()
        },
    )
    await serve_zo(
        settings,
        options.port,
        random=crowd,
        faults=options.faults,
        on_ready=lambda url: ready({"base_url": url}),
    )


def _wallet_key() -> str:
    return f"0x{secrets.token_hex(32)}"


def _stark_key(path: Path) -> str:
    # 248 random bits: below the order of the curve, whatever they are.
    beside = path.with_name(path.name + _STARK)
    return read_or_create_secret(beside, "--key-file", lambda: f"0x{secrets.token_hex(31)}")


_command(
    "ocx",
    ocx_markets.symbols,
    _ocx,
    click.Option(
        ["--events"],
        type=click.IntRange(0, 100),
        default=0,
        help="Events more, each with a market for every outcome: EVENT1-OUT1 and so on.",
    ),
    click.Option(
        ["--outcomes"],
        type=click.IntRange(2, 30),
        default=3,
        show_default=True,
        help="Outcomes of each event.",
    ),
    click.Option(
        ["--pairs"], is_flag=True, help="Three spot pairs more: BTC, ETH and USDC in a triangle."
    ),
)
_command("x10", x10_markets.symbols, _x10)
_command("zo", zo_markets.symbols, _zo)
