"""`flotilla demo`: the whole stack on this machine, simulated venues, verified stand-down."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click
from click.core import ParameterSource

from desk.errors import ConfigurationFault
from flotilla.cli.render import console, talk
from flotilla.demo.arbitrage.run import SetsOutcome, run_sets
from flotilla.demo.arbitrage.table import draw_verdicts
from flotilla.demo.plan import VENUES, DemoPlan
from flotilla.demo.run import Outcome, run_demo
from infra.settings import load_settings
from infra.telemetry.logging import set_up_logging

T = TypeVar("T")

_OF_MARKETS = {
    "markets": "--markets",
    "venues": "--venue",
    "replay": "--replay",
    "drawdown_at": "--drawdown-at",
}


@click.command()
@click.option(
    "--duration",
    type=click.FloatRange(min=1),
    help="Seconds from the first quote on (default: until Ctrl-C). With --arb: from the moment all "
    "sets are watched (default: until all was shown).",
)
@click.option(
    "--arb",
    is_flag=True,
    help="Show arbitrage instead of quoting: a profitable set taken, a missed leg hedged, a set "
    "with a stale leg refused.",
)
@click.option("--markets", type=click.IntRange(1, 200), default=3, help="How many markets.")
@click.option(
    "--venue",
    "venues",
    type=click.Choice(VENUES),
    multiple=True,
    help="Simulated venue to use; repeat for more (default: all). Markets are dealt out in turn.",
)
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Recorded market data (Parquet) instead of a simulated crowd.",
)
@click.option(
    "--drawdown-at",
    type=click.FloatRange(min=0),
    help="So many seconds after the first quote, move prices against the fleet until it flattens.",
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what was seen and verified to this file.",
)
@click.option("--seed", type=int, help="Seed of the simulated crowd (default: any).")
@click.option("--ui-port", type=int, help="Port of the Temporal UI (default: a free one).")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where services keep their data (default: FLOTILLA_DATA_DIR or ./data).",
)
def demo(
    duration: float | None,
    arb: bool,  # noqa: FBT001 - click passes options by name
    markets: int,
    venues: tuple[str, ...],
    replay: Path | None,
    drawdown_at: float | None,
    json_path: Path | None,
    seed: int | None,
    ui_port: int | None,
    data_dir: Path | None,
) -> int:
    """Run a fleet against simulated venues under real Temporal, PostgreSQL and Valkey.

    At the end, or on Ctrl-C, every market is stood down, and venue and ledger are read back.
    Exit code 0 only when nothing rests and the books agree; with --arb also only when all three
    things happened, each within its time.
    """
    if arb:
        _refuse_what_is_of_markets()
    if drawdown_at is not None and duration is not None and drawdown_at >= duration:
        raise ConfigurationFault(
            f"--drawdown-at: {drawdown_at:g} s is not before the end at {duration:g} s; lower it"
        )
    if json_path is not None and not json_path.absolute().parent.is_dir():
        raise ConfigurationFault(
            f"--json: the folder {json_path.absolute().parent} does not exist; make it first"
        )
    settings = load_settings(data_dir=data_dir)
    set_up_logging(
        level="error",
        folder=settings.data_dir / "logs",
        process="demo",
        secrets=settings.secrets(),
    )
    plan = DemoPlan(
        data_dir=settings.data_dir,
        state_dir=settings.state_dir,
        venues=("ocx",) if arb else tuple(dict.fromkeys(venues)) or VENUES,
        markets=markets,
        duration_s=duration,
        replay=replay,
        drawdown_at_s=drawdown_at,
        json_path=json_path,
        ui_port=ui_port,
        seed=seed,
        arb=arb,
    )
    if arb:
        shown = asyncio.run(_until_told(lambda stop: run_sets(plan, stop)))
        _say_sets(shown)
        return 0 if shown.ok else 1
    outcome = asyncio.run(_until_told(lambda stop: run_demo(plan, stop)))
    _say(outcome)
    return 0 if outcome.ok else 1


def _refuse_what_is_of_markets() -> None:
    """Sets are shown alone: what is meant for quoted markets would be passed over in silence."""
    context = click.get_current_context()
    for name, option in _OF_MARKETS.items():
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise ConfigurationFault(
                f"{option}: --arb quotes no markets, it shows sets at the simulated OCX; "
                "leave one of the two out"
            )


async def _until_told(work: Callable[[asyncio.Event], Awaitable[T]]) -> T:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await work(stop)


def _say(outcome: Outcome) -> None:
    screen = console()
    for verdict in outcome.verdicts:
        mark = "[green]ok[/green]" if verdict.holds else "[red]NOT OK[/red]"
        screen.print(
            f"{mark} {verdict.result.market}: venue lists {verdict.venue_open_orders} orders, "
            f"position {verdict.venue_position.normalize():f}, "
            f"{verdict.venue_fills} fills, "
            f"ledger {'equals' if verdict.ledger_equals_venue else 'DIFFERS FROM'} venue"
            f"{'' if not verdict.difference else ': ' + verdict.difference}"
        )
    for failure in outcome.failures:
        talk(f"failed: {failure}")


def _say_sets(outcome: SetsOutcome) -> None:
    if outcome.verdicts:
        console().print(draw_verdicts(outcome.verdicts))
    for failure in outcome.failures:
        talk(f"failed: {failure}")
