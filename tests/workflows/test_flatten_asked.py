"""What people say while a market flattens: only an explicit word gives it up, never a fault.

No signal, whatever it holds, fails a market.
"""

from collections import deque

import pydantic
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from desk.lifecycle import Command, MarketState, SessionReason
from tests.workflows.conftest import Start
from tests.workflows.scripted import Script
from tests.workflows.test_flatten import MARKET_FLATTEN, until_called
from tests.workflows.test_market_life import states
from tests.workflows.test_market_restarts import alerts
from workflows.flatten import FlattenWorkflow
from workflows.flatten_messages import FlattenOutcome, FlattenResult
from workflows.market import MarketWorkflow
from workflows.messages import CarriedState, Request, StartMarket, StopMarket
from workflows.record import MarketRecord

NO_KEY = ApplicationError("not_authenticated: 401", type="Refused", non_retryable=True)
FLATTENED = ["starting", "quoting", "flattening", "standing_down", "stopped"]
LONG = Request(by="b" * 1_000, reason="r" * 5_000)


def drawn_down(**changes: object) -> Script:
    """A market whose flatten has sent an order that is not answered yet."""
    return Script(sessions=deque([SessionReason.DRAWDOWN]), held=True, **changes)  # type: ignore[arg-type]


async def exit_of(server: WorkflowEnvironment) -> FlattenResult:
    handle = server.client.get_workflow_handle_for(FlattenWorkflow.run, MARKET_FLATTEN)
    return await handle.result()


@pytest.mark.parametrize("said", [StopMarket(by="ana"), StopMarket(flatten=False, keep_exit=True)])
async def test_a_stop_lets_a_flatten_that_was_begun_go_on(
    start: Start, server: WorkflowEnvironment, said: StopMarket
) -> None:
    script = drawn_down(positions=deque([9, 0]))
    async with start(script) as handle:
        await until_called(script, "flatten_slice")
        await handle.signal(MarketWorkflow.stop, said)
        await handle.query(MarketWorkflow.status)
        script.held = False
        result = await handle.result()
        exit_ = await exit_of(server)
    assert (exit_.outcome, exit_.remaining) == (FlattenOutcome.FLAT, 0)
    assert states(result) == FLATTENED


async def test_a_flatten_given_up_and_asked_for_again_is_begun_again(start: Start) -> None:
    script = drawn_down(positions=deque([9, 0]), ends=deque([9]), look_failures=deque([NO_KEY]))
    async with start(script) as handle:
        await until_called(script, "flatten_slice")
        await handle.signal(MarketWorkflow.stop, StopMarket(by="ana", flatten=False))
        await until_called(script, "flatten_end")
        await handle.signal(MarketWorkflow.flatten, Request(by="bob"))
        script.held = False
        result = await handle.result()
    assert states(result) == FLATTENED
    assert script.calls.count("flatten_take_over") == 2
    assert result.flatten_steps[-1].after == 0


@pytest.mark.parametrize("verb", ["stop", "flatten"])
async def test_whatever_people_write_is_handed_on_as_far_as_it_fits(
    start: Start, server: WorkflowEnvironment, verb: str
) -> None:
    script = drawn_down(positions=deque([9, 0]))
    if verb == "flatten":
        script.sessions.clear()
    async with start(script) as handle:
        if verb == "flatten":
            await until_called(script, "quote_session")
            await handle.signal(MarketWorkflow.flatten, LONG)
        await until_called(script, "flatten_slice")
        if verb == "stop":
            said = StopMarket(by=LONG.by, reason=LONG.reason, flatten=False)
            await handle.signal(MarketWorkflow.stop, said)
        script.held = verb == "stop"
        result = await handle.result()
        exit_ = await exit_of(server)
    assert states(result) == FLATTENED
    assert (len(exit_.by), len(exit_.reason)) == (64, 400)


@pytest.mark.parametrize("field", ["flatten_slippage_bps", "flatten_fast_slippage_bps"])
@pytest.mark.parametrize("value", ["0", "-1"])
def test_a_market_is_not_started_with_what_its_flatten_would_refuse(field: str, value: str) -> None:
    form = {"venue": "ocx", "symbol": "BTC-PERP", field: value}
    with pytest.raises(pydantic.ValidationError, match=f"{field}: {value} is not above zero"):
        StartMarket.model_validate(form)


def test_who_gave_a_flatten_up_is_known_to_the_next_run() -> None:
    spec = StartMarket(venue="ocx", symbol="BTC-PERP")
    record = MarketRecord(spec)
    record.note(MarketState.FLATTENING, "drawdown", "now")
    assert record.exits()
    record.asked(Command.STOP, StopMarket(flatten=False))
    carried = CarriedState.model_validate_json(record.carried().model_dump_json())
    next_run = MarketRecord(spec.model_copy(update={"carried": carried}))
    assert (next_run.exit_abandoned, next_run.exits()) == (True, False)
    next_run.asked(Command.FLATTEN, Request())
    assert (next_run.exit_abandoned, next_run.exits()) == (False, True)


# --- a venue that takes our key no more --------------------------------------------------------


async def test_a_last_look_that_is_refused_is_told_and_tried_until_it_is_had(start: Start) -> None:
    script = Script(sessions=deque([SessionReason.KILLED]), look_failures=deque([NO_KEY] * 3))
    async with start(script) as handle:
        result = await handle.result()
    assert states(result)[-2:] == ["standing_down", "stopped"]
    assert script.calls.count("stand_down") == 4
    assert alerts(script) == ["not verified", "not verified"], "at the first and second try"
