"""The life of a market: every road through the state machine, on a server that skips time."""

import asyncio
from collections import deque

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.messages import SessionInput
from desk.lifecycle import SessionReason
from tests.workflows.conftest import Start, skip_until_so
from tests.workflows.scripted import Script
from workflows.market import MarketWorkflow
from workflows.messages import (
    MarketResult,
    ParameterChange,
    Request,
    StopMarket,
)

Handle = WorkflowHandle[MarketWorkflow, MarketResult]


def states(result: MarketResult) -> list[str]:
    return [change.state.value for change in result.states]


async def until(handle: Handle, state: str) -> None:
    """Ask until the workflow says it is there; the test's own time-out bounds it."""
    while True:
        status = await handle.query(MarketWorkflow.status)
        if status.state.value == state:
            return
        await asyncio.sleep(0.01)


async def until_called(script: Script, name: str, times: int = 1) -> None:
    while script.calls.count(name) < times:
        await asyncio.sleep(0.01)


async def test_a_stop_cancels_the_session_and_stands_down(start: Start) -> None:
    script = Script()
    async with start(script) as handle:
        await until_called(script, "quote_session")
        await handle.signal(MarketWorkflow.stop, StopMarket(reason="end of day", by="ana"))
        result = await handle.result()
        status = await handle.query(MarketWorkflow.status)
    assert states(result) == ["starting", "quoting", "standing_down", "stopped"]
    assert script.calls.index("cancelled") < script.calls.index("take_over")
    assert script.calls.index("take_over") < script.calls.index("stand_down")
    assert result.reason == "end of day"
    assert result.final.ledger_equals_venue
    assert (result.cycles, result.requotes) == (10, 7)
    assert (status.cycles, status.requotes) == (10, 7), "the session is counted once"


@pytest.mark.parametrize("asked", ["stop", "pause"])
async def test_a_session_that_no_worker_holds_is_cleared_by_another(
    start: Start, asked: str
) -> None:
    script = Script(session_error=RuntimeError("the worker is gone"))
    async with start(script) as handle:
        await until_called(script, "quote_session")
        if asked == "pause":
            await handle.signal(MarketWorkflow.pause, Request(by="ana"))
            await until(handle, "paused")
            assert "take_over" in script.calls, "a pause leaves nothing resting either"
        await handle.signal(MarketWorkflow.stop, StopMarket(by="ana"))
        result = await handle.result()
    assert states(result)[-2:] == ["standing_down", "stopped"]
    assert script.calls.index("take_over") < script.calls.index("stand_down")


async def test_a_drawdown_flattens_slice_by_slice_before_standing_down(start: Start) -> None:
    script = Script(sessions=deque([SessionReason.DRAWDOWN]), positions=deque([40, 30, 20, 10, 0]))
    async with start(script) as handle:
        result = await handle.result()
    assert states(result) == ["starting", "quoting", "flattening", "standing_down", "stopped"]
    assert [step.after for step in result.flatten_steps] == [40, 30, 20, 10, 0]
    assert [step.step for step in result.flatten_steps] == [0, 1, 2, 3, 4]
    assert result.reason.startswith("drawdown")


async def test_a_flatten_never_gives_up_while_a_position_is_left(start: Start) -> None:
    script = Script(sessions=deque([SessionReason.DRAWDOWN]), positions=deque([5] * 30 + [0]))
    async with start(script) as handle:
        result = await handle.result()
    assert script.calls.count("flatten_slice") == 31
    assert result.flatten_steps[-1].after == 0


async def test_a_market_under_a_strange_workflow_id_is_refused(start: Start) -> None:
    script = Script()
    async with start(script, workflow_id="market/ocx/main/OTHER") as handle:
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert "start it again as 'market/ocx/main/BTC-PERP'" in str(failure.value.cause)
    assert script.calls == []


async def test_a_window_end_continues_as_new_and_keeps_the_record(start: Start) -> None:
    script = Script(sessions=deque([SessionReason.WINDOW, SessionReason.WINDOW]))
    async with start(script) as handle:
        await until_called(script, "quote_session", 3)
        await handle.signal(MarketWorkflow.stop, StopMarket())
        result = await handle.result()
    assert result.sessions == 3
    assert result.cycles == 30
    assert script.calls.count("preflight") == 1
    assert states(result) == ["starting", "quoting", "standing_down", "stopped"]


async def test_pause_and_resume(start: Start) -> None:
    script = Script()
    async with start(script) as handle:
        await until_called(script, "quote_session")
        await handle.signal(MarketWorkflow.pause, Request(reason="lunch", by="ana"))
        await until(handle, "paused")
        assert script.calls.count("quote_session") == 1
        await handle.signal(MarketWorkflow.resume, Request(reason="back", by="ana"))
        await until_called(script, "quote_session", 2)
        await handle.signal(MarketWorkflow.stop, StopMarket())
        result = await handle.result()
    assert states(result) == [
        "starting",
        "quoting",
        "paused",
        "quoting",
        "standing_down",
        "stopped",
    ]


@pytest.mark.parametrize(
    "reason",
    [SessionReason.LEASE, SessionReason.BOARD, SessionReason.FEED, SessionReason.NOT_CLEARED],
)
async def test_trouble_holds_and_tries_again(start: Start, reason: SessionReason) -> None:
    script = Script(sessions=deque([reason]))
    async with start(script) as handle:
        await until_called(script, "quote_session", 2)
        await handle.signal(MarketWorkflow.stop, StopMarket())
        result = await handle.result()
    assert states(result)[:4] == ["starting", "quoting", "holding", "quoting"]


async def test_a_kill_stands_down(start: Start) -> None:
    script = Script(sessions=deque([SessionReason.KILLED]))
    async with start(script) as handle:
        result = await handle.result()
    assert states(result) == ["starting", "quoting", "standing_down", "stopped"]


HELD = "break 7: ledger has 0 lots, the venue 5"


async def test_a_break_waits_until_it_is_settled(start: Start) -> None:
    script = Script(sessions=deque([SessionReason.BREAK]), held_by=HELD)
    async with start(script) as handle:
        await until(handle, "paused")
        await handle.signal(MarketWorkflow.break_settled)
        await until_called(script, "break_holding")
        assert (await handle.query(MarketWorkflow.status)).state.value == "paused", "another holds"
        script.held_by = ""
        await handle.signal(MarketWorkflow.break_settled)
        await until_called(script, "quote_session", 2)
        await handle.signal(MarketWorkflow.stop, StopMarket())
        result = await handle.result()
    assert states(result)[:4] == ["starting", "quoting", "paused", "quoting"]
    assert result.states[3].reason == "the break is settled"


async def test_a_settlement_nobody_told_of_is_seen_all_the_same(
    start: Start, server: WorkflowEnvironment
) -> None:
    script = Script(sessions=deque([SessionReason.BREAK]), held_by=HELD)
    async with start(script) as handle:
        await until(handle, "paused")
        for _ in range(24):
            await server.sleep(300)
        looks = script.calls.count("break_holding")
        assert 10 < looks < 20, "ever more seldom"
        assert script.calls.count("quote_session") == 1
        script.held_by = ""
        await skip_until_so(server, lambda: script.calls.count("quote_session") >= 2, 60)
        await handle.signal(MarketWorkflow.stop, StopMarket())
        await handle.result()


async def test_a_settlement_while_the_session_still_leaves_is_not_lost(
    start: Start, server: WorkflowEnvironment
) -> None:
    script = Script(leaves_with=SessionReason.BREAK)
    async with start(script) as handle:
        await until_called(script, "quote_session")
        with server.auto_time_skipping_disabled():
            await handle.signal(MarketWorkflow.break_settled)
            script.leave_now = True
            await until_called(script, "quote_session", 2)
        await handle.signal(MarketWorkflow.stop, StopMarket())
        result = await handle.result()
    assert states(result)[:4] == ["starting", "quoting", "paused", "quoting"]


async def test_a_market_a_person_paused_stays_paused_when_a_break_is_settled(
    start: Start, server: WorkflowEnvironment
) -> None:
    script = Script(sessions=deque([SessionReason.BREAK]))
    async with start(script) as handle:
        await until(handle, "paused")
        await handle.signal(MarketWorkflow.pause, Request(reason="lunch", by="ana"))
        await handle.signal(MarketWorkflow.break_settled)
        await server.sleep(60)
        status = await handle.query(MarketWorkflow.status)
        assert status.state.value == "paused"
        assert "break_holding" not in script.calls
        await handle.signal(MarketWorkflow.resume, Request(by="ana"))
        await until_called(script, "quote_session", 2)
        await handle.signal(MarketWorkflow.stop, StopMarket())
        await handle.result()


@pytest.mark.parametrize("reason", [SessionReason.REFUSED, SessionReason.UNFIT])
async def test_what_waits_for_a_person_does_not_go_on_for_a_break(
    start: Start, server: WorkflowEnvironment, reason: SessionReason
) -> None:
    script = Script(sessions=deque([reason]))
    async with start(script) as handle:
        await until(handle, "paused")
        await handle.signal(MarketWorkflow.break_settled)
        await server.sleep(60)
        assert (await handle.query(MarketWorkflow.status)).state.value == "paused"
        await handle.signal(MarketWorkflow.stop, StopMarket())
        result = await handle.result()
    assert states(result) == ["starting", "quoting", "paused", "standing_down", "stopped"]


async def test_a_resume_while_the_break_stands_leads_back_to_the_pause(start: Start) -> None:
    script = Script(sessions=deque([SessionReason.BREAK, SessionReason.BREAK]), held_by=HELD)
    async with start(script) as handle:
        await until(handle, "paused")
        await handle.signal(MarketWorkflow.resume, Request(by="ana"))
        await until_called(script, "quote_session", 2)
        await until(handle, "paused")
        await handle.signal(MarketWorkflow.stop, StopMarket())
        result = await handle.result()
    assert states(result)[:5] == ["starting", "quoting", "paused", "quoting", "paused"]


async def test_stop_with_flatten_exits_first(start: Start) -> None:
    script = Script(positions=deque([3, 0]))
    async with start(script) as handle:
        await until_called(script, "quote_session")
        await handle.signal(MarketWorkflow.stop, StopMarket(flatten=True))
        result = await handle.result()
    assert states(result) == ["starting", "quoting", "flattening", "standing_down", "stopped"]


async def test_parameters_are_validated_versioned_and_begin_a_new_session(start: Start) -> None:
    script = Script()
    async with start(script) as handle:
        await until_called(script, "quote_session")
        parameters = await handle.execute_update(
            MarketWorkflow.set_parameters,
            ParameterChange.model_validate({"level_notional": "250", "by": "ana"}),
        )
        assert parameters.version == 2
        await until_called(script, "quote_session", 2)
        with pytest.raises(WorkflowUpdateFailedError) as refusal:
            await handle.execute_update(
                MarketWorkflow.set_parameters,
                ParameterChange.model_validate({"levels": 99}),
            )
        assert "levels" in str(refusal.value.cause)
        await handle.signal(MarketWorkflow.stop, StopMarket())
        await handle.result()
    versions = [
        item.parameters.version
        for call, item in zip(script.calls, script.inputs, strict=True)
        if call == "quote_session" and isinstance(item, SessionInput)
    ]
    assert versions == [1, 2]


@pytest.mark.parametrize("asked", ["stop", "flatten", "pause"])
async def test_what_is_asked_during_the_preflight_keeps_its_reason(
    start: Start, asked: str
) -> None:
    script = Script(preflight_goes_on=asyncio.Event())
    async with start(script) as handle:
        await until_called(script, "preflight")
        await handle.signal(asked, Request(reason="killed", by="ana"))
        assert script.preflight_goes_on is not None
        script.preflight_goes_on.set()
        if asked == "pause":
            await until(handle, "paused")
            await handle.signal(MarketWorkflow.stop, Request(reason="killed", by="ana"))
        result = await handle.result()
    assert {one.reason for one in result.states[1:]} == {"killed"}
    assert "quote_session" not in script.calls


async def test_what_is_asked_before_the_first_step_keeps_its_reason(start: Start) -> None:
    script = Script()
    async with start(script, stopped_by=StopMarket(reason="killed", by="ana")) as handle:
        result = await handle.result()
    assert {one.reason for one in result.states} == {"killed"}
    assert "quote_session" not in script.calls


async def test_a_failed_preflight_fails_the_workflow_with_its_sentence(start: Start) -> None:
    script = Script(
        preflight_error=ApplicationError(
            "symbol: ocx has no market X", type="ConfigurationFault", non_retryable=True
        )
    )
    async with start(script) as handle:
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    cause = failure.value.cause
    assert "symbol: ocx has no market X" in str(cause.__cause__)
    assert "quote_session" not in script.calls
