"""`flotilla arb …`: sets of legs whose prices are tied."""

import click

from flotilla.cli.arb_looks import claims, list_sets, show, trades
from flotilla.cli.arb_scan import scan
from flotilla.cli.arb_sets import pause, release, resume, retry, start, stop


@click.group()
def arb() -> None:
    """Outcome sets and currency triangles: what they offer, what they hold, what they owe."""


for command in (start, list_sets, show, stop, pause, resume, release, retry, trades, claims, scan):
    arb.add_command(command)
