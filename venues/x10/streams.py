"""Keeps one stream: connect, tell every loss before anything else, wait, connect again.

A jump in the numbering ends the stream; a refused upgrade waits longer, because coming back fast
is what the venue's firewall blocks (x10.md section 2.1).
"""

import asyncio
from collections.abc import Awaitable, Callable

from desk.errors import VenueError
from desk.ports import Clock
from desk.units import NS_PER_S
from venues._transport.backoff import Backoff
from venues._transport.rate_limit import read_rate_headers
from venues._transport.websocket import StreamEnded, StreamRefused

_FORBIDDING = frozenset({401, 403, 429})
_LONGEST_RETRY_S = 300.0


class Numbering:
    """`seq` of one connection. The first is the base, then each is one more (section 12.3)."""

    def __init__(self) -> None:
        self.last: int | None = None

    def is_new(self, told: int) -> bool:
        """False for a repeat; StreamEnded for a jump."""
        last = self.last
        if last is not None and told != last + 1:
            if told <= last:
                return False
            raise StreamEnded(f"gap: message {told} came after {last}")
        self.last = told
        return True


class KeptStream:
    """One stream, kept until `run` is cancelled.

    `connect` lives through one connection and always raises. `lost(reason)` is called once per
    loss, before the wait. What `connect` raises as VenueError or ValueError (an unreadable message)
    is a loss; anything else comes out of `run`.
    """

    def __init__(
        self,
        *,
        connect: Callable[[], Awaitable[None]],
        lost: Callable[[str], None],
        backoff: Backoff,
        refused_wait_s: float,
        clock: Clock,
    ) -> None:
        self._connect = connect
        self._lost = lost
        self._backoff = backoff
        self._refused_wait_s = refused_wait_s
        self._clock = clock
        self._scope: asyncio.Timeout | None = None
        self._dropped: str | None = None

    @property
    def dropping(self) -> bool:
        """Whether this connection is given up and its messages must be ignored."""
        return self._dropped is not None

    def drop(self, reason: str) -> None:
        """Give up the present connection and start over; nothing when there is none."""
        if self._scope is not None and self._dropped is None:
            self._dropped = reason
            self._scope.reschedule(0)

    async def run(self) -> None:
        """Never returns."""
        while True:
            opened_ns = self._clock.monotonic_ns()
            least_s, reason = await self._live()
            self._lost(reason)
            lived_s = (self._clock.monotonic_ns() - opened_ns) / NS_PER_S
            await asyncio.sleep(least_s + self._backoff.failed(lived_s=lived_s))

    async def _live(self) -> tuple[float, str]:
        """Seconds to wait at least, and why the connection is over."""
        try:
            async with asyncio.timeout(None) as self._scope:
                await self._connect()
        except TimeoutError:
            return 0.0, self._dropped or "a time-out"
        except StreamRefused as refusal:
            return self._least_s(refusal), str(refusal)
        except (VenueError, ValueError, ArithmeticError) as error:
            return 0.0, str(error)
        finally:
            self._scope, self._dropped = None, None
        return 0.0, "the stream ended"

    def _least_s(self, refusal: StreamRefused) -> float:
        if refusal.status not in _FORBIDDING:
            return 0.0
        told_s = read_rate_headers(refusal.headers, wall_ns=self._clock.wall_ns()).retry_after_s
        return max(self._refused_wait_s, min(told_s or 0.0, _LONGEST_RETRY_S))
