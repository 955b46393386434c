"""A recorded flatten still replays: the workflow issues the same commands as ever."""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from desk.identity import MarketId
from tests.workflows.conftest import PASSTHROUGH
from workflows.flatten import FlattenWorkflow
from workflows.names import flatten_workflow_id

FLATTEN_ID = flatten_workflow_id(MarketId("ocx", "main", "BTC-PERP"))
RECORDED = Path(__file__).parent / "histories" / "flatten_drawdown.json"


def replayer() -> Replayer:
    return Replayer(
        workflows=[FlattenWorkflow],
        data_converter=pydantic_data_converter,
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
        ),
    )


async def test_a_recorded_flatten_replays() -> None:
    history = WorkflowHistory.from_json(FLATTEN_ID, RECORDED.read_text())
    await replayer().replay_workflow(history)


async def test_a_changed_command_is_noticed() -> None:
    text = RECORDED.read_text().replace('"flatten_take_over"', '"flatten_give_back"')
    history = WorkflowHistory.from_json(FLATTEN_ID, text)
    with pytest.raises(Exception, match="[Nn]ondetermini"):
        await replayer().replay_workflow(history)
