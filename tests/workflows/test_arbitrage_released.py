"""A release outlives the workflow it was told to: lots of outcomes, whole trades of a triangle."""

from collections import deque
from dataclasses import replace

from temporalio.testing import WorkflowEnvironment

from activities.arbitrage_messages import ReleaseSetInput, RunSetResult
from desk.arbitrage_records import TradeKey
from quoting.arbitrage.report import LegStanding, RunEnd
from tests.workflows.scripted_arbitrage import DOWN, UP, ArbitrageScript, ended, owing
from tests.workflows.sets import StartOne, skip_until_called, start, stopped, until
from workflows.arbitrage import ArbitrageWorkflow
from workflows.arbitrage_messages import DecideArbitrage

__all__ = ["start"]

ANA = DecideArbitrage(by="ana", reason="kept")
KEY = TradeKey("btc-15m", 7, 1)


def released(script: ArbitrageScript) -> ReleaseSetInput:
    (release,) = [one for one in script.inputs if isinstance(one, ReleaseSetInput)]
    return release


def owing_by(key: TradeKey, legs: tuple[LegStanding, ...]) -> RunSetResult:
    """A run that could not discharge what this trade owes."""
    result = owing(-3, 0)
    standing = replace(result.report.standing, legs=legs, trade=key)
    return replace(result, report=replace(result.report, epoch=9, standing=standing))


async def test_what_was_released_in_an_earlier_life_is_waived_from_the_first_run(
    start: StartOne, server: WorkflowEnvironment
) -> None:
    script = ArbitrageScript(released=(-3, 0), runs=deque([ended(), ended(waived=(-1, 0))]))
    async with start(script, overdue_s=86_400) as handle:
        status = await until(handle, lambda status: status.waived == (-1, 0))
        await skip_until_called(server, script, "watch", 3)
        await stopped(handle)
    assert status.waived == (-1, 0)
    assert [one.waived for one in script.asked()][:3] == [(-3, 0), (-3, 0), (-1, 0)]


async def test_what_is_over_is_waived_not_what_would_have_completed_it(
    start: StartOne, server: WorkflowEnvironment
) -> None:
    legs = (
        LegStanding(market=UP, position=13, owed=0, excess=3),
        LegStanding(market=DOWN, position=10, owed=3, excess=0),
    )
    script = ArbitrageScript(released=(-1, 0), runs=deque([owing_by(KEY, legs)]))
    async with start(script, overdue_s=86_400) as handle:
        script.runs.extend([owing_by(KEY, legs)] * 3)
        await until(handle, lambda status: status.owed == (0, 3))
        script.runs.clear()
        script.runs.append(owing_by(KEY, legs))  # one may be on its way
        await handle.signal(ArbitrageWorkflow.release, ANA)
        await skip_until_called(server, script, "release")
        script.runs.clear()
        status = await until(handle, lambda status: status.owed == (0, 0))
        await stopped(handle)
    release = released(script)
    assert (release.waived, release.trade, release.epoch) == ((-4, 0), KEY, 9)
    assert status.waived == (-4, 0)


async def test_of_a_triangle_the_trade_is_released_and_no_lots(
    start: StartOne, server: WorkflowEnvironment
) -> None:
    legs = tuple(
        LegStanding(market=market, position=lots, owed=-lots, excess=lots)
        for market, lots in ((UP, 3), (DOWN, 0))
    )
    script = ArbitrageScript(runs=deque([owing_by(KEY, legs)] * 4))
    pairs = {"kind": "triangle", "legs": ["ocx/UP", "ocx/DOWN", "ocx/THIRD"]}
    async with start(script, overdue_s=86_400, **pairs) as handle:
        await until(handle, lambda status: status.owed == (-3, 0))
        await handle.signal(ArbitrageWorkflow.release, ANA)
        await skip_until_called(server, script, "release")
        script.runs.clear()
        script.runs.append(ended(RunEnd.BALANCED))
        result = await stopped(handle)
    release = released(script)
    assert (release.waived, release.trade) == ((), KEY)
    assert (result.waived, {one.waived for one in script.asked()}) == ((), {()})
