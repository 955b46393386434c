"""A lost day is latched before anything else is done about it; the watch over accounts goes on."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.loss_messages import (
    LatchMarketInput,
    LatchReport,
    LossEvent,
    LossPicture,
    ScopeLoss,
    WatchLossesInput,
    WatchLossesReport,
)
from desk.daily_loss import DayLimits, Finding, LossVerdict
from desk.lifecycle import SessionReason
from desk.records import KillEffect
from tests.workflows.conftest import Start, worker
from tests.workflows.scripted import Script
from workflows import names
from workflows.daily_loss import DailyLossWorkflow
from workflows.daily_loss_messages import DailyLossStatus, WatchDailyLoss

BEGINS_MS, ENDS_MS = 1_763_683_200_000, 1_763_769_600_000
ROW = ScopeLoss(
    scope="account:ocx/main",
    start=Decimal(0),
    now=Decimal("-30.5"),
    peak=Decimal(2),
    limits=DayLimits(hard=Decimal(25)),
)
FLEET = replace(ROW, scope="fleet", limits=DayLimits())
PICTURE = LossPicture(
    at_ms=BEGINS_MS + 9_000, begins_ms=BEGINS_MS, ends_ms=ENDS_MS, scopes=(FLEET, ROW)
)
EVENT = LossEvent(
    scope=ROW.scope,
    finding=Finding(
        verdict=LossVerdict.HARD,
        lost=Decimal("30.5"),
        limit=Decimal(25),
        sentence="lost 30.50 since the start of the day; more than the hard limit 25",
    ),
    ends_ms=ENDS_MS,
)
LATCHED = replace(
    PICTURE,
    scopes=(FLEET, replace(ROW, latch=KillEffect.FLATTEN, latch_until_ms=ENDS_MS)),
)


@dataclass
class LosingScript(Script):
    """A market whose latch is asked for; `latch_failures` come first."""

    latch_failures: deque[Exception] = field(default_factory=deque)

    def activities(self) -> list[object]:
        return [*super().activities(), self.latch_market]

    @activity.defn(name="latch_market")
    async def latch_market(self, request: LatchMarketInput) -> LatchReport:
        self.note("latch_market", request)
        if self.latch_failures:
            raise self.latch_failures.popleft()
        return LatchReport(scope="loss:market:ocx/main/BTC-PERP", at_ms=1, until_ms=2)


@dataclass
class WatchScript:
    """What the watch sees, look by look; then it looks for ever."""

    looks: deque[WatchLossesReport]
    calls: list[str] = field(default_factory=list)
    windows: list[int] = field(default_factory=list)
    latch_failures: int = 0

    @activity.defn(name="watch_losses")
    async def watch_losses(self, request: WatchLossesInput) -> WatchLossesReport:
        self.calls.append("watch")
        self.windows.append(request.window_s)
        if self.looks:
            return self.looks.popleft()
        while True:
            activity.heartbeat()
            await asyncio.sleep(0.05)

    @activity.defn(name="latch_scope")
    async def latch_scope(self, event: LossEvent) -> LatchReport:
        self.calls.append(f"latch {event.scope}")
        if self.latch_failures:
            self.latch_failures -= 1
            raise ApplicationError("postgres is away", type="Unavailable")
        return LatchReport(scope=f"loss:{event.scope}", at_ms=1, until_ms=event.ends_ms)


Watching = WorkflowHandle[DailyLossWorkflow, None]


@asynccontextmanager
async def watching(
    server: WorkflowEnvironment, script: WatchScript, workflow_id: str = "daily-loss/main"
) -> AsyncIterator[Watching]:
    async with worker(
        server.client,
        names.CONTROL_QUEUE,
        [DailyLossWorkflow],
        [script.watch_losses, script.latch_scope],
    ):
        handle = await server.client.start_workflow(
            DailyLossWorkflow.run,
            WatchDailyLoss(),
            id=workflow_id,
            task_queue=names.CONTROL_QUEUE,
        )
        yield handle


async def until_latched(handle: Watching, times: int = 1) -> DailyLossStatus:
    while True:
        status = await handle.query(DailyLossWorkflow.status)
        if len(status.history) >= times:
            return status
        await asyncio.sleep(0.02)


async def test_a_lost_day_is_latched_before_the_position_is_left(start: Start) -> None:
    script = LosingScript(
        sessions=deque([SessionReason.DAILY_LOSS]),
        positions=deque([20, 0]),
        latch_failures=deque(ApplicationError("away", type="Unavailable") for _ in range(3)),
    )
    async with start(script) as handle:
        result = await handle.result()
    assert [change.state.value for change in result.states] == [
        *("starting", "quoting", "flattening", "standing_down", "stopped")
    ]
    assert script.calls.count("latch_market") == 4, "it is asked until it stands"
    last = len(script.calls) - 1 - script.calls[::-1].index("latch_market")
    assert last < script.calls.index("decision:quoting->flattening")
    assert last < script.calls.index("flatten_slice")
    assert result.reason.startswith("daily loss")


async def test_a_drawdown_is_not_latched(start: Start) -> None:
    script = LosingScript(sessions=deque([SessionReason.DRAWDOWN]))
    async with start(script) as handle:
        await handle.result()
    assert "latch_market" not in script.calls


async def test_a_passed_limit_is_latched_and_shown_and_the_watch_goes_on(
    server: WorkflowEnvironment,
) -> None:
    script = WatchScript(
        looks=deque(
            [
                WatchLossesReport(picture=PICTURE),
                WatchLossesReport(picture=PICTURE, events=(EVENT,)),
                WatchLossesReport(picture=LATCHED),
            ]
        ),
        latch_failures=2,
    )
    async with watching(server, script) as handle:
        status = await until_latched(handle)
        while script.calls.count("watch") < 4:
            await asyncio.sleep(0.02)
        status = await handle.query(DailyLossWorkflow.status)
        await handle.terminate("the test is over")
    assert script.calls == ["watch", "watch", *["latch account:ocx/main"] * 3, "watch", "watch"]
    assert script.windows == [0, 60, 0, 60], "what changed is shown at once"
    (note,) = status.history
    assert note.until == "2025-11-22T00:00:00+00:00"
    assert "since the start of the day" in note.sentence
    assert status.picture is not None
    assert status.picture.scopes[1].latch is KillEffect.FLATTEN


async def test_a_watch_under_a_strange_workflow_id_is_refused(server: WorkflowEnvironment) -> None:
    async with watching(server, WatchScript(looks=deque()), "daily-loss/else") as handle:
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert "start it again as 'daily-loss/main'" in str(failure.value.cause)
