"""What a set owes is never dropped: the next run discharges it, or a person has it."""

from collections import Counter, deque
from itertools import pairwise

import pytest
from temporalio.testing import WorkflowEnvironment

from activities.arbitrage_messages import ReleaseSetInput, RunSetResult
from quoting.arbitrage.report import RunEnd
from tests.workflows.scripted_arbitrage import ArbitrageScript, ended, owing
from tests.workflows.sets import (
    Handle,
    StartOne,
    skip_until_called,
    start,
    stopped,
    until,
    until_called,
)
from workflows import policies
from workflows.arbitrage import ArbitrageWorkflow
from workflows.arbitrage_messages import ArbitrageState, DecideArbitrage
from workflows.messages import Request

__all__ = ["start"]

DIED = RuntimeError("the worker died")
ANA = DecideArbitrage(by="ana", reason="sold by hand")


def tried_out() -> deque[RunSetResult | Exception]:
    """Runs that hedge and reduce to no use, and one that looks after it was handed over."""
    runs = 1 + policies.HEDGE_RUNS + policies.REDUCE_RUNS
    return deque([owing(-3, 0) for _ in range(runs)])


async def handed_over(handle: Handle, server: WorkflowEnvironment, script: ArbitrageScript) -> None:
    await skip_until_called(server, script, "tell:arbitrage handed over!")
    await skip_until_called(server, script, "wait")
    await until(handle, lambda status: status.state is ArbitrageState.HANDED_OVER)


async def test_a_run_that_died_is_answered_by_the_next_one(
    start: StartOne, server: WorkflowEnvironment
) -> None:
    script = ArbitrageScript(runs=deque([DIED, DIED, DIED]))
    async with start(script, overdue_s=86_400) as handle:
        await skip_until_called(server, script, "watch", 4)
        result = await stopped(handle)
    assert script.calls[:5] == ["open", *["watch"] * 4]
    said = [event.text for event in result.history]
    assert "the run ended without a report: Unavailable: the worker died" in said


async def test_a_set_that_failed_last_is_not_left_before_somebody_looked(
    start: StartOne, server: WorkflowEnvironment
) -> None:
    script = ArbitrageScript(runs=deque([DIED, DIED, DIED]))
    async with start(script, overdue_s=86_400) as handle:
        await until_called(script, "watch")
        await handle.signal(ArbitrageWorkflow.stop, Request(by="ana"))
        result = await handle.result()
    assert script.calls == ["open", "watch", "hedge", "hedge", "hedge", "leave"]
    assert result.state is ArbitrageState.STOPPED
    del server


async def test_failures_rest_longer_each_time_and_no_try_is_counted(
    start: StartOne, server: WorkflowEnvironment
) -> None:
    script = ArbitrageScript(runs=deque([owing(-3, 0), *[DIED] * 14, ended(RunEnd.BALANCED)]))
    async with start(script, overdue_s=86_400) as handle:
        await skip_until_called(server, script, "hedge", 15)
        await skip_until_called(server, script, "watch", 2)
        history = [event async for event in handle.fetch_history_events()]
        await stopped(handle)
    rests = [
        event.timer_started_event_attributes.start_to_fire_timeout.seconds
        for event in history
        if event.HasField("timer_started_event_attributes")
    ]
    assert rests[:8] == [1, 1, 2, 4, 8, 16, 32, 60]
    assert max(rests) == 60
    assert "reduce" not in script.calls


async def test_what_stays_owed_is_hedged_then_reduced_then_a_persons(
    start: StartOne, server: WorkflowEnvironment
) -> None:
    script = ArbitrageScript(runs=tried_out())
    async with start(script, overdue_s=86_400) as handle:
        await handed_over(handle, server, script)
        script.runs.extend([owing(-3, 0)] * 3)
        await skip_until_called(server, script, "wait", 3)
        status = await handle.query(ArbitrageWorkflow.status)
        script.runs.clear()  # from now on nothing is owed
        result = await stopped(handle)
    counted = Counter(script.calls)
    # The first run watched, and found that it could not hedge all of it.
    assert (counted["watch"], counted["hedge"]) == (1, policies.HEDGE_RUNS - 1)
    assert counted["reduce"] == policies.REDUCE_RUNS
    assert counted["tell:arbitrage handed over!"] == 1
    (alarm,) = script.told()
    assert alarm.severity == "critical"
    for words in ("owed: -3 lots of ocx/main/UP", "no bids", "docs/runbooks/arbitrage.md"):
        assert words in alarm.reason
    assert status.waits_for_a_person == "owed: -3 lots of ocx/main/UP"
    assert result.state is ArbitrageState.STOPPED


async def test_what_a_person_traded_by_hand_ends_the_wait_by_itself(
    start: StartOne, server: WorkflowEnvironment
) -> None:
    script = ArbitrageScript(runs=tried_out())
    async with start(script, overdue_s=86_400) as handle:
        await handed_over(handle, server, script)
        await skip_until_called(server, script, "watch", 2)
        status = await until(handle, lambda status: status.state is ArbitrageState.WATCHING)
        await stopped(handle)
    assert (status.waits_for_a_person, status.owed_since_ms) == ("", None)
    assert "release" not in script.calls


async def test_a_retry_by_name_begins_again_with_hedging(
    start: StartOne, server: WorkflowEnvironment
) -> None:
    script = ArbitrageScript(runs=tried_out())
    async with start(script, overdue_s=86_400) as handle:
        await handed_over(handle, server, script)
        script.runs.extend(tried_out())
        before = len(script.calls)
        await handle.signal(ArbitrageWorkflow.retry, DecideArbitrage(by="ana", reason="bids back"))
        await skip_until_called(server, script, "tell:arbitrage handed over!", 2)
        script.runs.clear()
        await stopped(handle)
    after = [one for one in script.calls[before:] if one in {"hedge", "reduce"}]
    assert after[: policies.HEDGE_RUNS] == ["hedge"] * policies.HEDGE_RUNS
    assert after.count("reduce") == policies.REDUCE_RUNS
    said = next(one for one in script.told() if one.kind == "arbitrage tried again")
    assert (said.by, said.reason) == ("ana", "bids back (owed: -3 lots of ocx/main/UP)")


async def test_a_release_by_name_waives_exactly_what_is_owed_now(
    start: StartOne, server: WorkflowEnvironment
) -> None:
    script = ArbitrageScript(runs=tried_out())
    async with start(script, overdue_s=86_400) as handle:
        await handed_over(handle, server, script)
        script.runs.extend([ended(held=(3, 0)), owing(0, -2, held=(3, 2)), ended(RunEnd.BALANCED)])
        await handle.signal("release", {"by": " ", "reason": "nobody"})
        await handle.signal(ArbitrageWorkflow.release, ANA)
        await skip_until_called(server, script, "watch", 4)
        await stopped(handle)
    (release,) = [one for one in script.inputs if isinstance(one, ReleaseSetInput)]
    assert (release.by, release.owed) == ("ana", "owed: -3 lots of ocx/main/UP")
    at = script.inputs.index(release)
    waived = [one.waived for one in script.asked() if script.inputs.index(one) > at]
    assert waived[:3] == [(-3, 0)] * 3, "what becomes owed later is worked off"
    assert script.calls[at + 1 : at + 4] == ["watch", "watch", "hedge"]


async def test_releases_add_up_and_what_is_left_of_them_is_kept(
    start: StartOne, server: WorkflowEnvironment
) -> None:
    script = ArbitrageScript(runs=deque([owing(-3, 0)]))
    async with start(script, overdue_s=86_400) as handle:
        script.runs.extend([ended(waived=(-2, 0)), owing(-1, 4), *[owing(-1, 4)] * 3])
        await until(handle, lambda status: status.owed == (-3, 0))
        await handle.signal(ArbitrageWorkflow.release, ANA)
        await until(handle, lambda status: status.owed == (-1, 4))
        await handle.signal(ArbitrageWorkflow.release, ANA)
        await skip_until_called(server, script, "release", 2)
        script.runs.clear()
        status = await until(handle, lambda status: status.owed == (0, 0))
        await stopped(handle)
    assert status.waived == (-3, 4)


async def test_a_release_before_there_is_a_debt_ends_no_later_one(start: StartOne) -> None:
    script = ArbitrageScript()
    async with start(script, overdue_s=86_400) as handle:
        await until_called(script, "watch")
        await handle.signal(ArbitrageWorkflow.release, ANA)
        script.runs.extend([owing(-3, 0), ended(RunEnd.BALANCED)])
        result = await stopped(handle)
    assert "release" not in script.calls
    assert result.waived == ()


async def test_a_stop_works_off_what_is_owed_first(
    start: StartOne, server: WorkflowEnvironment
) -> None:
    script = ArbitrageScript()
    async with start(script, overdue_s=86_400) as handle:
        await until_called(script, "watch")
        script.runs.extend([owing(-3, 0), owing(-1, 0), ended(RunEnd.BALANCED, held=(4, 4))])
        result = await stopped(handle)
    assert script.calls == ["open", "watch", "cancelled", *["hedge"] * 3, "leave"]
    assert "4 complete sets stay held" in result.reason
    del server


async def test_a_stop_of_what_was_handed_over_waits_for_a_name(
    start: StartOne, server: WorkflowEnvironment
) -> None:
    script = ArbitrageScript(runs=tried_out())
    async with start(script, overdue_s=86_400) as handle:
        await handed_over(handle, server, script)
        script.runs.extend([owing(-3, 0)] * 50)
        await handle.signal(ArbitrageWorkflow.stop, Request(by="ana"))
        await skip_until_called(server, script, "wait", 5)
        assert "leave" not in script.calls
        script.runs.clear()
        script.runs.append(owing(-3, 0))  # one may be on its way
        await handle.signal(ArbitrageWorkflow.release, ANA)
        result = await handle.result()
    assert result.state is ArbitrageState.STOPPED
    assert script.calls.index("release") < script.calls.index("leave")


async def test_what_cannot_be_judged_is_no_try(
    start: StartOne, server: WorkflowEnvironment
) -> None:
    blocked = ended(RunEnd.BLOCKED, (-3, 0), (3, 0), reason="books out of step")
    script = ArbitrageScript(runs=deque([blocked] * 20))
    async with start(script, overdue_s=86_400) as handle:
        await skip_until_called(server, script, "hedge", 19)
        status = await handle.query(ArbitrageWorkflow.status)
        script.runs.clear()
        await stopped(handle)
    assert status.state is ArbitrageState.DISCHARGING
    assert status.reason == "blocked: books out of step"
    assert "reduce" not in script.calls


async def test_a_set_that_waits_for_its_payout_alarms_nobody(
    start: StartOne, server: WorkflowEnvironment
) -> None:
    waiting = ended(RunEnd.BLOCKED, held=(5, 5), reason="not traded now")
    paid = ended(RunEnd.SETTLED, reason="UP paid 1")
    script = ArbitrageScript(runs=deque([*[waiting] * 30, paid]))
    async with start(script, overdue_s=30) as handle:
        result = await handle.result()
    assert result.state is ArbitrageState.SETTLED
    assert script.told() == []
    assert {one.watch for one in script.asked()} == {True}
    del server


@pytest.mark.parametrize("trouble", [owing(-3, 0), DIED], ids=["owed", "failing"])
async def test_a_person_is_told_when_it_lasts_and_not_too_often(
    start: StartOne, server: WorkflowEnvironment, trouble: RunSetResult | Exception
) -> None:
    script = ArbitrageScript(runs=deque([trouble] * 60))
    async with start(script, overdue_s=30) as handle:
        await skip_until_called(server, script, "tell:arbitrage overdue!", 3)
        script.runs.clear()
        await stopped(handle)
    waited = [
        int(one.reason.partition(" for ")[2].partition(" s:")[0])
        for one in script.told()
        if one.kind == "arbitrage overdue"
    ]
    assert len(waited) == 3
    for at_least, seconds in zip((30, 120, 480), waited, strict=True):
        assert at_least <= seconds < 2.5 * at_least + 60
    assert all(later > 2 * earlier for earlier, later in pairwise(waited))


async def test_a_check_ends_a_rest(start: StartOne, server: WorkflowEnvironment) -> None:
    script = ArbitrageScript(runs=tried_out())
    async with start(script, overdue_s=86_400) as handle:
        await handed_over(handle, server, script)
        script.runs.extend([owing(-3, 0)] * 5)
        waits = script.calls.count("wait")
        await handle.signal(ArbitrageWorkflow.check, Request())
        await until_called(script, "wait", waits + 1)  # no time is skipped here
        script.runs.clear()
        await stopped(handle)
