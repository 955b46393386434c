"""A flatten's workflow: it goes on under everything but a person's word, and ends on facts."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

import pydantic
import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.flatten_messages import FlattenEndInput, FlattenSliceInput, FlattenWord
from activities.messages import TakeOverInput
from desk.flattening import RUSHES, FlattenPhase
from desk.lifecycle import SessionReason
from tests.workflows.conftest import Start, worker
from tests.workflows.scripted import Script
from workflows import names
from workflows.flatten import FlattenWorkflow
from workflows.flatten_messages import FlattenOutcome, FlattenResult, StartFlatten, StopFlatten
from workflows.market import MarketWorkflow
from workflows.messages import StopMarket

T = TypeVar("T")
Handle = WorkflowHandle[FlattenWorkflow, FlattenResult]
Flatten = Callable[..., AbstractAsyncContextManager[Handle]]

MARKET_FLATTEN = "flatten/ocx/main/BTC-PERP"


@pytest.fixture
def flatten(server: WorkflowEnvironment) -> Flatten:
    @asynccontextmanager
    async def running(
        script: Script, workflow_id: str = MARKET_FLATTEN, **fields: object
    ) -> AsyncIterator[Handle]:
        spec = StartFlatten.model_validate({"venue": "ocx", "symbol": "BTC-PERP", **fields})
        queue = names.CONTROL_QUEUE
        async with worker(server.client, queue, [FlattenWorkflow], script.exit_activities()):
            yield await server.client.start_workflow(
                FlattenWorkflow.run, spec, id=workflow_id, task_queue=queue
            )

    return running


def given(script: Script, kind: type[T]) -> list[T]:
    """What the activities were given, of one kind."""
    return [item for item in script.inputs if isinstance(item, kind)]


async def until_called(script: Script, name: str, times: int = 1) -> None:
    while script.calls.count(name) < times:
        await asyncio.sleep(0.01)


def words(script: Script) -> list[tuple[str, str]]:
    return [(word.kind, word.severity) for word in given(script, FlattenWord)]


async def test_it_takes_over_trades_to_zero_verifies_and_tells(flatten: Flatten) -> None:
    script = Script(positions=deque([4, 2, 0]))
    async with flatten(script, reason="end of day", by="ana") as handle:
        result = await handle.result()
    assert script.calls == [
        "flatten_take_over",
        "told:flatten started",
        *["flatten_slice"] * 3,
        "flatten_end",
        "told:flatten ended: flat",
    ]
    assert result.outcome is FlattenOutcome.FLAT
    assert (result.remaining, result.attempts, result.by) == (0, 3, "ana")
    assert [step.after for step in result.steps] == [4, 2, 0]
    assert result.final is not None
    assert result.final.ledger_equals_venue
    assert all(word.by == "ana" for word in given(script, FlattenWord))


async def test_each_order_has_the_epoch_taken_and_a_step_of_its_own(flatten: Flatten) -> None:
    script = Script(positions=deque([4, 2, 0]))
    async with flatten(script) as handle:
        await handle.result()
    steps = [one.step for one in given(script, FlattenSliceInput)]
    assert [(step.epoch, step.step, step.position, step.repeated) for step in steps] == [
        (1, 0, 5, False),
        (1, 1, 4, False),
        (1, 2, 2, False),
    ]
    owners = {one.owner for one in given(script, FlattenSliceInput)}
    assert owners == {one.owner for one in given(script, TakeOverInput)}
    assert len(owners) == 1


async def test_a_venue_that_does_not_let_us_out_is_asked_ever_more_slowly_and_alarmed(
    flatten: Flatten, server: WorkflowEnvironment
) -> None:
    script = Script(positions=deque([5] * 40 + [0]))
    async with flatten(script, deadline_s=60) as handle:
        began = await server.get_current_time()
        result = await handle.result()
        took_s = ((await server.get_current_time()) - began).total_seconds()
    assert result.outcome is FlattenOutcome.FLAT
    assert script.calls.count("flatten_slice") == 41
    assert took_s > 30 * 60, "at last, once a minute"
    alarms = [word for word in given(script, FlattenWord) if word.severity]
    assert 5 <= len(alarms) <= 8, "at growing intervals"
    assert {alarm.severity for alarm in alarms} == {"critical"}
    assert "5 lots are left" in alarms[-1].reason


async def test_after_the_deadline_what_is_left_goes_at_once_and_then_by_the_venues_close(
    flatten: Flatten,
) -> None:
    script = Script(positions=deque([5] * 9 + [0]))
    async with flatten(script, deadline_s=0, slices=5) as handle:
        await handle.result()
    steps = [one.step for one in given(script, FlattenSliceInput)]
    assert {step.lots for step in steps[1:]} == {5}
    phases = [step.phase for step in steps]
    assert phases == [FlattenPhase.RUSH] * RUSHES + [FlattenPhase.CLOSE] * (10 - RUSHES)
    assert [step.by_venue for step in steps[RUSHES:]] == [True, False] * 3 + [True]


async def test_a_maker_rests_before_each_slice_where_asked(flatten: Flatten) -> None:
    script = Script(positions=deque([6, 0]))
    async with flatten(script, maker_s=7, slices=1) as handle:
        await handle.result()
    steps = [one.step for one in given(script, FlattenSliceInput)]
    assert [(step.phase, step.wait_s) for step in steps] == [
        (FlattenPhase.MAKER, 7),
        (FlattenPhase.TAKER, 0),
    ]


@pytest.mark.parametrize("kind", ["Refused", "ConfigurationFault", "Unresolved"])
async def test_no_failure_ends_it_and_the_failed_step_is_repeated_as_such(
    flatten: Flatten, kind: str
) -> None:
    failure = ApplicationError("not_authenticated: 401", type=kind, non_retryable=True)
    script = Script(positions=deque([4, 0]), slice_errors=deque([failure] * 3))
    async with flatten(script) as handle:
        result = await handle.result()
    assert result.outcome is FlattenOutcome.FLAT
    steps = [one.step for one in given(script, FlattenSliceInput)]
    assert [(step.step, step.repeated) for step in steps] == [
        (0, False),
        (0, True),
        (0, True),
        (0, True),
        (1, False),
    ]


async def test_a_market_that_was_lost_is_taken_over_anew(flatten: Flatten) -> None:
    lost = ApplicationError("no longer held", type="LeaseLost", non_retryable=True)
    script = Script(positions=deque([4, 0]), slice_errors=deque([lost]))
    async with flatten(script) as handle:
        result = await handle.result()
    assert script.calls.count("flatten_take_over") == 2
    steps = [one.step for one in given(script, FlattenSliceInput)]
    assert [step.epoch for step in steps] == [1, 2, 2]
    assert not any(step.repeated for step in steps), "orders of another epoch have other ids"
    assert result.epoch == 2


async def test_what_can_never_work_fails_with_its_sentence(flatten: Flatten) -> None:
    fault = ApplicationError("symbol: unknown", type="ConfigurationFault", non_retryable=True)
    async with flatten(Script(exit_error=fault)) as handle:
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert "symbol: unknown" in str(failure.value.cause)


async def test_it_ends_only_when_the_last_look_sees_zero(flatten: Flatten) -> None:
    script = Script(positions=deque([0, 0]), ends=deque([3]))
    async with flatten(script) as handle:
        result = await handle.result()
    assert script.calls.count("flatten_end") == 2
    assert given(script, FlattenSliceInput)[1].step.position == 3
    assert result.remaining == 0


async def test_a_flat_market_is_only_verified(flatten: Flatten) -> None:
    script = Script(flat=True)
    async with flatten(script) as handle:
        result = await handle.result()
    assert "flatten_slice" not in script.calls
    assert result.outcome is FlattenOutcome.FLAT


async def test_a_person_abandons_it_by_name(flatten: Flatten) -> None:
    script = Script(positions=deque([4]), held=True, ends=deque([4]))
    async with flatten(script) as handle:
        await until_called(script, "flatten_slice")
        await handle.signal(FlattenWorkflow.stop, StopFlatten(by="ana", reason="hedged it"))
        result = await handle.result()
    assert result.outcome is FlattenOutcome.ABANDONED
    assert (result.by, result.reason, result.remaining) == ("ana", "hedged it", 4)
    (end,) = given(script, FlattenEndInput)
    assert end.abandoned
    last = given(script, FlattenWord)[-1]
    assert (last.kind, last.by, last.reason) == ("flatten ended: abandoned", "ana", "hedged it")
    assert last.severity == "warning"


async def test_an_abandoned_flatten_ends_only_when_nothing_of_ours_is_left(
    flatten: Flatten,
) -> None:
    refused = ApplicationError("not_authenticated: 401", type="Refused", non_retryable=True)
    script = Script(
        positions=deque([4]), held=True, ends=deque([4]), look_failures=deque([refused] * 2)
    )
    async with flatten(script) as handle:
        await until_called(script, "flatten_slice")
        await handle.signal(FlattenWorkflow.stop, StopFlatten(by="ana", reason="hedged it"))
        result = await handle.result()
    assert (result.outcome, result.remaining) == (FlattenOutcome.ABANDONED, 4)
    assert script.calls.count("flatten_end") == 3


async def test_it_is_cleared_also_where_the_market_was_lost_meanwhile(flatten: Flatten) -> None:
    lost = ApplicationError("no longer held", type="LeaseLost", non_retryable=True)
    script = Script(positions=deque([4]), slice_errors=deque([lost]), ends=deque([4]))
    async with flatten(script, interval_s=600) as handle:
        await until_called(script, "flatten_slice")
        async with asyncio.timeout(20):
            while (await handle.query(FlattenWorkflow.status)).epoch is not None:
                await asyncio.sleep(0.01)
        await handle.signal(FlattenWorkflow.stop, StopFlatten(by="ana", reason="hedged it"))
        result = await handle.result()
    assert result.outcome is FlattenOutcome.ABANDONED
    (end,) = given(script, FlattenEndInput)
    assert end.abandoned


async def test_status_tells_how_far_it_is(flatten: Flatten) -> None:
    script = Script(positions=deque([4]), held=True)
    async with flatten(script, reason="end of day", by="ana", deadline_s=90) as handle:
        await until_called(script, "flatten_slice")
        status = await handle.query(FlattenWorkflow.status)
        await handle.terminate()
    assert (status.remaining, status.epoch, status.phase) == (5, 1, "taker")
    assert (status.by, status.reason, status.attempts) == ("ana", "end of day", 0)
    assert 0 < status.seconds_left <= 90


async def test_a_run_that_was_continued_goes_on_where_it_was(flatten: Flatten) -> None:
    carried = {
        "owner": "flatten/first",
        "started_ms": 1,
        "moved_ms": 1,
        "alarmed_ms": 10**15,
        "opened": True,
        "takes": 1,
        "epoch": 7,
        "step": 31,
        "repeated": True,
        "progress": {"remaining": -8, "attempts": 30, "late": 9},
        "traded": "10.5",
        "cost": "0.1",
    }
    script = Script(positions=deque([-3, 0]))
    async with flatten(script, carried=carried) as handle:
        result = await handle.result()
    first = given(script, FlattenSliceInput)[0]
    assert first.owner == "flatten/first"
    assert (first.step.epoch, first.step.step, first.step.repeated) == (7, 31, True)
    assert first.step.phase is FlattenPhase.CLOSE
    assert "flatten_take_over" not in script.calls
    assert result.attempts == 32


async def test_it_is_refused_under_a_strange_workflow_id(flatten: Flatten) -> None:
    script = Script()
    async with flatten(script, workflow_id="flatten/ocx/main/OTHER") as handle:
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert "start it again as 'flatten/ocx/main/BTC-PERP'" in str(failure.value.cause)
    assert script.calls == []


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"slippage_bps": 1.5}, "write it as a string"),
        ({"slippage_bps": "0"}, "slippage_bps: 0 is not above zero; give a positive number"),
        ({"surprise": 1}, "surprise"),
        ({"slices": 0}, "slices"),
        ({"collar_bps": "-1"}, "collar_bps: -1 is not above zero"),
    ],
)
def test_a_form_filled_in_wrongly_is_refused_in_a_sentence(
    form: dict[str, object], sentence: str
) -> None:
    with pytest.raises(pydantic.ValidationError, match=sentence):
        StartFlatten.model_validate({"venue": "ocx", "symbol": "B", **form})


def test_whoever_abandons_a_flatten_gives_a_name_and_a_reason() -> None:
    for form in ({"by": "ana"}, {"reason": "why"}, {"by": "", "reason": "why"}):
        with pytest.raises(pydantic.ValidationError):
            StopFlatten.model_validate(form)


# --- with the workflow that quotes the market ------------------------------------------------


async def test_a_market_hands_its_flatten_over_and_keeps_its_history(start: Start) -> None:
    script = Script(sessions=deque([SessionReason.DRAWDOWN]), positions=deque([9, 5, 0]))
    async with start(script, flatten_slices=3, flatten_deadline_s=40) as handle:
        result = await handle.result()
    assert [step.after for step in result.flatten_steps] == [9, 5, 0]
    assert script.calls.index("flatten_end") < script.calls.index("stand_down")


async def test_terminating_a_market_does_not_stop_its_flatten(
    start: Start, server: WorkflowEnvironment
) -> None:
    script = Script(sessions=deque([SessionReason.DRAWDOWN]), positions=deque([9, 5, 0]), held=True)
    async with start(script) as handle:
        await until_called(script, "flatten_slice")
        await handle.terminate("by hand")
        script.held = False
        result = await server.client.get_workflow_handle_for(
            FlattenWorkflow.run, MARKET_FLATTEN
        ).result()
    assert result.outcome is FlattenOutcome.FLAT
    assert [step.after for step in result.steps] == [9, 5, 0]


async def test_a_position_is_kept_after_all_when_a_person_says_so(
    start: Start, server: WorkflowEnvironment
) -> None:
    script = Script(
        sessions=deque([SessionReason.DRAWDOWN]), positions=deque([9]), held=True, ends=deque([9])
    )
    async with start(script) as handle:
        await until_called(script, "flatten_slice")
        await handle.signal(
            MarketWorkflow.stop, StopMarket(by="ana", reason="keep it", flatten=False)
        )
        result = await handle.result()
        exit_ = await server.client.get_workflow_handle_for(
            FlattenWorkflow.run, MARKET_FLATTEN
        ).result()
    assert exit_.outcome is FlattenOutcome.ABANDONED
    assert (exit_.by, exit_.reason) == ("ana", "keep it")
    assert [change.state.value for change in result.states][-2:] == ["standing_down", "stopped"]


async def test_a_flatten_begun_by_hand_makes_the_market_give_up_and_wait(
    start: Start, server: WorkflowEnvironment
) -> None:
    script = Script(positions=deque([9, 5]), held=True)
    async with start(script) as handle:
        await until_called(script, "quote_session")
        by_hand = await server.client.start_workflow(
            FlattenWorkflow.run,
            StartFlatten(venue="ocx", symbol="BTC-PERP", by="ana", reason="get out"),
            id=MARKET_FLATTEN,
            task_queue=names.CONTROL_QUEUE,
        )
        await until_called(script, "flatten_slice")
        await until_called(script, "cancelled")
        assert "stand_down" not in script.calls
        script.held = False
        first = await by_hand.result()
        result = await handle.result()
    assert first.by == "ana"
    assert [change.state.value for change in result.states] == [
        "starting",
        "quoting",
        "flattening",
        "standing_down",
        "stopped",
    ]
