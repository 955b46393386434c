"""One market's workflow as a person's command sees it: start it, or find it and ask something.

The one rule: a command tells what became of it; what a safety rule refuses is RefusedBySafety.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio.client import WorkflowHandle
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from desk.identity import MarketId
from desk.lifecycle import MarketState
from flotilla.control import open_temporal
from flotilla.failures import RefusedBySafety, unanswered
from flotilla.starting import QUERY, asking, state_after_start
from workflows import names
from workflows.flatten import FlattenWorkflow
from workflows.flatten_messages import StartFlatten, StopFlatten
from workflows.market import MarketWorkflow
from workflows.messages import MarketResult, Request, StartMarket

T = TypeVar("T")
Handle = WorkflowHandle[MarketWorkflow, MarketResult]

_PREFLIGHT_LOOKS = 50


async def start_market(spec: StartMarket) -> str:
    """Start and wait until preflight has spoken; the state the market is in then."""
    async with open_temporal() as client:
        try:
            handle = await client.start_workflow(
                MarketWorkflow.run,
                spec,
                id=names.market_workflow_id(spec.market),
                task_queue=names.MARKETS_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                static_summary=f"{spec.venue} {spec.symbol} ({spec.account})",
            )
        except WorkflowAlreadyStartedError as error:
            raise RefusedBySafety(
                f"{spec.market.path} runs already; one market has one owner. "
                f"Look at it with 'flotilla market show {spec.market.path}'"
            ) from error
        return await state_after_start(
            handle,
            lambda: handle.query(MarketWorkflow.status, rpc_timeout=QUERY),
            starting=MarketState.STARTING,
            looks=_PREFLIGHT_LOOKS,
        )


async def flatten_market(spec: StartFlatten) -> tuple[str, bool]:
    """Have what is left of a market traded to zero; by which workflow, and whether it is new.

    A market that is quoted flattens by its own workflow, with its own settings; else one of its own
    is started, or the one that runs goes on as it is.
    """
    market = spec.market
    owner, flatten_id = names.market_workflow_id(market), names.flatten_workflow_id(market)
    async with open_temporal() as client:
        quoted = client.get_workflow_handle_for(MarketWorkflow.run, owner)
        try:
            await quoted.signal(MarketWorkflow.flatten, Request(reason=spec.reason, by=spec.by))
            return owner, False
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise unanswered(market.path, error) from error
        try:
            await client.start_workflow(
                FlattenWorkflow.run,
                spec,
                id=flatten_id,
                task_queue=names.CONTROL_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                static_summary=f"flatten {market.path}",
            )
        except WorkflowAlreadyStartedError:
            return flatten_id, False
    return flatten_id, True


async def abandon_flatten(market: MarketId, request: StopFlatten) -> str:
    """End a flatten, whatever is left; ConfigurationFault when none runs for this market."""
    async with open_temporal() as client:
        flatten_id = names.flatten_workflow_id(market)
        handle = client.get_workflow_handle_for(FlattenWorkflow.run, flatten_id)
        async with asking(market.path, absent=f"no flatten of {market.path} runs"):
            await handle.signal(FlattenWorkflow.stop, request)
    return flatten_id


async def with_market(market_id: MarketId, work: Callable[[Handle], Awaitable[T]]) -> T:
    """What `work` makes of a market's workflow; ConfigurationFault when it does not run."""
    async with open_temporal() as client:
        handle = client.get_workflow_handle_for(
            MarketWorkflow.run, names.market_workflow_id(market_id)
        )
        absent = (
            f"{market_id.path} does not run; start it with 'flotilla market start {market_id.path}'"
        )
        async with asking(market_id.path, absent=absent):
            return await work(handle)
