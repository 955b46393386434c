"""What became of single orders: asked one after another, and their fills read once for all.

The one rule: an order whose question is open is not asked about again, however often the loop wants
to know. A venue that answers slowly would else be asked ever more, and answer ever more slowly.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from desk.errors import VenueError
from desk.instrument import Instrument
from desk.orders import AccountChange
from desk.ports import Clock, Venue
from quoting.inbox import Inbox, Settled


class Asking:
    """Questions of one session to its venue. Answers come as inbox events."""

    def __init__(
        self,
        *,
        instrument: Instrument,
        venue: Venue,
        clock: Clock,
        inbox: Inbox,
        tasks: asyncio.TaskGroup,
        fills_since_ms: int,
    ) -> None:
        self._instrument = instrument
        self._venue = venue
        self._clock = clock
        self._inbox = inbox
        self._tasks = tasks
        self._fills_since_ms = fills_since_ms
        self._waiting: dict[str, None] = {}
        self._open: frozenset[str] = frozenset()

    def ask(self, client_order_id: str) -> None:
        """Its fills and a `Settled` event follow, if the venue answers."""
        if client_order_id in self._open:
            return
        idle = not self._waiting and not self._open
        self._waiting[client_order_id] = None
        if idle:
            self._tasks.create_task(self._work())

    async def _work(self) -> None:
        while self._waiting:
            asked, self._waiting = tuple(self._waiting), {}
            self._open = frozenset(asked)
            try:
                await self._answer(asked)
            finally:
                self._open = frozenset()

    async def _answer(self, asked: tuple[str, ...]) -> None:
        """Tell what can be told; the rest is asked again by the loop."""
        resting: list[str] = []
        gone: list[str] = []
        for one in asked:
            with suppress(VenueError):
                (resting if await self._rests(one) else gone).append(one)
        with suppress(VenueError):
            if gone:
                await self._hear_fills()
                self._tell(gone, resting=False)
        self._tell(resting, resting=True)

    async def _rests(self, client_order_id: str) -> bool:
        found = await self._venue.execution.find(self._instrument, client_order_id)
        return found is not None

    async def _hear_fills(self) -> None:
        """Read after orders were seen to be gone, so that no fill of theirs can be missing."""
        fills = await self._venue.account.fills(self._instrument, self._fills_since_ms)
        now_ns = self._clock.monotonic_ns()
        self._inbox.put(AccountChange(fills=tuple(fills), position=None, received_ns=now_ns))

    def _tell(self, asked: Iterable[str], *, resting: bool) -> None:
        for one in asked:
            self._inbox.put(Settled(client_order_id=one, resting=resting))
