"""Recorded lives of every workflow still replay: each issues the same commands as ever."""

import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

import workflows
from tests.workflows import (
    record,
    record_arbitrage,
    record_books,
    record_brakes,
    record_break,
    record_hedge,
)
from tests.workflows.conftest import PASSTHROUGH
from workflows import names

IDS = {
    names.MARKET_WORKFLOW: record.MARKET_ID,
    names.FLATTEN_WORKFLOW: record.FLATTEN_ID,
    names.HEDGE_WORKFLOW: record_hedge.HEDGE_ID,
    names.ARBITRAGE_WORKFLOW: record_arbitrage.ARBITRAGE_ID,
    names.KILL_WORKFLOW: record_brakes.KILL_ID,
    names.CONTROL_WORKFLOW: record_brakes.CONTROL_ID,
    names.GUARDIAN_WORKFLOW: record_brakes.GUARDIAN_ID,
    names.DAILY_LOSS_WORKFLOW: record_brakes.DAILY_LOSS_ID,
    names.DRILL_WORKFLOW: record_brakes.DRILL_ID,
    names.BREAK_WORKFLOW: record_break.BREAK_ID,
    names.RECONCILIATION_WORKFLOW: record_books.RECONCILIATION_ID,
    names.UPKEEP_WORKFLOW: record_books.UPKEEP_ID,
}
"""The id each was recorded under: some refuse to run under another."""

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def defined() -> Iterator[type]:
    """Every workflow of the house."""
    for found in pkgutil.iter_modules(workflows.__path__, "workflows."):
        module = importlib.import_module(found.name)
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == found.name and "__temporal_workflow_definition" in vars(kind):
                yield kind


WORKFLOWS = {kind.__name__: kind for kind in defined()}


def events(path: Path) -> Any:
    return json.loads(path.read_text())["events"]


def kind_of(path: Path) -> str:
    began = events(path)[0]["workflowExecutionStartedEventAttributes"]
    return str(began["workflowType"]["name"])


def history(path: Path, text: str) -> WorkflowHistory:
    assert kind_of(path) in IDS, f"{path.name}: say in IDS under which id it was recorded"
    return WorkflowHistory.from_json(IDS[kind_of(path)], text)


ONE_EACH = list({kind_of(path): path for path in HISTORIES}.values())


def replayer(path: Path) -> Replayer:
    return Replayer(
        workflows=[WORKFLOWS[kind_of(path)]],
        data_converter=pydantic_data_converter,
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
        ),
    )


@pytest.mark.parametrize("name", sorted(WORKFLOWS))
def test_every_workflow_has_a_recorded_history(name: str) -> None:
    recorded = {kind_of(path) for path in HISTORIES}
    assert name in recorded, f"record a life of {name}, see tests/workflows/record.py"


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    await replayer(path).replay_workflow(history(path, path.read_text()))


@pytest.mark.parametrize("path", ONE_EACH, ids=lambda path: path.stem)
async def test_a_changed_command_is_noticed(path: Path) -> None:
    first = next(
        event["activityTaskScheduledEventAttributes"]["activityType"]["name"]
        for event in events(path)
        if "activityTaskScheduledEventAttributes" in event
    )
    text = path.read_text().replace(f'"name": "{first}"', '"name": "something_else"')
    with pytest.raises(Exception, match="[Nn]ondetermini"):
        await replayer(path).replay_workflow(history(path, text))
