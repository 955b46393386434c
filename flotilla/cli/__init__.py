"""The `flotilla` command: stdout is data, stderr is talk.

Exit codes: 0 done, 1 failed, 2 usage, 3 refused by a safety rule. A command's modules are loaded
when it is asked for, so that `flotilla --help` and small commands answer at once.
"""

import gc
import logging
import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Final, NoReturn

import click

from desk.errors import ConfigurationFault, Unavailable, VenueError
from flotilla.failures import RefusedBySafety

FAILED: Final = 1
USAGE: Final = 2
REFUSED: Final = 3
INTERRUPTED: Final = 130

COMMANDS: Final = {
    "demo": ("demo:demo", "Whole stack on this machine, simulated venues, verified at the end."),
    "up": ("services:up", "Embedded Temporal with UI, PostgreSQL and Valkey, in the foreground."),
    "worker": ("worker:worker", "A worker that owns markets, against configured services."),
    "market": ("market:market", "Start, stop and steer one market."),
    "hedge": ("hedge:hedge", "Hedge one market's inventory at another."),
    "arb": ("arb:arb", "Arbitrage over outcome sets and currency triangles."),
    "kill": ("kill:kill", "Stop quoting in a scope at once, until a named person lifts it."),
    "unkill": ("kill:unkill", "Lift a kill at the scope that set it."),
    "kills": ("kill:kills", "List the kills in force."),
    "panic": ("panic:panic", "Cancel everything at the venues with their keys alone."),
    "reconcile": ("reconcile:reconcile", "Compare accounts with our books; what was found before."),
    "breaks": ("breaks:breaks", "Differences between our books and a venue's: look, settle."),
    "drill": ("drill:drill", "Rehearse a brake on a market marked for it, and keep the proof."),
    "replay": ("replay:replay", "Replay a session's journal and compare every decision."),
    "why": ("why:why", "Tell from the record what took an order away."),
    "ledger": ("ledger:ledger", "Fills, orders, PnL and equity of the past; CSV and Parquet."),
    "losses": ("losses:losses", "Show what today lost and may lose; set limits."),
    "sim": ("sim:sim", "Serve a simulated venue on loopback."),
    "doctor": ("doctor:doctor", "Preflight of settings, services, clocks and keys."),
}


class LazyCommands(click.Group):
    """Loads `flotilla.cli.<module>` when one of its commands is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order a newcomer needs them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded; None when there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(_loaded(f"flotilla.cli.{module}"), name)
        assert isinstance(command, click.Command)  # noqa: S101 - the table above says so
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table, without loading them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _loaded(module: str) -> ModuleType:
    """Import it without collecting garbage: what modules leave behind stays until the end."""
    gc.disable()
    try:
        return import_module(module)
    finally:
        gc.freeze()
        gc.enable()


@click.group(
    cls=LazyCommands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with 'flotilla demo': the whole stack on this machine, simulated venues.",
)
@click.version_option(package_name="flotilla", prog_name="flotilla")
def flotilla() -> None:
    """Run a fleet of market makers as durable workflows, and keep it safe."""


def run() -> None:
    """Run one command and turn what went wrong into one sentence and an exit code."""
    try:
        code = flotilla.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        _leave(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        _leave(INTERRUPTED)
    except ConfigurationFault as fault:
        _complain(fault, USAGE)
    except RefusedBySafety as refusal:
        _complain(refusal, REFUSED)
    except (Unavailable, VenueError, ConnectionError) as trouble:
        _complain(trouble, FAILED)
    _leave(code if isinstance(code, int) else 0)


def _complain(error: Exception, code: int) -> NoReturn:
    click.echo(f"error: {error}", err=True)
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End without tearing the interpreter down.

    Temporal's native threads may still call into it then, which aborts a command that succeeded.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
