"""V-8xx: the venue's own timer cancels for us when we no longer can, on time."""

import time

import pytest

from desk.ports import DeadManPort
from desk.units import NS_PER_S
from tests.venues.conformance.harness import Harness, skip_without
from tests.venues.conformance.stage import Stage, eventually


class TimerCases:
    @pytest.fixture
    def timer(self, harness: Harness) -> DeadManPort:
        skip_without("venue_dead_man", has=harness.venue.capabilities.venue_dead_man)
        assert harness.venue.dead_man is not None
        return harness.venue.dead_man

    def test_v810_the_timer_is_there_when_it_is_said_to_be(self, harness: Harness) -> None:
        has = harness.venue.dead_man is not None
        assert has is harness.venue.capabilities.venue_dead_man

    async def test_v811_unrenewed_it_cancels_everything_and_not_before_it_said(
        self, harness: Harness, timer: DeadManPort
    ) -> None:
        stage = Stage(harness)
        until_ns = await timer.keep("here")
        await stage.place(*(orders := await stage.ladder()))
        if until_ns - time.monotonic_ns() > 5 * NS_PER_S:
            pytest.skip("the harness's timer is too long to wait for")
        assert until_ns > time.monotonic_ns()

        async def resting() -> tuple[int, int]:
            return len(await stage.really_resting()), time.monotonic_ns()

        while (seen := await resting())[1] < until_ns - NS_PER_S // 10:
            assert seen[0] == len(orders)
        await eventually(resting, lambda now: now[0] == 0)

    async def test_v820_it_stays_armed_while_orders_rest(
        self, harness: Harness, timer: DeadManPort
    ) -> None:
        stage = Stage(harness)
        await timer.keep("here")
        await stage.place(*await stage.ladder(1))
        assert await timer.release("here") is False
        await harness.venue.execution.cancel_all(harness.instrument)
        await stage.rests(())
        assert await timer.release("here") is True

    async def test_v821_it_stays_armed_while_others_hold_it(self, timer: DeadManPort) -> None:
        await timer.keep("here")
        await timer.keep("there")
        assert await timer.release("here") is False
        assert await timer.release("there") is True

    async def test_v822_a_renewal_reaches_further(self, timer: DeadManPort) -> None:
        first = await timer.keep("here")
        assert await timer.keep("there") == first
        assert await timer.release("here") is False
        assert await timer.release("there") is True
        assert await timer.keep("here") > first
