"""Leaving a market is done to its end, however often somebody asks for it."""

import asyncio

import pytest

from quoting.clearing import ClearReport
from quoting.session import _undisturbed

REPORT = ClearReport(verified=True, attempts=1, left=0, message="", confirmed_ns=1, verified_ns=2)


class Leaving:
    """A clearing that ends when the test says so."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.fails: Exception | None = None

    async def run(self) -> ClearReport:
        self.begun.set()
        await self.may_end.wait()
        if self.fails is not None:
            raise self.fails
        return REPORT


async def test_cancels_while_leaving_change_nothing() -> None:
    leaving = Leaving()
    task = asyncio.create_task(_undisturbed(leaving.run()))
    await leaving.begun.wait()
    for _ in range(3):
        task.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        assert not task.done()
    leaving.may_end.set()
    assert await asyncio.wait_for(task, 5) == REPORT


async def test_a_cancel_together_with_the_end_does_not_lose_the_report() -> None:
    leaving = Leaving()
    task = asyncio.create_task(_undisturbed(leaving.run()))
    await leaving.begun.wait()
    leaving.may_end.set()
    task.cancel()
    assert await asyncio.wait_for(task, 5) == REPORT


async def test_what_goes_wrong_while_leaving_comes_out() -> None:
    leaving = Leaving()
    leaving.fails = RuntimeError("a bug")
    task = asyncio.create_task(_undisturbed(leaving.run()))
    await leaving.begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    leaving.may_end.set()
    with pytest.raises(RuntimeError, match="a bug"):
        await asyncio.wait_for(task, 5)
