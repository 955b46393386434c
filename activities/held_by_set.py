"""Whether a set has a market as its leg, also while it is paused and holds no lease."""

from datetime import timedelta

from temporalio import activity
from temporalio.service import RPCError, RPCStatusCode

from activities.ports import ActivityPorts
from desk.errors import Unavailable
from desk.identity import MarketId

_ASK = timedelta(seconds=5)


async def why_a_sets(ports: ActivityPorts, market: MarketId, *, but: str = "") -> str:
    """Why nobody else may take a market: a set that runs has it. Empty when none does.

    `but` is the workflow id of the set that asks. Raises Unavailable.
    """
    booked = await ports.ownership.exposures(market.venue, market.account, (market.symbol,))
    owner = next((one.arbitrage for one in booked if one.market == market), "")
    if owner in ("", but) or not await runs(owner):
        return ""
    name = owner.partition("/")[2]
    return f"{market.path} is a leg of {owner}; stop that first with 'flotilla arb stop {name}'"


async def runs(workflow_id: str) -> bool:
    """Whether a workflow is open; by id, for lists lag behind. Raises Unavailable."""
    try:
        handle = activity.client().get_workflow_handle(workflow_id)
        return (await handle.describe(rpc_timeout=_ASK)).close_time is None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise Unavailable(f"temporal: {workflow_id}: {error}") from None
