"""The venue's own timer: when it runs out, the venue cancels every order of the account.

It is disarmed only when nobody here holds it and the venue lists no order (x10.md section 10).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from desk.orders import VenueOrder
from desk.ports import Clock
from desk.units import NS_PER_S
from venues.x10.cancels import Cancels

_UNITS = {"seconds": 1, "milliseconds": 1_000}


class DeadMan:
    """DeadManPort of X10. `timer_s` whole seconds; `unit` is in what the venue counts them."""

    def __init__(
        self,
        *,
        cancels: Cancels,
        list_all: Callable[[], Awaitable[Sequence[VenueOrder]]],
        clock: Clock,
        timer_s: int,
        unit: str,
    ) -> None:
        self._cancels = cancels
        self._list_all = list_all
        self._clock = clock
        self._timer_ns = timer_s * NS_PER_S
        self._countdown = timer_s * _UNITS[unit]
        self._holders: dict[str, int] = {}
        self._renewed_ns: int | None = None
        self._calling = asyncio.Lock()

    async def keep(self, holder: str) -> int:
        """Arm or renew; monotonic nanoseconds until when the venue certainly waits.

        Asks the venue only when a third of the timer has gone by since the last renewal. Raises
        Refused, NotSent or Unresolved when it had to ask; the timer may then be running out.
        """
        async with self._calling:
            self._holders[holder] = self._clock.monotonic_ns()
            now_ns = self._clock.monotonic_ns()
            if self._renewed_ns is None or now_ns - self._renewed_ns >= self._timer_ns // 3:
                await self._cancels.timer(self._countdown)
                # From before the call: the venue's countdown cannot have begun earlier.
                self._renewed_ns = now_ns
            return self._renewed_ns + self._timer_ns

    async def release(self, holder: str) -> bool:
        """Nothing of this holder rests any more. The last holder disarms; True when disarmed.

        A holder that has not kept it for as long as the timer runs is none any more. Stays armed
        (False) while others hold it or the venue lists any order of the account. Raises as `keep`
        does; the timer then runs out by itself, which is safe.
        """
        self._holders.pop(holder, None)
        async with self._calling:
            if self._held() or await self._list_all() or self._held():
                return False
            # Whatever comes of the call, the next `keep` has to arm anew.
            self._renewed_ns = None
            await self._cancels.timer(0)
            return True

    def _held(self) -> bool:
        """Whether anybody asked for the timer within its own time: who left does not say so."""
        since_ns = self._clock.monotonic_ns() - self._timer_ns
        return any(asked_ns > since_ns for asked_ns in self._holders.values())
