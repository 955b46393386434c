"""The `flotilla` command: stdout is data, stderr is talk.

Exit codes: 0 done, 1 failed, 2 usage, 3 refused by a safety rule.
"""

import sys
from typing import Final

import click

from desk.errors import ConfigurationFault, Unavailable, VenueError
from flotilla.cli.demo import demo
from flotilla.cli.doctor import doctor
from flotilla.cli.kill import kill, kills, unkill
from flotilla.cli.market import market
from flotilla.cli.services import up
from flotilla.cli.sim import sim
from flotilla.cli.worker import worker
from flotilla.failures import RefusedBySafety

FAILED: Final = 1
USAGE: Final = 2
REFUSED: Final = 3
INTERRUPTED: Final = 130


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with 'flotilla demo': the whole stack on this machine, simulated venues.",
)
@click.version_option(package_name="flotilla", prog_name="flotilla")
def flotilla() -> None:
    """Run a fleet of market makers as durable workflows, and keep it safe."""


for command in (demo, up, worker, market, kill, unkill, kills, sim, doctor):
    flotilla.add_command(command)


def run() -> None:
    """Run one command and turn what went wrong into one sentence and an exit code."""
    try:
        code = flotilla.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except ConfigurationFault as fault:
        _complain(fault, USAGE)
    except RefusedBySafety as refusal:
        _complain(refusal, REFUSED)
    except (Unavailable, VenueError, ConnectionError) as trouble:
        _complain(trouble, FAILED)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(error: Exception, code: int) -> None:
    click.echo(f"error: {error}", err=True)
    sys.exit(code)
