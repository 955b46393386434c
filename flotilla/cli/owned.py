"""`flotilla market owned`: what the ledger says was ours, for when Temporal has forgotten it."""

import asyncio

import click

from flotilla.cli.kill import json_option
from flotilla.cli.render import emit_rows, talk
from flotilla.owned import owned_markets


@click.command()
@json_option
def owned(*, as_json: bool) -> None:
    """List every market this deployment ever owned: what is held, what rests, who answers for it.

    Read from PostgreSQL; Temporal is asked whether a market's workflow runs, if it answers. Nothing
    is started. A market with something left and no workflow is looked after by the guardian.
    """
    found = asyncio.run(owned_markets())
    rows = [
        {
            "market": one.market.path,
            "held": f"{one.held:f}",
            "orders": one.orders,
            "last_step": one.last_step,
            "workflow": one.workflow,
            "left_alone": one.left_alone,
        }
        for one in found
    ]
    emit_rows("markets that were ever ours", rows, as_json=as_json)
    if alone := [one.market.path for one in found if one.left_alone]:
        talk(f"nobody is known to answer for {', '.join(alone)}; start it again or flatten it")
