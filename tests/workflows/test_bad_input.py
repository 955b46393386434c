"""A market workflow given bad input fails with the sentence, once, and never loops."""

import uuid
from datetime import timedelta

import pydantic
import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from tests.workflows.conftest import PASSTHROUGH
from tests.workflows.scripted import Script
from workflows.market import MarketWorkflow


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ({"venue": "ocx"}, "symbol"),
        ({"venue": "ocx", "symbol": "B", "surprise": 1}, "surprise"),
        ({"venue": "ocx", "symbol": "B", "level_notional": 0.1}, "write it as a string"),
        ({"venue": "ocx", "symbol": "B", "inventory_cap": "99999"}, "lower inventory_cap"),
        ("not an object", "StartMarket"),
    ],
)
async def test_a_form_filled_in_wrongly_fails_the_workflow_with_its_sentence(
    server: WorkflowEnvironment, text: object, sentence: str
) -> None:
    script, queue = Script(), str(uuid.uuid4())
    async with Worker(
        server.client,
        task_queue=queue,
        workflows=[MarketWorkflow],
        activities=script.activities(),  # type: ignore[arg-type]
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
        ),
        workflow_failure_exception_types=[pydantic.ValidationError],
    ):
        handle = await server.client.start_workflow(
            "MarketWorkflow", text, id=queue, task_queue=queue, run_timeout=timedelta(minutes=1)
        )
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert sentence in str(failure.value.cause)
    assert script.calls == []
