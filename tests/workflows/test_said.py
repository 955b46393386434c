"""Whatever a person's signal says, the market obeys what makes it safer and goes on living."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from desk.identity import MarketId
from desk.lifecycle import MarketState
from tests.workflows.conftest import Start
from tests.workflows.scripted import Script
from workflows import names
from workflows.flatten_messages import StopFlatten
from workflows.market import MarketWorkflow
from workflows.messages import MarketResult, Request, StopMarket
from workflows.said import read_form, read_order

Handle = WorkflowHandle[MarketWorkflow, MarketResult]
MARKET = MarketId("ocx", "main", "BTC-PERP")
MISREAD: list[list[object]] = [
    [{"reson": "flash crash", "by": "ana"}],
    [{"by": 7}],
    ["now"],
    ["now", "please"],
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=4,
)


async def until(handle: Handle, *states: MarketState) -> None:
    async with asyncio.timeout(30):
        while (await handle.query(MarketWorkflow.status)).state not in states:
            await asyncio.sleep(0.02)


# --- reading ------------------------------------------------------------------------------------


@given(said=st.lists(JSON, max_size=3))
def test_nothing_that_is_said_raises_and_an_order_is_always_understood(said: list[object]) -> None:
    order, why = read_order(StopMarket, tuple(said))
    form, same = read_form(StopMarket, tuple(said))
    assert (form is None) is bool(why)
    assert why == same
    assert why in order.reason


def test_no_input_is_an_empty_form() -> None:
    nothing: tuple[tuple[object, ...], ...] = ((), ({},), (None,))
    for said in nothing:
        assert read_form(Request, said) == (Request(), "")
    assert read_form(StopFlatten, ())[0] is None, "this one takes a name"


def test_what_can_be_read_of_a_mistyped_order_holds() -> None:
    order, why = read_order(StopMarket, ({"by": "ana", "flatten": True, "reson": "crash"},))
    assert (order.by, order.flatten) == ("ana", True)
    assert "reson" in why


# --- a market -----------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [[], *MISREAD])
@pytest.mark.parametrize("verb", ["stop", "flatten"])
async def test_a_market_is_stopped_by_whatever_a_stop_says(
    start: Start, verb: str, said: list[object]
) -> None:
    script = Script()
    async with start(script) as handle:
        await until(handle, MarketState.QUOTING)
        await handle.signal(verb, args=said)
        async with asyncio.timeout(30):
            result = await handle.result()
    assert ("flatten_slice" in script.calls) is (verb == "flatten")
    assert ("not understood" in result.reason) is bool(said)


async def test_a_mistyped_pause_pauses_and_a_mistyped_resume_says_so_on_the_page(
    start: Start,
) -> None:
    async with start(Script()) as handle:
        await until(handle, MarketState.QUOTING)
        await handle.signal("report", args=[])
        await handle.signal("report", "nonsense")
        await handle.signal("pause", {"reson": "crash"})
        await until(handle, MarketState.PAUSED)
        await handle.signal("resume", {"bye": "ana"})
        page = await handle.query("__temporal_workflow_metadata")
        assert "not resumed: bye" in page.current_details
        assert (await handle.query(MarketWorkflow.status)).state is MarketState.PAUSED
        await handle.signal("resume", args=[])
        await until(handle, MarketState.QUOTING)
        await handle.signal(MarketWorkflow.stop, StopMarket())
        await handle.result()


async def test_a_mistyped_stop_gives_no_exit_up(start: Start) -> None:
    script = Script(held=True)
    async with start(script) as handle:
        await until(handle, MarketState.QUOTING)
        await handle.signal("flatten", args=[])
        await until(handle, MarketState.FLATTENING)
        await handle.signal("stop", {"flatten": False, "reson": "keep it"})
        script.held = False
        async with asyncio.timeout(30):
            await handle.result()
    assert "flatten_slice" in script.calls
    assert [one.abandoned for one in script.inputs if hasattr(one, "abandoned")] == [False]


async def test_a_flatten_is_abandoned_by_name_only(
    server: WorkflowEnvironment, start: Start
) -> None:
    script = Script(held=True)
    async with start(script) as handle:
        await until(handle, MarketState.QUOTING)
        await handle.signal("flatten", args=[])
        async with asyncio.timeout(30):
            while "flatten_slice" not in script.calls:
                await asyncio.sleep(0.02)
        running = server.client.get_workflow_handle(names.flatten_workflow_id(MARKET))
        for said in ([], ["x"], [{"by": "ana"}]):
            await running.signal("stop", args=said)
        script.held = False
        async with asyncio.timeout(30):
            await handle.result()
    assert [one.abandoned for one in script.inputs if hasattr(one, "abandoned")] == [False]
