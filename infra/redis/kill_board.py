"""The kill board: the fast copy of the kills in force, and the shout when it changes.

The rule: absence of knowledge means no. An emptied Redis has lost the armed mark, and without it
every question is answered by `Unavailable` until the board is re-armed from the durable record.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from desk.errors import Unavailable
from desk.identity import MarketId
from desk.records import Kill, kill_scopes
from infra.redis.connection import bounded

PULSE_S: Final = 1.0
_SILENCE_S: Final = 2.5


class RedisKillBoard:
    """The KillBoard over a hash of kills by scope, an armed mark and a channel."""

    def __init__(self, redis: Redis, *, fleet: str) -> None:
        self._redis = redis
        self._kills = f"flotilla:{fleet}:kills"
        self._armed = f"flotilla:{fleet}:armed"
        self._channel = f"flotilla:{fleet}:kills-changed"

    async def kills(self, market: MarketId) -> tuple[Kill, ...]:
        """Kills whose scope covers this market, widest first.

        Unavailable when unreachable, never armed, or holding a kill that cannot be read.
        """
        async with bounded(), self._redis.pipeline(transaction=True) as both:
            both.exists(self._armed)
            both.hmget(self._kills, list(kill_scopes(market)))
            armed, found = await both.execute()
        if not armed:
            raise Unavailable("redis: the kill board is not armed; re-arm it from the ledger")
        return tuple(_read(text) for text in found if text is not None)

    async def watch(self, sink: Callable[[], None]) -> None:
        """Call `sink` once when listening, then at each change, until cancelled.

        Raises Unavailable when the connection dies or falls silent, or the armed mark is gone.
        """
        pubsub = self._redis.pubsub(ignore_subscribe_messages=False)
        try:
            async with bounded():
                await pubsub.subscribe(self._channel)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(pubsub, sink))
                tasks.create_task(self._pulse(pubsub))
        except* Unavailable as trouble:
            raise _first(trouble) from trouble
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def set(self, kill: Kill) -> None:
        """Put a kill on the board and tell everybody; it arms nothing. Raises Unavailable."""
        async with bounded(), self._redis.pipeline(transaction=True) as both:
            both.hset(self._kills, kill.scope, _text(kill))
            both.publish(self._channel, kill.scope)
            await both.execute()

    async def lift(self, scope: str) -> bool:
        """Take the kill set at exactly this scope off; False when there is none.

        Raises Unavailable.
        """
        async with bounded(), self._redis.pipeline(transaction=True) as both:
            both.hdel(self._kills, scope)
            both.publish(self._channel, scope)
            removed, _ = await both.execute()
        return bool(removed)

    async def rearm(self, kills: Sequence[Kill]) -> None:
        """Make the board say exactly what the durable record says. Raises Unavailable."""
        async with bounded(), self._redis.pipeline(transaction=True) as all_at_once:
            all_at_once.delete(self._kills)
            for kill in kills:
                all_at_once.hset(self._kills, kill.scope, _text(kill))
            all_at_once.set(self._armed, "1")
            all_at_once.publish(self._channel, "rearmed")
            await all_at_once.execute()

    async def _listen(self, pubsub: PubSub, sink: Callable[[], None]) -> None:
        while True:
            async with bounded(_SILENCE_S + 1.0):
                message = await pubsub.get_message(timeout=_SILENCE_S)
            if message is None:
                raise Unavailable("redis: the kill board's channel fell silent")
            if message["type"] in {"subscribe", "message"}:
                sink()

    async def _pulse(self, pubsub: PubSub) -> None:
        """Make a live connection say something, and notice an emptied Redis."""
        while True:
            async with bounded():
                await pubsub.ping()
                armed = await self._redis.exists(self._armed)
            if not armed:
                raise Unavailable("redis: the kill board is not armed; re-arm it from the ledger")
            await asyncio.sleep(PULSE_S)


def _first(trouble: ExceptionGroup[Unavailable]) -> Unavailable:
    inner = trouble.exceptions[0]
    return inner if isinstance(inner, Unavailable) else _first(inner)


def _text(kill: Kill) -> str:
    return json.dumps(
        {"scope": kill.scope, "reason": kill.reason, "by": kill.by, "at_ms": kill.at_ms}
    )


def _read(text: str) -> Kill:
    try:
        said = json.loads(text)
        return Kill(scope=said["scope"], reason=said["reason"], by=said["by"], at_ms=said["at_ms"])
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable("redis: a kill on the board cannot be read; re-arm the board") from error
