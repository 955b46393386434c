"""How many order requests are under way, and what answers say of the request budget.

Cancels, reads and the dead-man timer never wait here.
"""

import asyncio
from collections import deque
from dataclasses import replace

from desk.ports import Clock
from venues._transport.http import HttpResponse
from venues._transport.rate_limit import Budget, RequestKind, read_rate_headers

_PAUSE_S = 2.0
"""After a 429 that does not say how long; what the venue sends is unknown (section 16)."""
_TOO_MANY = 429


class Lanes:
    """So many order requests at once; who waits is served in the order of coming."""

    def __init__(self, lanes: int) -> None:
        self._free = lanes
        self._waiting: deque[asyncio.Future[None]] = deque()

    def try_enter(self) -> bool:
        """Take a lane when one is free and nobody waits for it."""
        if self._free <= 0 or self._waiting:
            return False
        self._free -= 1
        return True

    async def enter(self) -> None:
        """Wait for a lane."""
        if self.try_enter():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            else:
                self._waiting.remove(turn)
            raise

    def leave(self) -> None:
        """Give a lane back."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


def hear(budget: Budget, response: HttpResponse, clock: Clock) -> float | None:
    """Tell the budget what an answer says of it; gives the seconds a 429 asks to wait."""
    news = read_rate_headers(response.headers, wall_ns=clock.wall_ns())
    if response.status != _TOO_MANY:
        budget.heard(news)
        return None
    wait_s = _PAUSE_S if news.retry_after_s is None else news.retry_after_s
    budget.heard(replace(news, retry_after_s=wait_s, too_many=True))
    return wait_s


def count_read(budget: Budget) -> None:
    """Count a read, which shares the address's budget with orders but is never held back.

    It takes no token that is kept for cancels; past the orders' share it is only counted.
    """
    if budget.take(RequestKind.ORDER) > 0:
        budget.overdraw()


def count_cancel(budget: Budget) -> None:
    """Count a request that must go out whatever we believe of the budget."""
    if budget.take(RequestKind.CANCEL) > 0:
        budget.overdraw()
