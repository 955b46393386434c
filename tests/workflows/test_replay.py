"""Recorded lives of a market still replay: the workflow issues the same commands as ever."""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from desk.identity import MarketId
from tests.workflows.conftest import PASSTHROUGH
from workflows.market import MarketWorkflow
from workflows.names import market_workflow_id

MARKET_ID = market_workflow_id(MarketId("ocx", "main", "BTC-PERP"))
HISTORIES = sorted((Path(__file__).parent / "histories").glob("market_*.json"))


def replayer() -> Replayer:
    return Replayer(
        workflows=[MarketWorkflow],
        data_converter=pydantic_data_converter,
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
        ),
    )


def test_there_are_histories() -> None:
    assert {path.stem for path in HISTORIES} == {
        "market_drawdown",
        "market_paused",
        "market_trouble",
        "market_window",
    }


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    history = WorkflowHistory.from_json(MARKET_ID, path.read_text())
    await replayer().replay_workflow(history)


async def test_a_changed_command_is_noticed() -> None:
    text = (HISTORIES[0]).read_text()
    history = WorkflowHistory.from_json(MARKET_ID, text.replace('"preflight"', '"postflight"'))
    with pytest.raises(Exception, match="[Nn]ondetermini"):
        await replayer().replay_workflow(history)
