"""Sets of arbitrage as a person's command sees them: start one, or find it and say something.

The one rule: a command tells what became of it; what a safety rule refuses is RefusedBySafety.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from desk.arbitrage_ports import StandingClaim
from desk.arbitrage_records import ArbitrageTrade
from flotilla.control import open_temporal
from flotilla.failures import RefusedBySafety, unanswered
from flotilla.starting import QUERY, asking, state_after_start
from flotilla.wiring import open_claims, open_trades
from infra.settings import load_settings
from workflows import names
from workflows.arbitrage import ArbitrageWorkflow
from workflows.arbitrage_messages import ArbitrageState, ArbitrageStatus, StartArbitrage

T = TypeVar("T")
Handle = WorkflowHandle[ArbitrageWorkflow, ArbitrageStatus]

_LOOKS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSeen:
    """One running set. Lists of workflows lag a second or two behind; `status` is of this moment.

    None when no worker answers for it.
    """

    name: str
    state: str
    fleet: str
    status: ArbitrageStatus | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What is claimed now, and whether anything is granted at all."""

    armed: bool
    standing: Sequence[StandingClaim]


async def start_set(spec: StartArbitrage) -> str:
    """Start and wait until the legs are known to be a set, or were refused; the state then."""
    async with open_temporal() as client:
        try:
            handle = await client.start_workflow(
                ArbitrageWorkflow.run,
                spec,
                id=names.arbitrage_workflow_id(spec.name),
                task_queue=names.MARKETS_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                static_summary=f"{spec.kind.value}: {', '.join(spec.legs)}"[:200],
            )
        except WorkflowAlreadyStartedError as error:
            raise RefusedBySafety(
                f"the set {spec.name} runs already; look at it with 'flotilla arb show {spec.name}'"
            ) from error
        return await state_after_start(
            handle,
            lambda: handle.query(ArbitrageWorkflow.status, rpc_timeout=QUERY),
            starting=ArbitrageState.STARTING,
            looks=_LOOKS,
        )


async def with_set(name: str, work: Callable[[Handle], Awaitable[T]]) -> T:
    """What `work` makes of a set's workflow; ConfigurationFault when it does not run."""
    async with open_temporal() as client:
        handle = client.get_workflow_handle_for(
            ArbitrageWorkflow.run, names.arbitrage_workflow_id(name)
        )
        absent = (
            f"the set {name} does not run; start it with 'flotilla arb start {name} "
            "--leg MARKET --leg MARKET … --set max_units=…'"
        )
        async with asking(f"the set {name}", absent=absent):
            return await work(handle)


async def running_sets() -> Sequence[SetSeen]:
    """Every set that runs, by name."""
    query = f"WorkflowType = '{names.ARBITRAGE_WORKFLOW}' AND ExecutionStatus = 'Running'"
    found = []
    async with open_temporal() as client:
        try:
            async for one in client.list_workflows(query):
                marks = one.typed_search_attributes
                found.append(
                    SetSeen(
                        name=one.id.partition("/")[2],
                        state=(marks.get(names.MARKET_STATE) or "").removeprefix("arbitrage_"),
                        fleet=marks.get(names.FLEET_ID) or "",
                        status=await _status(client, one.id),
                    )
                )
        except RPCError as error:
            raise unanswered("the list of sets", error) from error
    return sorted(found, key=lambda one: one.name)


async def _status(client: Client, workflow_id: str) -> ArbitrageStatus | None:
    handle = client.get_workflow_handle_for(ArbitrageWorkflow.run, workflow_id)
    with suppress(RPCError, WorkflowQueryFailedError):
        return await handle.query(ArbitrageWorkflow.status, rpc_timeout=QUERY)
    return None


async def trades_of(name: str | None, limit: int) -> Sequence[ArbitrageTrade]:
    """Trades of one set or of all, newest first, from the record."""
    async with open_trades(load_settings()) as trades:
        return await trades.recent(limit, name)


async def claimed() -> Claims:
    """What is claimed and held now."""
    async with open_claims(load_settings()) as claims:
        return Claims(armed=await claims.armed(), standing=await claims.open())
