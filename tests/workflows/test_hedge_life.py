"""The life of a hedge, on a server that skips time: owed until filled, released or stopped."""

import asyncio
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pydantic
import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.messages import DecisionInput
from desk.hedging import HedgeReceipt, HedgeState
from tests.workflows.conftest import PASSTHROUGH
from tests.workflows.scripted_hedge import IDLE, NUMBER, HedgeScript, owing
from workflows import names
from workflows.hedge import HedgeWorkflow
from workflows.hedge_messages import HedgeStatus, ReleaseHedge, StartHedge
from workflows.messages import Request

Handle = WorkflowHandle[HedgeWorkflow, HedgeStatus]
StartOne = Callable[..., AbstractAsyncContextManager[Handle]]

FORM = {
    "source_venue": "ocx",
    "source_symbol": "BTC-PERP",
    "hedge_venue": "ocx",
    "hedge_symbol": "ETH-PERP",
    "threshold": "0.5",
}


@pytest.fixture
def start(server: WorkflowEnvironment) -> StartOne:
    @asynccontextmanager
    async def running(
        script: HedgeScript, workflow_id: str | None = None, **fields: object
    ) -> AsyncIterator[Handle]:
        queue = str(uuid.uuid4())
        async with Worker(
            server.client,
            task_queue=queue,
            workflows=[HedgeWorkflow],
            activities=script.activities(),  # type: ignore[arg-type]
            workflow_runner=SandboxedWorkflowRunner(
                restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
            ),
            workflow_failure_exception_types=[pydantic.ValidationError],
            max_heartbeat_throttle_interval=timedelta(milliseconds=100),
        ):
            spec = StartHedge.model_validate({**FORM, **fields})
            yield await server.client.start_workflow(
                HedgeWorkflow.run,
                spec,
                id=workflow_id or names.hedge_workflow_id(spec.source),
                task_queue=queue,
            )

    return running


async def until(handle: Handle, holds: Callable[[HedgeStatus], bool]) -> HedgeStatus:
    """Ask until it holds; the test's own time-out bounds it."""
    while True:
        status = await handle.query(HedgeWorkflow.status)
        if holds(status):
            return status
        await asyncio.sleep(0.01)


async def until_called(script: HedgeScript, name: str, times: int = 1) -> None:
    while script.calls.count(name) < times:
        await asyncio.sleep(0.01)


async def stopped(handle: Handle) -> HedgeStatus:
    await handle.signal(HedgeWorkflow.stop, Request(reason="end of day", by="ana"))
    return await handle.result()


async def test_it_opens_watches_and_gives_the_market_back(start: StartOne) -> None:
    script = HedgeScript()
    async with start(script) as handle:
        await until_called(script, "watch")
        result = await stopped(handle)
    assert script.calls == [
        "open",
        "decision:hedge started",
        "watch",
        "cancelled",
        "decision:hedge stopped",
        "leave",
    ]
    assert result.state is HedgeState.STOPPED
    assert result.reason == "stopped by ana: end of day"


async def test_a_hedge_lives_on_whatever_is_said_and_a_stop_holds(start: StartOne) -> None:
    async with start(HedgeScript()) as handle:
        for verb in ("check", "release"):
            for said in ([], ["now"], [{"by": "ana", "reson": "x"}], [1, 2]):
                await handle.signal(verb, args=said)
        await until(
            handle, lambda status: any("not released" in one.text for one in status.history)
        )
        await handle.signal("stop", {"reson": "end of day", "by": "ana"})
        async with asyncio.timeout(30):
            result = await handle.result()
    assert result.state is HedgeState.STOPPED
    assert result.reason.startswith("stopped by ana: ")
    assert "not understood: reson" in result.reason


async def test_what_is_owed_is_sent_slice_by_slice_under_ids_of_their_own(
    start: StartOne,
) -> None:
    script = HedgeScript(
        looks=deque([owing(-3), owing(-2, position=-1), IDLE]), fills=deque([-1, -2])
    )
    async with start(script) as handle:
        await until_called(script, "watch", 4)
        result = await stopped(handle)
    assert [(one.step, one.lots, one.position) for one in script.orders()] == [
        (0, -3, 0),
        (1, -2, -1),
    ]
    assert (result.orders, result.obligation, result.owed) == (2, None, 0)
    assert [event.state.value for event in result.history if "lots:" not in event.text] == [
        "starting",
        "watching",
        "owing",
        "watching",
        "stopped",
    ]


async def test_an_order_without_a_trace_is_sent_again_under_the_same_id(start: StartOne) -> None:
    script = HedgeScript(looks=deque([owing(-3), owing(-3)]), fills=deque([0, 0]), spent=False)
    async with start(script) as handle:
        await until_called(script, "watch", 3)
        await stopped(handle)
    assert [one.step for one in script.orders()] == [0, 0]


async def test_the_id_of_an_order_without_a_trace_outlives_its_lease(start: StartOne) -> None:
    later = [replace(owing(-3), epoch=epoch) for epoch in (4, 5, 6)]
    trouble = ApplicationError("cut off", type="Refused", non_retryable=True)
    script = HedgeScript(looks=deque([owing(-3), *later]), fills=deque([trouble, -3, -3, -3]))
    async with start(script) as handle:
        await until_called(script, "watch", 5)
        await stopped(handle)
    assert [(one.step, one.id_epoch, one.epoch) for one in script.orders()] == [
        (0, 1, 1),
        (0, 1, 4),
        (1, 5, 5),
        (2, 6, 6),
    ]


async def test_a_receipt_is_remembered_until_a_watch_saw_it_in_the_books(start: StartOne) -> None:
    receipt = HedgeReceipt(position=0, filled=-3)
    unseen = replace(owing(-3), state=HedgeState.BLOCKED, part_lots=0, receipt=receipt)
    filler = [replace(unseen, reason="lists lag")] * 90  # long enough to continue as new
    script = HedgeScript(looks=deque([owing(-3), *filler, IDLE]), fills=deque([0]), receipt=receipt)
    async with start(script, overdue_s=86_400) as handle:
        first = (await handle.describe()).run_id
        await until_called(script, "watch", 93)
        last = (await handle.describe()).run_id
        await stopped(handle)
    assert last != first, "it went on in a new run"
    seen = [watch.receipt for watch in script.watches()]
    assert seen[:93] == [None, *[receipt] * 91, None]


async def test_a_release_ends_the_wait_for_a_receipt(start: StartOne) -> None:
    receipt = HedgeReceipt(position=0, filled=-3)
    unseen = replace(owing(-3), state=HedgeState.BLOCKED, part_lots=0, receipt=receipt)
    script = HedgeScript(looks=deque([owing(-3), unseen]), fills=deque([0]), receipt=receipt)
    async with start(script) as handle:
        await until(handle, lambda status: status.state is HedgeState.BLOCKED)
        await handle.signal(HedgeWorkflow.release, ReleaseHedge(by="ana", reason="by hand"))
        await until(handle, lambda status: status.obligation is None)
        await until_called(script, "watch", 4)
        await stopped(handle)
    assert script.watches()[-1].receipt is None


async def test_a_hedge_that_does_not_fill_is_tried_ever_more_slowly(start: StartOne) -> None:
    script = HedgeScript(looks=deque([owing(-3)] * 9), fills=deque([0] * 8 + [-3]))
    async with start(script) as handle:
        await until_called(script, "watch", 10)
        await stopped(handle)
    rests = [watch.rest_s for watch in script.watches()]
    assert rests[:10] == [0, 2, 4, 8, 16, 32, 60, 60, 60, 1]


async def test_a_release_needs_a_name_and_waives_what_is_owed(start: StartOne) -> None:
    waiting = replace(owing(-3), part_lots=0)
    script = HedgeScript(looks=deque([waiting]))
    async with start(script) as handle:
        await until(handle, lambda status: status.obligation == NUMBER)
        await handle.signal("release", {"by": " ", "reason": "nobody"})
        await handle.signal(HedgeWorkflow.release, ReleaseHedge(by="ana", reason="by hand"))
        status = await until(handle, lambda status: status.obligation is None)
        await until_called(script, "watch", 3)
        await stopped(handle)
    assert script.calls.count("release") == 1
    assert (status.waived, status.owed) == (-3, 0)
    assert status.reason == "released by ana: by hand"
    assert script.watches()[-1].waived == -3
    assert script.orders() == []


async def test_a_release_with_nothing_owed_changes_nothing(start: StartOne) -> None:
    script = HedgeScript()
    async with start(script) as handle:
        await until_called(script, "watch")
        await handle.signal(HedgeWorkflow.release, ReleaseHedge(by="ana", reason="early"))
        await until_called(script, "watch", 2)
        result = await stopped(handle)
    assert "release" not in script.calls
    assert result.waived == 0
    assert any("nothing is owed" in event.text for event in result.history)


async def test_a_stop_leaves_the_debt_and_says_so(start: StartOne) -> None:
    script = HedgeScript(looks=deque([replace(owing(-3), part_lots=0)]))
    async with start(script) as handle:
        await until(handle, lambda status: status.obligation == NUMBER)
        await until_called(script, "watch", 2)
        result = await stopped(handle)
    assert "-3 lots stay owed (obligation 7)" in result.reason
    assert "decision:hedge stopped!" in script.calls


@pytest.mark.parametrize(("spans", "alerts"), [(0.5, 0), (1.5, 1), (5, 2), (17, 3)])
async def test_a_person_is_told_when_it_stays_owed_and_not_too_often(
    start: StartOne, spans: float, alerts: int
) -> None:
    opened_at_ms = round(time.time() * 1_000 - spans * 3_600_000)
    blocked = replace(
        owing(-3, opened_at_ms=opened_at_ms),
        state=HedgeState.BLOCKED,
        reason="killed",
        part_lots=0,
    )
    script = HedgeScript(looks=deque([blocked] * 6))
    async with start(script, overdue_s=3_600) as handle:
        await until_called(script, "watch", 7)
        await stopped(handle)
    told = [one for one in script.inputs if isinstance(one, DecisionInput)]
    overdue = [one for one in told if one.kind == "hedge overdue"]
    assert len(overdue) == alerts, "an alert after one span, then after four, then after sixteen"
    assert all(one.alert and one.reason.endswith(": killed") for one in overdue)


@pytest.mark.parametrize("where", ["watch", "order"])
async def test_an_activity_that_gives_up_does_not_end_the_hedge(
    start: StartOne, where: str
) -> None:
    trouble = ApplicationError("not_authenticated: key", type="Refused", non_retryable=True)
    script = HedgeScript(looks=deque([trouble if where == "watch" else owing(-3), owing(-3)]))
    if where == "order":
        script.fills.append(trouble)
    async with start(script) as handle:
        await until_called(script, "order", 1 if where == "watch" else 2)
        await until_called(script, "watch", 3)
        result = await stopped(handle)
    blocked = next(event for event in result.history if event.state is HedgeState.BLOCKED)
    assert "not_authenticated: key" in blocked.text
    assert {one.step for one in script.orders()} == {0}, "the id stays: nothing is known of it"


async def test_a_check_looks_at_once(start: StartOne) -> None:
    script = HedgeScript()
    async with start(script) as handle:
        await until_called(script, "watch")
        await handle.signal(HedgeWorkflow.check, Request())
        await until_called(script, "watch", 2)
        await stopped(handle)
    assert script.calls.index("cancelled") < len(script.calls) - 1


async def test_a_refused_opening_fails_with_its_sentence(start: StartOne) -> None:
    sentence = "hedge: ocx/main/ETH-PERP is held by somebody else"
    script = HedgeScript(
        open_error=ApplicationError(sentence, type="ConfigurationFault", non_retryable=True)
    )
    async with start(script) as handle:
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert sentence in str(failure.value.cause.__cause__)
    assert script.calls == ["open"]


async def test_a_hedge_under_a_strange_workflow_id_is_refused(start: StartOne) -> None:
    script = HedgeScript()
    async with start(script, workflow_id="hedge/other") as handle:
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert "start it again as 'hedge/ocx/main/BTC-PERP'" in str(failure.value.cause)
    assert script.calls == []


async def test_a_long_history_continues_as_new_and_forgets_nothing(start: StartOne) -> None:
    looks = [owing(-1), *[replace(IDLE, source=IDLE.source)] * 90, owing(-2, position=-1)]
    script = HedgeScript(looks=deque(looks))
    async with start(script) as handle:
        first = (await handle.describe()).run_id
        await until_called(script, "order", 2)
        await until_called(script, "watch", 93)
        last = (await handle.describe()).run_id
        result = await stopped(handle)
    assert last != first
    assert script.calls.count("open") == 1
    assert [one.step for one in script.orders()] == [0, 1]
    assert len({one.plan.owner for one in script.watches()}) == 1, "one owner of one lease"
    assert (result.orders, result.position) == (2, -3)
