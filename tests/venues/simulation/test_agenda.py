"""What is to happen later happens once, in order, when the venue's clock says so."""

import asyncio
import time

from tests.venues.simulation.exchange import HandClock
from venues.simulation.agenda import Agenda


def test_due_things_happen_in_order_of_their_time_and_then_of_their_asking() -> None:
    clock, done = HandClock(), list[str]()
    agenda = Agenda(clock)
    for name, seconds in (("late", 2.0), ("first", 1.0), ("second", 1.0)):
        agenda.after(seconds, lambda name=name: done.append(name))  # type: ignore[misc]
    agenda.step()
    assert done == []
    clock.pass_s(1)
    agenda.step()
    assert done == ["first", "second"]
    clock.pass_s(5)
    agenda.step()
    agenda.step()
    assert done == ["first", "second", "late"]


def test_what_is_not_later_happens_at_once() -> None:
    done = list[int]()
    Agenda(HandClock()).after(0, lambda: done.append(1))
    assert done == [1]


async def test_it_keeps_time_while_it_runs() -> None:
    agenda, done = Agenda(time.time_ns), asyncio.Event()
    running = asyncio.create_task(agenda.run())
    started = time.monotonic()
    agenda.after(30, lambda: None)
    agenda.after(0.05, done.set)
    async with asyncio.timeout(5):
        await done.wait()
    assert time.monotonic() - started >= 0.05
    running.cancel()
