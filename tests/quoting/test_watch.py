"""The venue's timer is renewed while we stand behind what rests, and only then."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

from desk.errors import NotSent
from desk.permit import Refusal
from quoting.watch import Watch
from tests.quoting.builders import MARKET, permit


@dataclass(slots=True)
class Timer:
    """A `DeadManPort` that answers from a list, then stays with the last answer."""

    answers: Sequence[int | None]
    asked: list[str] = field(default_factory=list)
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep(self, holder: str) -> int:
        self.asked.append(holder)
        if len(self.asked) >= len(self.answers):
            self.enough.set()
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if answer is None:
            raise NotSent("no connection")
        return answer

    async def release(self, holder: str) -> bool:
        return bool(holder)


async def watched(timer: Timer, *, healthy: bool = True) -> Watch:
    """Run the watch until the timer was asked often enough (or half a second went by)."""
    watch = Watch(
        market=MARKET,
        epoch=1,
        owner="me",
        lease_ttl_ms=6_000,
        permit=permit(),
        ports=SimpleNamespace(venue=SimpleNamespace(dead_man=timer)),
        may_hold=lambda: True,
        may_renew=lambda: healthy,
        wake=lambda: None,
    )
    task = asyncio.create_task(watch.dead_man())
    try:
        async with asyncio.timeout(0.5 if not healthy else 5):
            await timer.enough.wait()
            await asyncio.sleep(0)
    except TimeoutError:
        pass
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return watch


async def test_a_confirmed_renewal_moves_the_permit_forward() -> None:
    timer = Timer([5_000, 9_000])
    watch = await watched(timer)
    assert watch._permit.dead_man_until_ns == 9_000
    assert set(timer.asked) == {MARKET.path}


async def test_one_failure_is_tried_again_at_once_and_two_end_the_permit() -> None:
    once = await watched(Timer([5_000, None, 7_000]))
    assert once._permit.dead_man_until_ns == 7_000
    twice = await watched(Timer([5_000, None, None]))
    assert twice._permit.refusal(1) is Refusal.DEAD_MAN


async def test_nothing_is_renewed_while_we_do_not_stand_behind_what_rests() -> None:
    timer = Timer([5_000])
    await watched(timer, healthy=False)
    assert timer.asked == []


def test_a_permit_ends_when_the_timer_may_run_out() -> None:
    given = permit()
    assert given.refusal(0) is None, "a venue without a timer needs none"
    given.dead_man_until_ns = 1_000
    assert given.refusal(999) is None
    assert given.refusal(1_000) is Refusal.DEAD_MAN
    assert "dead-man" in given.explain(Refusal.DEAD_MAN)
