"""After trouble a market rests, is cleared, and waits for a person when it was too much."""

from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.messages import DecisionInput, SessionInput, TakeOverInput
from desk.lifecycle import SessionReason
from tests.workflows.conftest import Start, skip_until_so
from tests.workflows.scripted import Script
from tests.workflows.test_market_life import states, until, until_called
from workflows.market import MarketWorkflow
from workflows.messages import (
    MarketResult,
    MarketStatus,
    ParameterChange,
    Request,
    StopMarket,
)
from workflows.policies import SESSION_ATTEMPTS

Handle = WorkflowHandle[MarketWorkflow, MarketResult]

LEASE, KILLED, WINDOW = SessionReason.LEASE, SessionReason.KILLED, SessionReason.WINDOW
GONE = ApplicationError(
    "symbol: ocx lists no market BTC-PERP any more", type="ConfigurationFault", non_retryable=True
)
NOT_CLEARED = ApplicationError("orders not cleared", type="NotCleared", non_retryable=True)


def seconds_held(result: MarketResult) -> list[int]:
    """How long each hold was."""
    times = [(change.state.value, datetime.fromisoformat(change.at)) for change in result.states]
    return [
        round((after - at).total_seconds())
        for (state, at), (_, after) in pairwise(times)
        if state == "holding"
    ]


def alerts(script: Script) -> list[str]:
    return [item.kind for item in script.inputs if isinstance(item, DecisionInput) and item.alert]


def sessions(script: Script) -> list[SessionInput]:
    return [item for item in script.inputs if isinstance(item, SessionInput)]


@pytest.fixture
def skip_until(
    server: WorkflowEnvironment,
) -> Callable[[Handle, str], Awaitable[MarketStatus]]:
    """Let time go by until the market is in a state."""

    async def skipping(handle: Handle, state: str) -> MarketStatus:
        for _ in range(200):
            status = await handle.query(MarketWorkflow.status)
            if status.state.value == state:
                return status
            await server.sleep(1)
        raise AssertionError(f"not {state}: {status}")

    return skipping


SkipUntil = Callable[[Handle, str], Awaitable[MarketStatus]]


async def finish(handle: Handle) -> MarketResult:
    await handle.signal(MarketWorkflow.stop, StopMarket(by="ana"))
    return await handle.result()


# --- cool-down -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "rests"),
    [
        (SessionReason.ERROR_RATE, [30, 30, 30]),
        (SessionReason.SAME_REFUSAL, [30, 30, 30]),
        (SessionReason.LATENCY, [60, 60, 60]),
        (SessionReason.FILL_BURST, [90, 90, 90]),
        (SessionReason.LEASE, [1, 2, 4]),
    ],
)
async def test_a_market_rests_by_the_reason(
    start: Start, reason: SessionReason, rests: list[int]
) -> None:
    script = Script(sessions=deque([reason, reason, reason, KILLED]))
    async with start(script, fill_freeze_ms=90_000) as handle:
        result = await handle.result()
    assert seconds_held(result) == rests


async def test_new_parameters_do_not_cut_a_rest_short_and_a_person_does(
    start: Start, server: WorkflowEnvironment, skip_until: SkipUntil
) -> None:
    script = Script(sessions=deque([SessionReason.FILL_BURST]))
    async with start(script, fill_freeze_ms=600_000) as handle:
        await until(handle, "holding")
        change = ParameterChange.model_validate({"levels": 2})
        await handle.execute_update(MarketWorkflow.set_parameters, change)
        await server.sleep(20)
        assert script.calls.count("quote_session") == 1
        await handle.signal(MarketWorkflow.resume, Request())
        await skip_until(handle, "quoting")
        result = await finish(handle)
    assert seconds_held(result)[0] < 600


async def test_a_fill_burst_waits_for_a_person_where_that_is_asked_for(
    start: Start, server: WorkflowEnvironment
) -> None:
    script = Script(sessions=deque([SessionReason.FILL_BURST]))
    async with start(script, fill_reset_by_hand=True) as handle:
        await until(handle, "paused")
        await until_called(script, "decision:quoting->paused", 1)
        assert alerts(script) == ["quoting->paused"]
        await server.sleep(3_600)
        assert script.calls.count("quote_session") == 1
        await handle.signal(MarketWorkflow.resume, Request())
        await until_called(script, "quote_session", 2)
        await finish(handle)


# --- the cap on restarts ---------------------------------------------------------------------


async def test_too_much_trouble_waits_for_a_person_with_a_name(
    start: Start, server: WorkflowEnvironment, skip_until: SkipUntil
) -> None:
    script = Script(sessions=deque([LEASE] * 5))
    async with start(script, max_restarts=2) as handle:
        status = await skip_until(handle, "paused")
        assert "3 sessions ended by trouble within 1800 s" in status.waits_for_a_person
        assert script.calls.count("quote_session") == 3
        assert alerts(script)[-1] == "quoting->paused"
        await handle.execute_update(
            MarketWorkflow.set_parameters, ParameterChange.model_validate({"levels": 2})
        )
        await handle.signal(MarketWorkflow.pause, Request(by="ana"))
        await handle.signal(MarketWorkflow.resume, Request())
        await server.sleep(3_600)
        assert script.calls.count("quote_session") == 3, "time and namelessness resume nothing"
        await handle.signal(MarketWorkflow.resume, Request(by="ana"))
        # Counted anew: two more are not too many.
        await skip_until(handle, "holding")
        await skip_until_so(server, lambda: script.calls.count("quote_session") >= 6, 1)
        status = await handle.query(MarketWorkflow.status)
        assert (status.troubles, status.waits_for_a_person) == (2, "")
        await finish(handle)


async def test_the_count_survives_continue_as_new_and_windows_in_between(
    start: Start, skip_until: SkipUntil
) -> None:
    script = Script(sessions=deque([LEASE, WINDOW, LEASE, WINDOW, LEASE]))
    async with start(script, max_restarts=2) as handle:
        status = await skip_until(handle, "paused")
        assert status.troubles == 3
        await finish(handle)


async def test_trouble_of_long_ago_does_not_count(start: Start) -> None:
    script = Script(sessions=deque([*[LEASE] * 6, KILLED]))
    async with start(script, max_restarts=4, restart_window_s=10) as handle:
        result = await handle.result()
    assert "paused" not in states(result)


# --- sessions that end without a word --------------------------------------------------------


async def test_a_session_that_fails_is_cleared_by_another_worker_and_tried_again(
    start: Start,
) -> None:
    failures: list[Exception | None] = [RuntimeError("a bug")] * SESSION_ATTEMPTS
    script = Script(session_failures=deque(failures), sessions=deque([KILLED]))
    async with start(script) as handle:
        result = await handle.result()
    asked = [call for call in script.calls if call in ("quote_session", "take_over")]
    assert asked == [
        *["quote_session"] * SESSION_ATTEMPTS,
        "take_over",
        "quote_session",
        "take_over",
    ]
    cleared = next(item for item in script.inputs if isinstance(item, TakeOverInput))
    assert cleared.give_back, "the next session needs the lease"
    assert states(result)[:4] == ["starting", "quoting", "holding", "quoting"]
    assert "a bug; its orders were cleared" in result.states[2].reason


async def test_attempts_of_a_session_count_as_restarts(start: Start, skip_until: SkipUntil) -> None:
    times = 2 * SESSION_ATTEMPTS
    failures: list[Exception | None] = [RuntimeError("a bug")] * times
    script = Script(session_failures=deque(failures))
    async with start(script, max_restarts=times - 1) as handle:
        status = await skip_until(handle, "paused")
        assert status.troubles == times
        assert script.calls.count("quote_session") == times
        await finish(handle)


async def test_attempts_while_a_service_is_away_do_not_count(
    start: Start, skip_until: SkipUntil
) -> None:
    away = ApplicationError("Redis does not answer", type="Unavailable")
    failures: list[Exception | None] = [away] * (2 * SESSION_ATTEMPTS)
    script = Script(session_failures=deque(failures), sessions=deque([SessionReason.BREAK]))
    async with start(script, max_restarts=4) as handle:
        status = await skip_until(handle, "paused")
        assert [change.state.value for change in status.history].count("holding") == 2
        assert status.troubles == 3, "two holds and the break"
        assert "services away: Redis does not answer" in status.history[2].reason
        await finish(handle)


async def test_a_session_that_can_never_go_on_is_cleared_and_waits_for_a_person(
    start: Start,
) -> None:
    script = Script(session_failures=deque([GONE]))
    async with start(script) as handle:
        await until(handle, "paused")
        status = await handle.query(MarketWorkflow.status)
        assert "lists no market BTC-PERP any more; its orders were cleared" in status.reason
        assert script.calls.count("quote_session") == script.calls.count("take_over") == 1
        assert alerts(script) == ["quoting->paused"]
        await handle.signal(MarketWorkflow.resume, Request())
        await until_called(script, "quote_session", 2)
        await finish(handle)


async def test_orders_that_cannot_be_cleared_are_tried_while_the_market_waits(
    start: Start, server: WorkflowEnvironment
) -> None:
    script = Script(session_failures=deque([GONE]), clear_failures=deque([NOT_CLEARED] * 3))
    async with start(script) as handle:
        await until(handle, "paused")
        status = await handle.query(MarketWorkflow.status)
        assert "may still rest at the venue" in status.reason
        await skip_until_so(server, lambda: script.calls.count("take_over") >= 4, 10)
        await server.sleep(600)
        assert script.calls.count("take_over") == 4, "cleared: no more to do"
        await finish(handle)


async def test_a_stand_down_goes_on_until_nothing_rests(start: Start) -> None:
    script = Script(sessions=deque([KILLED]), clear_failures=deque([NOT_CLEARED] * 3))
    async with start(script) as handle:
        result = await handle.result()
    assert states(result)[-2:] == ["standing_down", "stopped"]
    assert script.calls.count("take_over") == 4
    assert alerts(script) == ["not cleared", "not cleared"], "at the first and second try"


async def test_a_worker_that_dies_is_followed_by_a_flatten_where_that_is_asked_for(
    start: Start,
) -> None:
    script = Script(session_failures=deque([None]), positions=deque([3, 0]))
    async with start(script, on_worker_death="flatten") as handle:
        result = await handle.result()
    assert states(result) == ["starting", "quoting", "flattening", "standing_down", "stopped"]
    assert script.calls.index("take_over") < script.calls.index("flatten_slice")
    assert "worker lost: its worker was not heard of any more" in result.states[2].reason


async def test_a_failure_that_is_no_death_is_not_flattened(start: Start) -> None:
    script = Script(session_failures=deque([RuntimeError("a bug")]), sessions=deque([KILLED]))
    async with start(script, on_worker_death="flatten") as handle:
        result = await handle.result()
    assert "flattening" not in states(result)
    assert script.calls.count("quote_session") == 2


# --- what is usual ---------------------------------------------------------------------------


async def test_the_usual_latency_is_handed_on_until_a_person_resumes(
    start: Start, skip_until: SkipUntil
) -> None:
    script = Script(
        sessions=deque([LEASE, WINDOW, SessionReason.BREAK]), usual_round_trip_ms=Decimal(12)
    )
    async with start(script) as handle:
        await skip_until(handle, "paused")
        script.usual_round_trip_ms = None
        await handle.signal(MarketWorkflow.resume, Request(by="ana"))
        await until_called(script, "quote_session", 4)
        usual = [item.usual_latency_ms for item in sessions(script)]
        assert usual == [None, Decimal(12), Decimal(12), None]
        await finish(handle)
