"""Keeps one event stream: connect, tell every loss before anything else, wait, connect again.

A jump in the numbering ends the stream, because OCX cannot say what was missed.
"""

import asyncio
from collections.abc import Awaitable, Callable

from desk.errors import VenueError
from desk.ports import Clock
from desk.units import NS_PER_S
from venues._transport.backoff import Backoff
from venues._transport.sse import StreamEnded
from venues.ocx.wire import WireStreamError, decode_stream_error

_FATAL_WAIT_S = 20.0


class StreamFatal(StreamEnded):
    """The venue said that coming back at once is of no use."""


class Numbering:
    """Numbers of the events of one connection. The first is the base, then each is one more."""

    def __init__(self) -> None:
        self.last: int | None = None

    def is_new(self, told: int | None) -> bool:
        """False for a repeat; StreamEnded for a jump. Events without a number are always new."""
        if told is None:
            return True
        if self.last is not None:
            if told <= self.last:
                return False
            if told != self.last + 1:
                raise StreamEnded(f"gap: event {told} came after {self.last}")
        self.last = told
        return True


class KeptStream:
    """One stream, kept until `run` is cancelled.

    `connect` lives through one connection and always raises. `lost(reason)` is called once per
    loss, before the wait. What `connect` raises as VenueError or ValueError (an unreadable event)
    is a loss; anything else comes out of `run`.
    """

    def __init__(
        self,
        *,
        connect: Callable[[], Awaitable[None]],
        lost: Callable[[str], None],
        backoff: Backoff,
        clock: Clock,
    ) -> None:
        self._connect = connect
        self._lost = lost
        self._backoff = backoff
        self._clock = clock
        self._scope: asyncio.Timeout | None = None
        self._dropped: str | None = None

    @property
    def dropping(self) -> bool:
        """Whether this connection is given up and its events must be ignored."""
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
            fatal, reason = await self._live()
            self._lost(reason)
            lived_s = (self._clock.monotonic_ns() - opened_ns) / NS_PER_S
            wait_s = self._backoff.failed(lived_s=lived_s)
            await asyncio.sleep(max(wait_s, _FATAL_WAIT_S) if fatal else wait_s)

    async def _live(self) -> tuple[bool, str]:
        try:
            async with asyncio.timeout(None) as self._scope:
                await self._connect()
        except TimeoutError:
            return False, self._dropped or "a time-out"
        except (VenueError, ValueError, ArithmeticError) as error:
            return isinstance(error, StreamFatal), str(error)
        finally:
            self._scope, self._dropped = None, None
        return False, "the stream ended"


def raise_stream_error(data: bytes) -> None:
    """Turn an `error` event into StreamEnded, or StreamFatal when it is not retryable."""
    try:
        told = decode_stream_error(data).told
    except ValueError:
        told = WireStreamError(message="unreadable error event")
    text = f"error event {told.code}: {told.message}"
    raise StreamEnded(text) if told.retryable else StreamFatal(f"{text} (not retryable)")
