"""Things that are to happen later, by the venue's own clock: they happen once and in order."""

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from desk.units import NS_PER_S

_LOOK_AGAIN_S = 0.05


class Agenda:
    """Runs what is due. A clock that is set by hand is looked at twenty times a second."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count()
        self._added = asyncio.Event()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Have it done so many seconds from now; at once when it is not later at all."""
        if seconds <= 0:
            action()
        else:
            self.at(self._now_ns() + int(seconds * NS_PER_S), action)

    def at(self, due_ns: int, action: Callable[[], None]) -> None:
        """Have it done at a wall time."""
        heappush(self._due, (due_ns, next(self._numbers), action))
        self._added.set()

    def step(self) -> None:
        """Do what is due by now."""
        while self._due and self._due[0][0] <= self._now_ns():
            heappop(self._due)[2]()

    async def run(self) -> None:
        """Step until cancelled."""
        while True:
            self._added.clear()
            self.step()
            wait_s = None
            if self._due:
                wait_s = min((self._due[0][0] - self._now_ns()) / NS_PER_S, _LOOK_AGAIN_S)
            try:
                async with asyncio.timeout(wait_s):
                    await self._added.wait()
            except TimeoutError:
                continue
