"""Where the time-skipping server differs: ends that are asked for, and words between workflows."""

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pydantic
import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from desk.lifecycle import Command, MarketState
from infra.temporal.search_attributes import SEARCH_ATTRIBUTES, ensure_search_attributes
from tests.workflows.conftest import PASSTHROUGH
from tests.workflows.scripted import Script
from workflows import names
from workflows.flatten import FlattenWorkflow
from workflows.flatten_messages import FlattenOutcome, FlattenResult, StartFlatten
from workflows.market import MarketWorkflow
from workflows.messages import CarriedState, MarketResult, StartMarket, StopMarket

pytestmark = pytest.mark.services

Exit = WorkflowHandle[FlattenWorkflow, FlattenResult]
Market = WorkflowHandle[MarketWorkflow, MarketResult]


def worker(
    client: Client, queue: str, workflows: Sequence[type], activities: Sequence[Any]
) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflows=workflows,
        activities=activities,
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
        ),
        workflow_failure_exception_types=[pydantic.ValidationError],
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
    )


@asynccontextmanager
async def serving(client: Client, script: Script) -> AsyncIterator[str]:
    """Workers for markets and for the brakes; the queue of the markets."""
    await ensure_search_attributes(client, SEARCH_ATTRIBUTES)
    queue = str(uuid.uuid4())
    async with (
        worker(client, queue, [MarketWorkflow], script.activities()),
        worker(client, names.CONTROL_QUEUE, [FlattenWorkflow], script.exit_activities()),
        asyncio.timeout(60),
    ):
        yield queue


def a_market(**fields: object) -> StartMarket:
    symbol = f"T{uuid.uuid4().hex[:8]}"
    return StartMarket.model_validate({"venue": "ocx", "symbol": symbol, **fields})


async def started(client: Client, queue: str, spec: StartMarket) -> Market:
    return await client.start_workflow(
        MarketWorkflow.run, spec, id=names.market_workflow_id(spec.market), task_queue=queue
    )


async def until_called(script: Script, name: str) -> None:
    while name not in script.calls:
        await asyncio.sleep(0.02)


async def an_exit(client: Client, script: Script, spec: StartMarket) -> Exit:
    """A flatten of the market that somebody else began, and that has sent an order."""
    handle = await client.start_workflow(
        FlattenWorkflow.run,
        StartFlatten(venue=spec.venue, symbol=spec.symbol, by="guardian"),
        id=names.flatten_workflow_id(spec.market),
        task_queue=names.CONTROL_QUEUE,
    )
    await until_called(script, "flatten_slice")
    return handle


def states(result: MarketResult) -> list[str]:
    return [change.state.value for change in result.states]


async def test_a_session_that_dies_while_it_leaves_is_cleared_by_another(
    temporal_client: Client,
) -> None:
    script = Script(leaving_error=RuntimeError("the worker died while it cancelled"))
    async with serving(temporal_client, script) as queue:
        handle = await started(temporal_client, queue, a_market())
        await until_called(script, "quote_session")
        await handle.signal(MarketWorkflow.stop, StopMarket(by="ana"))
        result = await handle.result()
    assert states(result)[-2:] == ["standing_down", "stopped"]
    assert script.calls.count("quote_session") == 1
    assert script.calls.index("cancelled") < script.calls.index("take_over")


async def test_a_run_that_begins_with_a_flatten_given_up_has_it_stopped(
    temporal_client: Client,
) -> None:
    """The word was said while the run before it ended, and that run told nobody."""
    script = Script(held=True, positions=deque([9]), ends=deque([9]))
    spec = a_market()
    carried = CarriedState(
        state=MarketState.FLATTENING,
        life_epoch=1,
        parameters=spec.parameters,
        command=Command.STOP,
        reason="we keep it",
        by="ana",
        exit_abandoned=True,
    )
    async with serving(temporal_client, script) as queue:
        running = await an_exit(temporal_client, script, spec)
        handle = await started(temporal_client, queue, spec.model_copy(update={"carried": carried}))
        ended, result = await running.result(), await handle.result()
    assert (ended.outcome, ended.remaining) == (FlattenOutcome.ABANDONED, 9)
    assert states(result) == ["standing_down", "stopped"]
    assert script.calls.count("flatten_take_over") == 1, "and none is begun anew"


async def test_a_flatten_that_somebody_else_began_is_stopped_when_the_position_is_kept(
    temporal_client: Client,
) -> None:
    script = Script(held=True, positions=deque([9]), ends=deque([9]))
    spec = a_market()
    async with serving(temporal_client, script) as queue:
        handle = await started(temporal_client, queue, spec)
        await until_called(script, "quote_session")
        running = await an_exit(temporal_client, script, spec)
        while (await handle.query(MarketWorkflow.status)).state is not MarketState.FLATTENING:
            await asyncio.sleep(0.02)
        said = StopMarket(by="ana", reason="we keep it", flatten=False)
        await handle.signal(MarketWorkflow.stop, said)
        ended, result = await running.result(), await handle.result()
    assert (ended.outcome, ended.remaining) == (FlattenOutcome.ABANDONED, 9)
    assert (ended.by, ended.reason) == ("ana", "we keep it")
    assert states(result) == ["starting", "quoting", "flattening", "standing_down", "stopped"]
    assert script.calls.index("cancelled") < script.calls.index("stand_down")
