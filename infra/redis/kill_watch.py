"""One subscription to the kill board's channel for all who watch it in this process.

The rule: whoever's turn it is listens for all, and when it goes the next one in line takes over;
so a hundred markets cost one connection, and none of them misses a change.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from desk.errors import Unavailable
from infra.redis.connection import bounded

_PULSE_S: Final = 1.0
_SILENCE_S: Final = 2.5


class KillWatch:
    """Calls sinks when the board changed. `armed` is the key of the board's armed mark."""

    def __init__(self, redis: Redis, *, channel: str, armed: str) -> None:
        self._redis = redis
        self._channel = channel
        self._armed = armed
        self._sinks: list[Callable[[], None]] = []
        self._turn = asyncio.Lock()
        self._listening = False

    async def watch(self, sink: Callable[[], None]) -> None:
        """Call `sink` once when somebody listens, then at each change, until cancelled.

        Raises Unavailable to the one who listens when the connection dies or falls silent, or the
        armed mark is gone; the others listen on in its place, or learn the same in their turn.
        """
        self._sinks.append(sink)
        try:
            if self._listening:
                sink()
            async with self._turn:
                await self._listen_for_all()
        finally:
            self._sinks.remove(sink)

    async def _listen_for_all(self) -> None:
        pubsub = self._redis.pubsub(ignore_subscribe_messages=False)
        try:
            async with bounded():
                await pubsub.subscribe(self._channel)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(pubsub))
                tasks.create_task(self._pulse(pubsub))
        except* Unavailable as trouble:
            raise _first(trouble) from trouble
        finally:
            self._listening = False
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _listen(self, pubsub: PubSub) -> None:
        while True:
            async with bounded(_SILENCE_S + 1.0):
                message = await pubsub.get_message(timeout=_SILENCE_S)
            if message is None:
                raise Unavailable("redis: the kill board's channel fell silent")
            if message["type"] in {"subscribe", "message"}:
                self._listening = True
                for sink in tuple(self._sinks):
                    sink()

    async def _pulse(self, pubsub: PubSub) -> None:
        """Make a live connection say something, and notice an emptied Redis."""
        while True:
            async with bounded():
                await pubsub.ping()
                armed = await self._redis.exists(self._armed)
            if not armed:
                raise Unavailable("redis: the kill board is not armed; re-arm it from the ledger")
            await asyncio.sleep(_PULSE_S)


def _first(trouble: ExceptionGroup[Unavailable]) -> Unavailable:
    inner = trouble.exceptions[0]
    return inner if isinstance(inner, Unavailable) else _first(inner)
