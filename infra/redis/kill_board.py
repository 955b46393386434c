"""The kill board: the fast copy of the kills in force, and the shout when it changes.

The rule: absence of knowledge means no. An emptied Redis has lost the armed mark, and without it
every question is answered by `Unavailable` until the board is re-armed from the durable record.
Only `lift` takes a kill off, and only kills it names: a scope stands while any is left.
"""

import json
from collections.abc import Callable, Collection, Sequence
from typing import Final

from redis.asyncio import Redis

from desk.errors import Unavailable
from desk.identity import MarketId
from desk.records import Kill, KillEffect, kill_scopes
from infra.redis.connection import bounded
from infra.redis.kill_watch import KillWatch
from infra.redis.scripts import source

_LIFTED_S: Final = 3_600


class RedisKillBoard:
    """The KillBoard over a hash of kills by scope, an armed mark and a channel."""

    def __init__(self, redis: Redis, *, fleet: str) -> None:
        self._redis = redis
        self._kills = f"flotilla:{fleet}:kills"
        self._armed = f"flotilla:{fleet}:armed"
        self._channel = f"flotilla:{fleet}:kills-changed"
        self._named = f"flotilla:{fleet}:kills-named:"
        self._lifted = f"flotilla:{fleet}:kills-lifted:"
        self._lift = redis.register_script(source("kill_lift"))
        self._rearm = redis.register_script(source("kill_rearm"))
        self._watch = KillWatch(redis, channel=self._channel, armed=self._armed)

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
        All watchers of this object share one connection (`KillWatch`).
        """
        await self._watch.watch(sink)

    async def set(self, kill: Kill) -> None:
        """Put a kill on the board and tell everybody; it arms nothing. Raises Unavailable."""
        async with bounded(), self._redis.pipeline(transaction=True) as both:
            both.hset(self._kills, kill.scope, _text(kill))
            both.sadd(self._named + kill.scope, kill.at_ms)
            both.srem(self._lifted + kill.scope, kill.at_ms)
            both.publish(self._channel, kill.scope)
            await both.execute()

    async def named(self, scope: str) -> frozenset[int]:
        """`at_ms` of every kill that stands at exactly this scope. Raises Unavailable."""
        async with bounded():
            found = await self._redis.smembers(self._named + scope)
        return frozenset(map(int, found))

    async def lift(self, scope: str, at_ms: Collection[int]) -> bool:
        """Take exactly these kills off the scope; False when none of them was there.

        Whoever read the durable record before this cannot put them back (for an hour). A kill that
        is not among them holds the scope. Raises Unavailable.
        """
        async with bounded():
            there = await self._lift(
                keys=[self._kills, self._named + scope, self._lifted + scope],
                args=[self._channel, scope, _LIFTED_S, *at_ms],
            )
        return bool(there)

    async def armed(self) -> bool:
        """Whether it was armed since Redis was last emptied. Raises Unavailable."""
        async with bounded():
            return bool(await self._redis.exists(self._armed))

    async def rearm(self, kills: Sequence[Kill]) -> None:
        """Put every kill of the durable record on the board, and mark it armed.

        It only adds, and tells everybody when that changed anything. Raises Unavailable.
        """
        said: list[str | int] = [self._channel, self._named, self._lifted]
        for kill in kills:
            said += (kill.scope, kill.at_ms, _text(kill))
        async with bounded():
            await self._rearm(keys=[self._kills, self._armed], args=said)


def _text(kill: Kill) -> str:
    said: dict[str, object] = {
        "scope": kill.scope,
        "reason": kill.reason,
        "by": kill.by,
        "at_ms": kill.at_ms,
        "effect": kill.effect.value,
    }
    if kill.until_ms is not None:
        said["until_ms"] = kill.until_ms
    return json.dumps(said)


def _read(text: str) -> Kill:
    try:
        said = json.loads(text)
        return Kill(
            scope=said["scope"],
            reason=said["reason"],
            by=said["by"],
            at_ms=said["at_ms"],
            effect=KillEffect(said.get("effect", KillEffect.STOP)),
            until_ms=said.get("until_ms"),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable(
            "redis: a kill on the board cannot be read; lift it at its scope or set it anew"
        ) from error
