"""The engine's clock and the nonces of our actions (zo.md section 5.4).

The engine's clock may stall or run apart from ours, so only `/timestamp` is believed; it counts
whole seconds.
"""

from collections.abc import Awaitable, Callable

from desk.ports import Clock
from desk.units import NS_PER_MS, NS_PER_S
from venues.zo.wire import Stamp

_HALF_SECOND_MS = 500
_NONCES = 2**32


class EngineClock:
    """Offset of the engine's clock to ours, and a counter of nonces that starts anywhere.

    `read` asks the venue for unix seconds; it raises Refused, NotSent or Unresolved.
    """

    def __init__(
        self, *, read: Callable[[], Awaitable[int]], clock: Clock, first_nonce: int
    ) -> None:
        self._read = read
        self._clock = clock
        self._nonce = first_nonce % _NONCES
        self._offset_ns = 0
        self._read_ns: int | None = None

    async def refresh(self) -> int:
        """Ask the venue; milliseconds it is ahead of us, right to half a second and the delay."""
        asked_ns = self._clock.wall_ns()
        told_s = await self._read()
        middle_ms = (asked_ns + self._clock.wall_ns()) // 2 // NS_PER_MS
        offset_ms = told_s * 1_000 + _HALF_SECOND_MS - middle_ms
        # An order must never be stamped later than the engine's own second.
        self._offset_ns = (offset_ms - _HALF_SECOND_MS) * NS_PER_MS
        self._read_ns = self._clock.monotonic_ns()
        return offset_ms

    def age_s(self) -> float | None:
        """Seconds since the venue was last asked, None before."""
        if self._read_ns is None:
            return None
        return (self._clock.monotonic_ns() - self._read_ns) / NS_PER_S

    def doubt(self) -> None:
        """The engine did not like our time: what we know of its clock is not good any more."""
        self._read_ns = None

    def now_s(self) -> int:
        """The engine's time in unix seconds."""
        return (self._clock.wall_ns() + self._offset_ns) // NS_PER_S

    def stamp(self) -> Stamp:
        """Time and nonce of one action; no two are alike within the engine's 60 s."""
        self._nonce = (self._nonce + 1) % _NONCES
        return Stamp(self.now_s(), self._nonce)
