"""A drill's workflow: every step in order, cleaned up and recorded however it ends."""

import uuid
from dataclasses import dataclass, field
from decimal import Decimal

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
    calls: list[str] = field(default_factory=list)
    done: DrillDone | None = None
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
        return self._step("see_quotes")

    @activity.defn(name="drill_kill")
    async def drill_kill(self, request: DrillInput) -> DrillSeen:
        handle = activity.client().get_workflow_handle(names.market_workflow_id(request.market))
        if self.failing != "drill_kill":
            await handle.signal("stop", {"reason": "killed", "by": "drill"})
        return self._step("drill_kill")

    @activity.defn(name="drill_dead_man")
    async def drill_dead_man(self, request: DrillInput) -> DrillSeen:
        return self._step("drill_dead_man")

    @activity.defn(name="drill_panic")
    async def drill_panic(self, request: DrillInput) -> DrillSeen:
        return self._step("drill_panic")

    @activity.defn(name="clean_drill")
    async def clean_drill(self, request: DrillInput) -> None:
        self.calls.append("clean_drill")

    @activity.defn(name="record_drill")
    async def record_drill(self, done: DrillDone) -> None:
        self.calls.append("record_drill")
        self.done = done


async def drill(server: WorkflowEnvironment, script: DrillScript, kind: DrillKind) -> DrillResult:
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
        spec = StartDrill(kind=kind, venue="ocx", symbol="BTC-PERP")
        return await server.client.execute_workflow(
            DrillWorkflow.run,
            spec,
            id=names.drill_workflow_id(kind.value, spec.market),
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
    assert result.facts[-1] == "the market stood down: killed"


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
    assert script.calls[-2:] == ["clean_drill", "record_drill"]
    assert script.done is not None
    assert not script.done.passed


async def test_a_market_that_is_not_marked_ends_the_drill_at_once(
    server: WorkflowEnvironment,
) -> None:
    script = DrillScript(refused=True)
    with pytest.raises(WorkflowFailureError):
        await drill(server, script, DrillKind.PANIC)
    assert script.calls == ["prepare_drill"]
