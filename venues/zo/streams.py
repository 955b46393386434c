"""Keeps one stream: connect, tell every loss before anything else, wait, connect again.

Subscriptions are in the address; nothing is sent after connecting (zo.md section 3.1).
"""

import asyncio
from collections.abc import Awaitable, Callable

from desk.errors import ConfigurationFault, VenueError
from desk.ports import Clock
from desk.units import NS_PER_S
from venues._transport.backoff import Backoff
from venues._transport.websocket import StreamEnded, listen
from venues.zo.config import ZoConfig

_DROPPED = "dropped"
_NEVER_S = 1e6
_OFTEN = 4


class KeptStream:
    """One stream, kept until `run` is cancelled.

    `follow` reads what the stream does not tell, beside it. `lost(reason)` is called once per
    loss, before the wait. Any VenueError, ConfigurationFault or unreadable message is a loss.
    """

    def __init__(
        self,
        *,
        config: ZoConfig,
        on_message: Callable[[bytes], None],
        on_alive: Callable[[], None],
        path: Callable[[], Awaitable[str]],
        follow: Callable[[], Awaitable[None]],
        lost: Callable[[str], None],
        backoff: Backoff,
        clock: Clock,
    ) -> None:
        self._config = config
        self._on_message = on_message
        self._on_alive = on_alive
        self._path = path
        self._follow = follow
        self._lost = lost
        self._backoff = backoff
        self._clock = clock
        self._life: asyncio.Task[None] | None = None
        self._dropped: str | None = None

    @property
    def dropping(self) -> bool:
        """Whether this connection is given up and its messages must be ignored."""
        return self._dropped is not None

    def drop(self, reason: str) -> None:
        """Give up the present connection and start over; nothing when there is none."""
        if self._life is not None and self._dropped is None:
            self._dropped = reason
            self._life.cancel(_DROPPED)

    async def run(self) -> None:
        """Never returns."""
        while True:
            opened_ns = self._clock.monotonic_ns()
            reason = await self._live()
            self._lost(reason)
            lived_s = (self._clock.monotonic_ns() - opened_ns) / NS_PER_S
            await asyncio.sleep(self._backoff.failed(lived_s=lived_s))

    async def _live(self) -> str:
        try:
            async with asyncio.TaskGroup() as group:
                self._life = group.create_task(self._connect())
            reason = self._dropped or "the stream ended"
        except* (VenueError, ConfigurationFault, ValueError, ArithmeticError) as group_of:
            reason = str(_first(group_of))
        finally:
            self._life, self._dropped = None, None
        return reason

    async def _connect(self) -> None:
        path = await self._path()
        opened = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(path, opened))
            await opened.wait()
            await self._follow()

    async def _listen(self, path: str, opened: asyncio.Event) -> None:
        await listen(
            self._config.streams,
            path,
            headers=[("User-Agent", self._config.user_agent)],
            on_message=self._on_message,
            on_alive=self._on_alive,
            on_open=opened.set,
            # Silence is judged by the age of data, beside the stream.
            idle_timeout_s=_NEVER_S,
            ping_s=self._config.ping_s or _NEVER_S,
            connect_timeout_s=self._config.read_timeout_s,
        )


class Continuity:
    """Numbers of the updates of one stream, each naming the one before it."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._chained = False
        self._began_later = 0
        self.last = 0

    def start(self, update_id: int) -> None:
        """A reading of the whole contains everything up to this number."""
        self.last = update_id
        self._chained = False

    def is_new(self, update_id: int, previous: int) -> bool:
        """False for what is contained already; StreamEnded for a gap.

        The first update after a reading may name nothing before it. One that begins later than
        the reading asks for another reading; when that keeps happening the venue counts otherwise
        (zo.md section 3.2), and unless `strict` it is taken.
        """
        if update_id <= self.last:
            return False
        later = previous > self.last
        if self._chained:
            gap = previous != self.last
        else:
            self._began_later = self._began_later + 1 if later else 0
            gap = later and (self._strict or self._began_later < _OFTEN)
        if gap:
            raise StreamEnded(f"gap: update {update_id} follows {previous}, and not {self.last}")
        self.last = update_id
        self._chained = True
        return True


def _first(errors: BaseException) -> BaseException:
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    return errors
