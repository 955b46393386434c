"""A time-skipping server per module, and one market workflow on scripted activities."""

import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pydantic
import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from tests.workflows.scripted import Script
from workflows import names
from workflows.flatten import FlattenWorkflow
from workflows.market import MarketWorkflow
from workflows.messages import MarketResult, StartMarket, StopMarket

SERVER = Path(sys.executable).with_name("temporal-test-server")
PASSTHROUGH = ("activities", "quoting", "desk", "pydantic")

Running = AbstractAsyncContextManager["WorkflowHandle[MarketWorkflow, MarketResult]"]
Start = Callable[..., Running]


async def add_search_attributes(client: Client, keys: Iterable[SearchAttributeKey[Any]]) -> None:
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=client.namespace,
            search_attributes={
                key.name: IndexedValueType.ValueType(int(key.indexed_value_type)) for key in keys
            },
        )
    )


@pytest.fixture
async def server() -> AsyncIterator[WorkflowEnvironment]:
    env = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(SERVER), data_converter=pydantic_data_converter
    )
    async with env:
        await add_search_attributes(env.client, names.SEARCH_ATTRIBUTES)
        yield env


async def skip_until_so(
    server: WorkflowEnvironment, holds: Callable[[], bool], step_s: int
) -> None:
    """Let time pass, step by step, until it holds; the test's own time-out bounds it."""
    while not holds():
        await server.sleep(step_s)


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
        # This server does not push cancellations; they come with heartbeats.
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
    )


@pytest.fixture
def start(server: WorkflowEnvironment) -> Start:
    @asynccontextmanager
    async def running(
        script: Script,
        workflow_id: str | None = None,
        stopped_by: StopMarket | None = None,
        **fields: object,
    ) -> AsyncIterator["WorkflowHandle[MarketWorkflow, MarketResult]"]:
        queue = str(uuid.uuid4())
        quoting = worker(server.client, queue, [MarketWorkflow], script.activities())
        brakes = worker(
            server.client, names.CONTROL_QUEUE, [FlattenWorkflow], script.exit_activities()
        )
        async with quoting, brakes:
            spec = StartMarket.model_validate({"venue": "ocx", "symbol": "BTC-PERP", **fields})
            yield await server.client.start_workflow(
                MarketWorkflow.run,
                spec,
                id=workflow_id or names.market_workflow_id(spec.market),
                task_queue=queue,
                start_signal="stop" if stopped_by else None,
                start_signal_args=[stopped_by] if stopped_by else [],
            )

    return running
