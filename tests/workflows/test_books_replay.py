"""Recorded comparisons and rounds over tables still replay."""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from tests.workflows.conftest import PASSTHROUGH
from tests.workflows.record_books import FOLDER, RECONCILIATION_ID, UPKEEP_ID
from workflows.reconciliation import ReconciliationWorkflow
from workflows.upkeep import UpkeepWorkflow

HISTORIES = sorted([*FOLDER.glob("reconciliation_*.json"), *FOLDER.glob("upkeep_*.json")])


async def replay(path: Path, text: str) -> None:
    replayer = Replayer(
        workflows=[ReconciliationWorkflow, UpkeepWorkflow],
        data_converter=pydantic_data_converter,
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
        ),
    )
    workflow_id = UPKEEP_ID if path.stem.startswith("upkeep") else RECONCILIATION_ID
    await replayer.replay_workflow(WorkflowHistory.from_json(workflow_id, text))


def test_there_are_histories() -> None:
    assert {path.stem for path in HISTORIES} == {
        "reconciliation_agreed",
        "reconciliation_blind",
        "reconciliation_broken",
        "upkeep_kept",
    }


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    await replay(path, path.read_text())


@pytest.mark.parametrize(
    ("history", "command"),
    [
        ("reconciliation_agreed", "reconcile"),
        ("reconciliation_blind", "record_blind"),
        ("reconciliation_broken", "break/main/7"),
        ("upkeep_kept", "keep_tables"),
    ],
)
async def test_a_changed_command_is_noticed(history: str, command: str) -> None:
    path = FOLDER / f"{history}.json"
    text = path.read_text()
    assert f'"{command}"' in text
    with pytest.raises(Exception, match="[Nn]ondetermini"):
        await replay(path, text.replace(f'"{command}"', '"another"'))
