"""Where the time-skipping server differs: what fails after it was asked to end is not retried."""

import asyncio
import uuid
from datetime import timedelta

import pydantic
import pytest
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from infra.temporal.search_attributes import SEARCH_ATTRIBUTES, ensure_search_attributes
from tests.workflows.conftest import PASSTHROUGH
from tests.workflows.scripted import Script
from workflows import names
from workflows.market import MarketWorkflow
from workflows.messages import StartMarket, StopMarket

pytestmark = pytest.mark.services


async def test_a_session_that_dies_while_it_leaves_is_cleared_by_another(
    temporal_client: Client,
) -> None:
    await ensure_search_attributes(temporal_client, SEARCH_ATTRIBUTES)
    script = Script(leaving_error=RuntimeError("the worker died while it cancelled"))
    queue, symbol = str(uuid.uuid4()), f"T{uuid.uuid4().hex[:8]}"
    spec = StartMarket(venue="ocx", symbol=symbol)
    async with Worker(
        temporal_client,
        task_queue=queue,
        workflows=[MarketWorkflow],
        activities=script.activities(),  # type: ignore[arg-type]
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
        ),
        workflow_failure_exception_types=[pydantic.ValidationError],
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
    ):
        handle = await temporal_client.start_workflow(
            MarketWorkflow.run,
            spec,
            id=names.market_workflow_id(spec.market),
            task_queue=queue,
        )
        async with asyncio.timeout(60):
            while "quote_session" not in script.calls:
                await asyncio.sleep(0.02)
            await handle.signal(MarketWorkflow.stop, StopMarket(by="ana"))
            result = await handle.result()
    assert [change.state.value for change in result.states][-2:] == ["standing_down", "stopped"]
    assert script.calls.count("quote_session") == 1
    assert script.calls.index("cancelled") < script.calls.index("take_over")
