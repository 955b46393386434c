"""A reconciliation's run: it never fails, keeps its blindness, and sees to every open break."""

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pydantic
import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.reconciliation_messages import (
    BlindInput,
    ReconcileInput,
    ReconcileKind,
    ReconcileReport,
)
from desk.reconciliation import Tolerance
from infra.temporal.search_attributes import SEARCH_ATTRIBUTES, ensure_search_attributes
from tests.workflows.conftest import PASSTHROUGH
from workflows import names
from workflows.reconciliation import ReconciliationWorkflow
from workflows.reconciliation_messages import (
    AfterSources,
    ReconcileAccount,
    ReconciliationReport,
)
from workflows.reconciliation_page import reconciliation_page


def compared(*standing: int, found: int = 0, trouble: str = "") -> ReconcileReport:
    """A comparison that left these breaks open."""
    return ReconcileReport(
        run_id="run",
        at_ms=1_700_000_000_000,
        ours=3,
        theirs=3,
        requests=2,
        found=found,
        differences=tuple(f"position BTC-PERP: {number} apart" for number in range(found)),
        standing=standing,
        equity=Decimal("100.5"),
        expected=Decimal(100),
        trouble=trouble,
    )


@dataclass
class Compared:
    """What comparisons find, and what was recorded when they could not be made."""

    answers: deque[ReconcileReport | Exception] = field(default_factory=lambda: deque([compared()]))
    deaf: bool = False
    asked: list[ReconcileInput] = field(default_factory=list)
    blind: list[BlindInput] = field(default_factory=list)

    def activities(self) -> list[Any]:
        return [self.reconcile, self.record_blind]

    @activity.defn(name="reconcile")
    async def reconcile(self, request: ReconcileInput) -> ReconcileReport:
        self.asked.append(request)
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @activity.defn(name="record_blind")
    async def record_blind(self, request: BlindInput) -> None:
        if self.deaf:
            raise ApplicationError("postgres: away", type="Unavailable")
        self.blind.append(request)


@workflow.defn(name=names.BREAK_WORKFLOW)
class BreakForEver:
    """Stands in for a break's workflow: takes its input, and goes on until it is told to end."""

    def __init__(self) -> None:
        self._end = False

    @workflow.run
    async def run(self, start: dict[str, Any]) -> dict[str, Any]:
        """Wait for `end`, and give the input back."""
        await workflow.wait_condition(lambda: self._end)
        return start

    @workflow.signal
    def end(self) -> None:
        """End."""
        self._end = True


@asynccontextmanager
async def serving(client: Client, script: Compared) -> AsyncIterator[None]:
    async with Worker(
        client,
        task_queue=names.CONTROL_QUEUE,
        workflows=[ReconciliationWorkflow, BreakForEver],
        activities=script.activities(),
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
        ),
        workflow_failure_exception_types=[pydantic.ValidationError],
    ):
        yield


async def run(
    server: WorkflowEnvironment | Client, script: Compared, start: ReconcileAccount | None = None
) -> ReconciliationReport:
    client = server if isinstance(server, Client) else server.client
    async with serving(client, script):
        return await client.execute_workflow(
            ReconciliationWorkflow.run,
            start or ReconcileAccount(venue="ocx"),
            id=str(uuid.uuid4()),
            task_queue=names.CONTROL_QUEUE,
        )


async def test_the_activity_is_told_who_may_own_what_and_how_much_may_differ(
    server: WorkflowEnvironment,
) -> None:
    script = Compared()
    start = ReconcileAccount(
        venue="ocx", tolerance=Decimal(3), tolerance_bps=Decimal(7), sources=AfterSources.HAND
    )
    report = await run(server, script, start)
    (asked,) = script.asked
    assert asked.kind is ReconcileKind.ACCOUNT
    assert asked.owners == ("market/", "flatten/")
    assert asked.drill == "drill/ocx/main"
    assert asked.tolerance == Tolerance(amount=Decimal(3), bps=Decimal(7))
    assert not asked.auto_resume
    assert (report.breaks, report.begun, report.requests) == ((), (), 2)


@pytest.mark.services
async def test_every_open_break_gets_its_workflow_once(temporal_client: Client) -> None:
    await ensure_search_attributes(temporal_client, SEARCH_ATTRIBUTES)
    fleet = f"t{uuid.uuid4().hex[:8]}"
    start = ReconcileAccount(venue="ocx", fleet=fleet)
    script = Compared(answers=deque([compared(4, 9, found=1)]))
    assert (await run(temporal_client, script, start)).begun == (4, 9)
    again = await run(temporal_client, script, start)
    assert (again.breaks, again.begun) == ((4, 9), ())
    async with serving(temporal_client, script):
        for number in (4, 9):
            handle = temporal_client.get_workflow_handle(names.break_workflow_id(fleet, number))
            assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
            await handle.signal("end")
            assert await handle.result() == {"number": number, "fleet": fleet}


async def test_a_comparison_that_fails_at_one_worker_is_tried_at_another(
    server: WorkflowEnvironment,
) -> None:
    script = Compared(answers=deque([ApplicationError("no keys here", type="NoKeys"), compared()]))
    report = await run(server, script)
    assert (report.at_ms > 0, report.trouble, script.blind) == (True, "", [])
    assert len({one.run_id for one in script.asked}) == 1
    assert len({one.began_ms for one in script.asked}) == 1, "a repeat is the same run"


@pytest.mark.parametrize("deaf", [False, True])
async def test_a_run_that_cannot_compare_is_recorded_with_its_trouble_and_ends_well(
    server: WorkflowEnvironment, *, deaf: bool
) -> None:
    away = ApplicationError("the venue is away", type="NotSent")
    script = Compared(answers=deque([away]), deaf=deaf)
    report = await run(server, script)
    assert (report.at_ms, report.trouble) == (0, "the venue is away")
    assert report.blind_since_ms > 0
    assert "could not be compared" in reconciliation_page(report)
    if not deaf:
        (kept,) = script.blind
        assert (kept.trouble, kept.asked) == ("the venue is away", script.asked[0])
    assert report.told is not deaf, "the patience of one run is longer than that of a person"


async def test_bad_input_fails_with_its_sentence(server: WorkflowEnvironment) -> None:
    async with serving(server.client, Compared()):
        handle = await server.client.start_workflow(
            names.RECONCILIATION_WORKFLOW,
            {"venue": "ocx", "tolerance": 0.1},
            id=str(uuid.uuid4()),
            task_queue=names.CONTROL_QUEUE,
            execution_timeout=timedelta(seconds=60),
        )
        async with asyncio.timeout(30):
            while (description := await handle.describe()).status is (
                WorkflowExecutionStatus.RUNNING
            ):
                await asyncio.sleep(0.1)
        assert description.status is WorkflowExecutionStatus.FAILED


async def test_its_history_is_small(server: WorkflowEnvironment) -> None:
    async with serving(server.client, Compared()):
        handle = await server.client.start_workflow(
            ReconciliationWorkflow.run,
            ReconcileAccount(venue="ocx"),
            id=str(uuid.uuid4()),
            task_queue=names.CONTROL_QUEUE,
        )
        await handle.result()
        assert len((await handle.fetch_history()).events) <= 12


def test_the_page_shows_what_differs_and_what_is_open() -> None:
    report = ReconciliationReport(
        account="ocx/main",
        kind=ReconcileKind.ACCOUNT,
        run_id="r1",
        at_ms=1,
        found=1,
        differences=("position BTC-PERP: 0.5 apart",),
        breaks=(12,),
        equity=Decimal(100),
    )
    page = reconciliation_page(report)
    for text in ("1 breaks are open", "0.5 apart", "Open breaks: 12", "not judged", "--run r1"):
        assert text in page
    quiet = report.model_copy(update={"found": 0, "differences": (), "breaks": ()})
    assert "account: both sides agree" in reconciliation_page(quiet)
    half = reconciliation_page(quiet.model_copy(update={"trouble": "no source could say"}))
    assert "account: not compared in full" in half
    assert "no source could say" in half
