"""One set's workflow on scripted activities, and waiting for it on a server that skips time."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from tests.workflows.conftest import skip_until_so, worker
from tests.workflows.scripted_arbitrage import FORM, ArbitrageScript
from workflows import names
from workflows.arbitrage import ArbitrageWorkflow
from workflows.arbitrage_messages import ArbitrageStatus, StartArbitrage
from workflows.messages import Request

Handle = WorkflowHandle[ArbitrageWorkflow, ArbitrageStatus]
StartOne = Callable[..., AbstractAsyncContextManager[Handle]]


@pytest.fixture
def start(server: WorkflowEnvironment) -> StartOne:
    @asynccontextmanager
    async def running(
        script: ArbitrageScript, workflow_id: str | None = None, **fields: object
    ) -> AsyncIterator[Handle]:
        queue = str(uuid.uuid4())
        async with worker(server.client, queue, [ArbitrageWorkflow], script.activities()):
            spec = StartArbitrage.model_validate({**FORM, **fields})
            yield await server.client.start_workflow(
                ArbitrageWorkflow.run,
                spec,
                id=workflow_id or names.arbitrage_workflow_id(spec.name),
                task_queue=queue,
            )

    return running


async def until(handle: Handle, holds: Callable[[ArbitrageStatus], bool]) -> ArbitrageStatus:
    """Ask until it holds; the test's own time-out bounds it."""
    while True:
        status = await handle.query(ArbitrageWorkflow.status)
        if holds(status):
            return status
        await asyncio.sleep(0.01)


async def until_called(script: ArbitrageScript, name: str, times: int = 1) -> None:
    while script.calls.count(name) < times:
        await asyncio.sleep(0.01)


async def skip_until_called(
    server: WorkflowEnvironment, script: ArbitrageScript, name: str, times: int = 1
) -> None:
    """The same where the workflow rests in between."""
    await skip_until_so(server, lambda: script.calls.count(name) >= times, 1)


async def stopped(handle: Handle) -> ArbitrageStatus:
    await handle.signal(ArbitrageWorkflow.stop, Request(reason="end of day", by="ana"))
    return await handle.result()
