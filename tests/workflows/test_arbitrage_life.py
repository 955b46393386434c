"""The life of a set, on a server that skips time: watched, run after run, until stopped or paid."""

import asyncio
from collections import deque
from decimal import Decimal

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from quoting.arbitrage.report import DischargePhase, RunEnd, RunLook
from tests.workflows.scripted_arbitrage import ArbitrageScript, ended, owing
from tests.workflows.sets import (
    StartOne,
    skip_until_called,
    start,
    stopped,
    until,
    until_called,
)
from workflows.arbitrage import ArbitrageWorkflow
from workflows.arbitrage_messages import ArbitrageState, ArbitrageStatus
from workflows.messages import Request

__all__ = ["start"]


def states(status: ArbitrageStatus) -> list[str]:
    """States in their order, each once in a row."""
    found = [event.state.value for event in status.history]
    return [one for one, before in zip(found, [None, *found], strict=False) if one != before]


async def test_it_opens_watches_and_looks_once_more_before_it_leaves(start: StartOne) -> None:
    script = ArbitrageScript()
    async with start(script) as handle:
        await until_called(script, "watch")
        result = await stopped(handle)
    assert script.calls == ["open", "watch", "cancelled", "hedge", "leave"]
    assert result.state is ArbitrageState.STOPPED
    assert result.reason == "stopped by ana: end of day"
    assert states(result) == ["starting", "watching", "discharging", "stopped"]


async def test_a_set_that_is_stopped_while_it_opens_is_looked_at_before_it_leaves(
    start: StartOne,
) -> None:
    script = ArbitrageScript(
        runs=deque([owing(-3, 0), ended(RunEnd.BALANCED)]), open_goes_on=asyncio.Event()
    )
    async with start(script) as handle:
        await until_called(script, "open")
        await handle.signal(ArbitrageWorkflow.stop, Request(reason="it hangs", by="ana"))
        assert script.open_goes_on is not None
        script.open_goes_on.set()
        result = await handle.result()
    assert script.calls == ["open", "hedge", "hedge", "leave"], "a life before may have left a debt"
    assert result.reason == "stopped by ana: it hangs"


async def test_the_legs_are_taken_by_one_owner_named_after_the_set(start: StartOne) -> None:
    script = ArbitrageScript(runs=deque([ended(), ended()]))
    async with start(script) as handle:
        first = (await handle.describe()).run_id
        await until_called(script, "watch", 3)
        await stopped(handle)
    assert {one.plan.owner for one in script.asked()} == {f"arbitrage/btc-15m/{first}"}
    assert [leg.path for leg in script.asked()[0].plan.legs] == ["ocx/main/UP", "ocx/main/DOWN"]


async def test_trades_follow_one_another_and_are_remembered(start: StartOne) -> None:
    traded = [
        ended(RunEnd.TRADED, held=(5, 5), trade=1, epoch=epoch, reason="taken whole")
        for epoch in (1, 2)
    ]
    script = ArbitrageScript(runs=deque([*traded, ended(held=(10, 10))]))
    async with start(script) as handle:
        await until_called(script, "watch", 4)
        status = await handle.query(ArbitrageWorkflow.status)
        script.runs.append(ended(RunEnd.BALANCED, held=(10, 10)))
        result = await stopped(handle)
    assert (status.fired, [one.key.epoch for one in status.trades]) == (2, [1, 2])
    assert {status.complete, status.payout_expected, status.locked} == {Decimal(10)}
    assert "10 complete sets stay held (+10 lots of ocx/main/UP" in result.reason


async def test_a_set_that_was_paid_out_is_over(start: StartOne) -> None:
    script = ArbitrageScript(runs=deque([ended(RunEnd.SETTLED, reason="UP paid 1")]))
    async with start(script) as handle:
        result = await handle.result()
    assert (result.state, result.reason) == (ArbitrageState.SETTLED, "settled: UP paid 1")
    assert script.calls == ["open", "watch", "leave"]


async def test_a_paused_set_fires_nothing_and_is_looked_at_now_and_then(
    start: StartOne, server: WorkflowEnvironment
) -> None:
    script = ArbitrageScript()
    async with start(script) as handle:
        await until_called(script, "watch")
        await handle.signal(ArbitrageWorkflow.pause, Request(by="ana", reason="news"))
        status = await until(handle, lambda status: status.state is ArbitrageState.PAUSED)
        assert status.reason == "paused by ana: news"
        assert script.calls == ["open", "watch", "cancelled", "hedge"]
        await server.sleep(601)
        await skip_until_called(server, script, "hedge", 2)
        await until(handle, lambda status: status.state is ArbitrageState.PAUSED)
        await handle.signal(ArbitrageWorkflow.resume, Request(by="ana"))
        await until_called(script, "watch", 2)
        await stopped(handle)
    assert not any(one.watch for one in script.asked()[1:3])


async def test_a_pause_waits_for_what_is_owed(start: StartOne, server: WorkflowEnvironment) -> None:
    script = ArbitrageScript()
    async with start(script) as handle:
        await until_called(script, "watch")
        script.runs.extend([owing(-3, 0), owing(-1, 0)])
        await handle.signal(ArbitrageWorkflow.pause, Request(by="ana"))
        await skip_until_called(server, script, "hedge", 3)
        status = await until(handle, lambda status: status.state is ArbitrageState.PAUSED)
        await stopped(handle)
    assert states(status)[-2:] == ["discharging", "paused"]


async def test_whatever_is_said_a_set_lives_on_and_a_stop_holds(start: StartOne) -> None:
    async with start(ArbitrageScript()) as handle:
        for verb in ("check", "release", "retry", "resume", "report"):
            for said in ([], ["now"], [{"by": "ana", "reson": "x"}], [1, 2]):
                await handle.signal(verb, args=said)
        for verb in ("release", "retry"):
            await handle.signal(verb, {"by": "ana", "reason": "early"})
        status = await handle.query(ArbitrageWorkflow.status)
        await handle.signal("stop", {"reson": "end of day", "by": "ana"})
        result = await handle.result()
    texts = " ".join(one.text for one in status.history)
    for words in ("not released: ", "not tried again: ", "not resumed: ", "nothing is owed"):
        assert words in texts
    assert result.state is ArbitrageState.STOPPED
    assert "not understood: reson" in result.reason


async def test_the_page_has_what_the_running_run_tells(start: StartOne) -> None:
    look = RunLook(epoch=3, looks=12, best_edge=Decimal("-0.010"), gate="killed at scope fleet")
    async with start(ArbitrageScript()) as handle:
        await handle.signal(ArbitrageWorkflow.report, look)
        status = await until(handle, lambda status: status.look.looks == 12)
        await stopped(handle)
    assert status.look == look


async def test_a_refused_opening_fails_with_its_sentence(start: StartOne) -> None:
    sentence = "btc-15m: ocx/main/UP carries no settlement identity"
    script = ArbitrageScript(
        open_error=ApplicationError(sentence, type="ConfigurationFault", non_retryable=True)
    )
    async with start(script) as handle:
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert sentence in str(failure.value.cause.__cause__)
    assert script.calls == ["open"]


async def test_a_set_under_a_strange_workflow_id_is_refused(start: StartOne) -> None:
    script = ArbitrageScript()
    async with start(script, workflow_id="arbitrage/other") as handle:
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert "start it again as 'arbitrage/btc-15m'" in str(failure.value.cause)
    assert script.calls == []


async def test_a_long_history_continues_as_new_and_forgets_nothing(start: StartOne) -> None:
    quiet = [ended(held=(5, 5), epoch=epoch) for epoch in range(2, 90)]
    script = ArbitrageScript(
        runs=deque([ended(RunEnd.TRADED, held=(5, 5), trade=1, reason="taken whole"), *quiet])
    )
    async with start(script) as handle:
        first = (await handle.describe()).run_id
        await until_called(script, "watch", 90)
        last = (await handle.describe()).run_id
        status = await handle.query(ArbitrageWorkflow.status)
        await stopped(handle)
    assert last != first, "it went on in a new run"
    assert script.calls.count("open") == 1
    assert len({one.plan.owner for one in script.asked()}) == 1, "one owner for the whole life"
    assert (status.fired, len(status.trades), status.epoch) == (1, 1, 89)
    assert status.complete == Decimal(5)


async def test_a_stop_said_to_a_set_that_owes_outlives_its_run(
    start: StartOne, server: WorkflowEnvironment
) -> None:
    script = ArbitrageScript(runs=deque([owing(-3, 0) for _ in range(90)]))
    async with start(script, overdue_s=86_400) as handle:
        first = (await handle.describe()).run_id
        await until_called(script, "watch")
        await handle.signal(ArbitrageWorkflow.stop, Request(by="ana"))
        await skip_until_called(server, script, "wait", 70)
        assert (await handle.describe()).run_id != first
        script.runs.clear()
        result = await handle.result()
    assert result.state is ArbitrageState.STOPPED
    assert not any(one.watch for one in script.asked()[1:]), "stopped stays stopped"
    assert {one.phase for one in script.asked()[-70:]} == {DischargePhase.WAIT}
