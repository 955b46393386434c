"""A drill's workflow: every step in order, cleaned up and recorded however it ends."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.drill_messages import DrillDone, DrillInput, DrillReady, DrillSeen
from desk.drills import DrillKind
from tests.workflows.conftest import PASSTHROUGH
from tests.workflows.scripted import Script
from workflows import names
from workflows.drill import DrillWorkflow
from workflows.drill_messages import DrillResult, StartDrill
from workflows.market import MarketWorkflow


@dataclass
class DrillScript:
    """Steps that pass, but for the one named in `failing`."""

    failing: str = ""
    refused: bool = False
    waits_for_market: bool = False
    unclean: ApplicationError | None = None
    """What cleaning fails with, until it is None."""
    gate: asyncio.Event | None = None
    calls: list[str] = field(default_factory=list)
    done: DrillDone | None = None
    recorded: list[DrillDone] = field(default_factory=list)
    asked: list[DrillInput] = field(default_factory=list)
    ending: Script = field(default_factory=Script)

    def activities(self) -> list[object]:
        return [
            self.prepare_drill,
            self.see_quotes,
            self.drill_kill,
            self.drill_dead_man,
            self.drill_panic,
            self.clean_drill,
            self.record_drill,
        ]

    def _step(self, name: str) -> DrillSeen:
        self.calls.append(name)
        if name == self.failing:
            raise ApplicationError("the brake did nothing", type="DrillFailed")
        return DrillSeen(facts=(f"{name} seen",))

    @activity.defn(name="prepare_drill")
    async def prepare_drill(self, request: DrillInput) -> DrillReady:
        self.calls.append("prepare_drill")
        if self.refused:
            raise ApplicationError("not marked", type="ConfigurationFault", non_retryable=True)
        return DrillReady(level_notional=Decimal(20))

    @activity.defn(name="see_quotes")
    async def see_quotes(self, request: DrillInput) -> DrillSeen:
        market = activity.client().get_workflow_handle(names.market_workflow_id(request.market))
        while self.waits_for_market and (await market.describe()).close_time is None:
            await asyncio.sleep(0.02)
        return self._step("see_quotes")

    @activity.defn(name="drill_kill")
    async def drill_kill(self, request: DrillInput) -> DrillSeen:
        self.asked.append(request)
        handle = activity.client().get_workflow_handle(names.market_workflow_id(request.market))
        if self.failing != "drill_kill":
            await handle.signal("stop", {"reason": "killed", "by": "drill"})
        return self._step("drill_kill")

    @activity.defn(name="drill_dead_man")
    async def drill_dead_man(self, request: DrillInput) -> DrillSeen:
        return self._step("drill_dead_man")

    @activity.defn(name="drill_panic")
    async def drill_panic(self, request: DrillInput) -> DrillSeen:
        if self.gate is not None:
            await self.gate.wait()
        return self._step("drill_panic")

    @activity.defn(name="clean_drill")
    async def clean_drill(self, request: DrillInput) -> None:
        self.calls.append("clean_drill")
        self.asked.append(request)
        if self.unclean is not None:
            raise self.unclean

    @activity.defn(name="record_drill")
    async def record_drill(self, done: DrillDone) -> None:
        self.calls.append("record_drill")
        self.done = done
        self.recorded.append(done)


@asynccontextmanager
async def serving(server: WorkflowEnvironment, script: DrillScript) -> AsyncIterator[str]:
    """Workers for drills and for the market they start; the queue of the drills."""

    def worker(queue: str, workflow: type, activities: list[object]) -> Worker:
        return Worker(
            server.client,
            task_queue=queue,
            workflows=[workflow],
            activities=activities,  # type: ignore[arg-type]
            workflow_runner=SandboxedWorkflowRunner(
                restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
            ),
        )

    queue = str(uuid.uuid4())
    async with (
        worker(queue, DrillWorkflow, script.activities()),
        worker(names.MARKETS_QUEUE, MarketWorkflow, script.ending.activities()),
    ):
        yield queue


async def drill(server: WorkflowEnvironment, script: DrillScript, kind: DrillKind) -> DrillResult:
    async with serving(server, script) as queue:
        spec = StartDrill(kind=kind, venue="ocx", symbol="BTC-PERP")
        return await server.client.execute_workflow(
            DrillWorkflow.run,
            spec,
            id=names.drill_workflow_id(spec.venue, spec.account),
            task_queue=queue,
        )


async def test_a_kill_drill_kills_a_real_market(server: WorkflowEnvironment) -> None:
    script = DrillScript()
    result = await drill(server, script, DrillKind.KILL)
    assert result.passed
    assert script.calls == [
        *("prepare_drill", "see_quotes", "drill_kill", "clean_drill", "record_drill")
    ]
    started = script.ending.inputs[0]
    assert script.ending.calls[0] == "preflight"
    assert (
        getattr(started, "market", None)
        == StartDrill(kind=DrillKind.KILL, venue="ocx", symbol="BTC-PERP").market
    )
    assert result.facts[-2:] == (
        "the market stood down: killed",
        "no order, no position, and the ledger equals the venue",
    )
    given, cleaned = script.asked
    assert given.kill_at_ms > 0
    assert cleaned.kill_at_ms == given.kill_at_ms, "only its own kill is lifted"


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        (DrillKind.KILL, "see_quotes"),
        (DrillKind.KILL, "drill_kill"),
        (DrillKind.DEAD_MAN, "drill_dead_man"),
        (DrillKind.PANIC, "drill_panic"),
    ],
)
async def test_a_drill_that_fails_is_cleaned_up_and_recorded(
    server: WorkflowEnvironment, kind: DrillKind, step: str
) -> None:
    script = DrillScript(failing=step)
    result = await drill(server, script, kind)
    assert not result.passed
    assert result.message == "the brake did nothing"
    assert script.calls.count(step) == 1, "a brake that failed is not tried until it works"
    assert sorted(script.calls[-2:]) == ["clean_drill", "record_drill"]
    assert script.done is not None
    assert not script.done.passed


async def test_a_market_that_is_not_marked_ends_the_drill_at_once(
    server: WorkflowEnvironment,
) -> None:
    script = DrillScript(refused=True)
    with pytest.raises(WorkflowFailureError):
        await drill(server, script, DrillKind.PANIC)
    assert script.calls == ["prepare_drill"]


async def test_a_market_that_cannot_start_is_a_failed_drill(server: WorkflowEnvironment) -> None:
    script = DrillScript(failing="see_quotes", waits_for_market=True)
    script.ending.preflight_error = ApplicationError(
        "its account has no collateral", type="ConfigurationFault", non_retryable=True
    )
    result = await drill(server, script, DrillKind.KILL)
    assert not result.passed
    assert result.message == "its account has no collateral"
    assert sorted(script.calls[-2:]) == ["clean_drill", "record_drill"]


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ({"venue_position": 7, "ledger_position": 7}, "a position of 7 lots"),
        ({"ledger_equals_venue": False, "difference": "one fill"}, "books disagree: one fill"),
    ],
)
async def test_a_killed_market_must_end_flat_with_equal_books(
    server: WorkflowEnvironment, left: dict[str, Any], said: str
) -> None:
    script = DrillScript()
    script.ending.look = replace(script.ending.look, **left)
    result = await drill(server, script, DrillKind.KILL)
    assert not result.passed
    assert said in result.message
    assert [one.passed for one in script.recorded] == [False]


async def test_a_failure_is_recorded_although_it_cannot_be_cleaned(
    server: WorkflowEnvironment,
) -> None:
    script = DrillScript(failing="drill_dead_man")
    script.unclean = ApplicationError("1 orders still listed", type="NotCleared")
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        drilling = tasks.create_task(drill(server, script, DrillKind.DEAD_MAN))
        while len(script.recorded) < 2:
            await asyncio.sleep(0.02)
        first, second = script.recorded
        assert (first.passed, first.message) == (False, "the brake did nothing")
        assert (second.run_id, second.passed) == (first.run_id, False)
        assert "not proved clean within 300 s" in second.message
        script.unclean = None
        result = await drilling
    assert not result.passed
    assert script.calls[-1] == "clean_drill", "it is cleaned for ever"


async def test_a_drill_that_leaves_lots_has_failed(server: WorkflowEnvironment) -> None:
    script = DrillScript()
    script.unclean = ApplicationError("3 lots are left", type="DrillFailed", non_retryable=True)
    result = await drill(server, script, DrillKind.PANIC)
    assert (result.passed, result.message) == (False, "3 lots are left")
    assert script.calls.count("clean_drill") == 1
    assert [one.passed for one in script.recorded] == [False]


async def test_an_account_is_drilled_by_one_at_a_time_whatever_they_are_called(
    server: WorkflowEnvironment,
) -> None:
    script = DrillScript(gate=asyncio.Event())
    first = StartDrill(kind=DrillKind.PANIC, venue="ocx", symbol="BTC-PERP")
    second = StartDrill(kind=DrillKind.DEAD_MAN, venue="ocx", symbol="ETH-PERP")
    async with asyncio.timeout(60), serving(server, script) as queue:
        held = await server.client.start_workflow(
            DrillWorkflow.run, first, id="drill/ocx/drill-2026-01-01T00:00:00Z", task_queue=queue
        )
        while "prepare_drill" not in script.calls:
            await asyncio.sleep(0.02)
        with pytest.raises(WorkflowFailureError) as refused:
            await server.client.execute_workflow(
                DrillWorkflow.run, second, id="by-hand", task_queue=queue
            )
        assert "a drill at ocx/drill runs already" in str(refused.value.cause)
        assert script.calls == ["prepare_drill"]
        assert script.gate is not None
        script.gate.set()
        assert (await held.result()).passed
