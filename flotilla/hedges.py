"""One hedge's workflow as a person's command sees it: start it, or find it and ask something.

The one rule: a command tells what became of it; what a safety rule refuses is RefusedBySafety.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from desk.hedging import HedgeState
from desk.identity import MarketId
from desk.records import HedgeObligation
from flotilla.control import open_control, open_temporal
from flotilla.failures import RefusedBySafety
from flotilla.starting import QUERY, asking, state_after_start
from workflows import names
from workflows.hedge import HedgeWorkflow
from workflows.hedge_messages import HedgeStatus, StartHedge

T = TypeVar("T")
Handle = WorkflowHandle[HedgeWorkflow, HedgeStatus]

_LOOKS = 100


async def start_hedge(spec: StartHedge) -> str:
    """Start and wait until the lease is held or was refused; the state the hedge is in then."""
    async with open_temporal() as client:
        if await _has_a_workflow(client, spec.hedge):
            raise RefusedBySafety(
                f"{spec.hedge.path} has a market's workflow, which could not be stopped while it "
                f"is the hedge market; stop it first with 'flotilla market stop {spec.hedge.path}'"
            )
        try:
            handle = await client.start_workflow(
                HedgeWorkflow.run,
                spec,
                id=names.hedge_workflow_id(spec.source),
                task_queue=names.MARKETS_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                static_summary=f"{spec.source.path} at {spec.hedge.path}",
            )
        except WorkflowAlreadyStartedError as error:
            raise RefusedBySafety(
                f"{spec.source.path} is hedged already; look at it with "
                f"'flotilla hedge show {spec.source.path}'"
            ) from error
        return await state_after_start(
            handle,
            lambda: handle.query(HedgeWorkflow.status, rpc_timeout=QUERY),
            starting=HedgeState.STARTING,
            looks=_LOOKS,
        )


async def with_hedge(source: MarketId, work: Callable[[Handle], Awaitable[T]]) -> T:
    """What `work` makes of a hedge's workflow; ConfigurationFault when it does not run."""
    async with open_temporal() as client:
        handle = client.get_workflow_handle_for(HedgeWorkflow.run, names.hedge_workflow_id(source))
        absent = (
            f"{source.path} is not hedged; start it with "
            f"'flotilla hedge start {source.path} HEDGE_MARKET --set threshold=…'"
        )
        async with asking(f"the hedge of {source.path}", absent=absent):
            return await work(handle)


async def obligations(source: MarketId, limit: int) -> Sequence[HedgeObligation]:
    """What was and is owed for a market, newest first, from the ledger."""
    async with open_control() as control:
        return await control.hedges.recent(source, limit)


async def _has_a_workflow(client: Client, market: MarketId) -> bool:
    """Whether a market's workflow runs, quoting or paused: a paused one holds no lease."""
    try:
        described = await client.get_workflow_handle(names.market_workflow_id(market)).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return described.status is WorkflowExecutionStatus.RUNNING
