"""Recorded lives of breaks, and of a market that waited for one, still replay."""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from tests.workflows.conftest import PASSTHROUGH
from tests.workflows.record_break import BREAK_ID, MARKET_ID
from workflows.breaks import BreakWorkflow
from workflows.market import MarketWorkflow

HISTORIES = sorted((Path(__file__).parent / "histories").glob("break_*.json"))


async def replay(path: Path, text: str) -> None:
    replayer = Replayer(
        workflows=[BreakWorkflow, MarketWorkflow],
        data_converter=pydantic_data_converter,
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
        ),
    )
    workflow_id = MARKET_ID if path.stem == "break_waited" else BREAK_ID
    await replayer.replay_workflow(WorkflowHistory.from_json(workflow_id, text))


def test_there_are_histories() -> None:
    assert {path.stem for path in HISTORIES} == {"break_ruled", "break_settled", "break_waited"}


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    await replay(path, path.read_text())


async def test_a_changed_command_is_noticed() -> None:
    path = HISTORIES[0]
    with pytest.raises(Exception, match="[Nn]ondetermini"):
        await replay(path, path.read_text().replace('"settle_named"', '"settle_unnamed"'))
