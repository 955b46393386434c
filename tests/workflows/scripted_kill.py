"""Activities of a kill with the real names that answer from a script, and workers to run them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pydantic
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.answering import answered
from activities.kill_messages import (
    AlarmInput,
    AnswerInput,
    Collected,
    CollectInput,
    KillStanding,
    LiftInput,
    LiftReport,
    MarketAnswer,
    MarketStages,
    ScopeInput,
    ScopeReport,
    StageSeen,
)
from desk.identity import MarketId
from desk.records import Kill, KillEffect, KillStage
from tests.workflows.conftest import PASSTHROUGH
from workflows import names
from workflows.control import ControlWorkflow
from workflows.kill import KillWorkflow

OCX = MarketId("ocx", "main", "BTC-PERP")
X10 = MarketId("x10", "main", "BTC-USD")
ZO = MarketId("zo", "main", "SOLUSD")
STOPPED = (KillStage.GATE_CLOSED, KillStage.CANCELS_SENT, KillStage.LISTED_ZERO)


def stages(*seen: KillStage) -> tuple[StageSeen, ...]:
    return tuple(
        StageSeen(stage=stage, at_ms=2_000 + index, evidence="seen")
        for index, stage in enumerate(seen)
    )


@dataclass
class KillScript:
    """`by_itself` markets answer without being asked; `stuck` ones say why they cannot yet."""

    markets: list[MarketId] = field(default_factory=list)
    by_itself: set[MarketId] = field(default_factory=set)
    stuck: dict[MarketId, str] = field(default_factory=dict)
    lost: dict[MarketId, str] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    over: bool = False
    lifts: LiftReport = field(default_factory=lambda: LiftReport(lifted=True, again=False))
    gates: dict[str, list[Kill]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    asked: list[AnswerInput] = field(default_factory=list)
    alarms: list[AlarmInput] = field(default_factory=list)
    lifted: list[LiftInput] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)

    def called(self, name: str) -> None:
        self.calls[name] += 1
        if name in self.away:
            raise ApplicationError(f"{name}: away", type="Unavailable")

    def activities(self) -> list[object]:
        return [
            self.tell_board,
            self.record_kill,
            self.markets_in_scope,
            self.collect_answers,
            self.answer_kill,
            self.alarm_kill,
            self.lift_kill,
            self.kills_standing,
        ]

    @activity.defn(name="tell_board")
    async def tell_board(self, kill: Kill) -> None:
        self.called("board")

    @activity.defn(name="record_kill")
    async def record_kill(self, kill: Kill) -> None:
        self.called("record")
        self.kills.append(kill)

    @activity.defn(name="markets_in_scope")
    async def markets_in_scope(self, request: ScopeInput) -> ScopeReport:
        self.called("scope")
        found = tuple(one for one in self.markets if request.kill.covers(one))
        return ScopeReport(markets=found)

    @activity.defn(name="collect_answers")
    async def collect_answers(self, request: CollectInput) -> Collected:
        self.called("collect")
        done = stages(*STOPPED)
        return Collected(
            answers=tuple(
                MarketStages(market=one, stages=done)
                for one in request.markets
                if one in self.by_itself
            ),
            over=self.over,
        )

    @activity.defn(name="answer_kill")
    async def answer_kill(self, request: AnswerInput) -> MarketAnswer:
        self.asked.append(request)
        market = request.market
        if market in self.lost:
            why = self.lost[market]
            return MarketAnswer(market=market, stages=(), waiting_for=why, unverified=why)
        if market in self.stuck:
            gate = stages(KillStage.GATE_CLOSED)
            return MarketAnswer(market=market, stages=gate, waiting_for=self.stuck[market])
        wanted = [*STOPPED, KillStage.FLAT]
        seen = stages(*(wanted if request.kill.effect is KillEffect.FLATTEN else STOPPED))
        assert answered(request.kill, seen)
        return MarketAnswer(market=market, stages=seen)

    @activity.defn(name="alarm_kill")
    async def alarm_kill(self, request: AlarmInput) -> None:
        self.called("alarm")
        self.alarms.append(request)

    @activity.defn(name="lift_kill")
    async def lift_kill(self, request: LiftInput) -> LiftReport:
        self.called("lift")
        self.lifted.append(request)
        return self.lifts

    @activity.defn(name="kills_standing")
    async def kills_standing(self) -> tuple[KillStanding, ...]:
        self.called("standing")
        return tuple(KillStanding(kill=kill, asked=2, answered=1) for kill in self.kills)

    def own(self, worker: str) -> list[object]:
        """Activities of one process's own queue."""
        closed = self.gates.setdefault(worker, [])

        @activity.defn(name="close_gates")
        async def close_gates(kill: Kill) -> None:
            closed.append(kill)

        return [close_gates]


def worker(
    client: Client, queue: str, workflows: Sequence[type], activities: list[object]
) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflows=workflows,
        activities=activities,  # type: ignore[arg-type]
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
        ),
        workflow_failure_exception_types=[pydantic.ValidationError],
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
    )


@asynccontextmanager
async def brakes(client: Client, script: KillScript) -> AsyncIterator[None]:
    """A worker of the control queue."""
    flows = [ControlWorkflow, KillWorkflow]
    async with worker(client, names.CONTROL_QUEUE, flows, script.activities()):
        yield


@asynccontextmanager
async def process(client: Client, script: KillScript, name: str) -> AsyncIterator[None]:
    """One process's own queue."""
    async with worker(client, names.worker_queue(name), [], script.own(name)):
        yield


async def until(holds: object, what: str) -> None:
    """Wait until a call gives something true; asserts after twenty seconds."""
    assert callable(holds)
    for _ in range(1_000):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never: {what}")
