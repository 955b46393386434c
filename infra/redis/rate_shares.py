"""Rate budgets of venues, shared by every process of a fleet: one bucket for each key.

The rule: no span of one window, wherever it begins, ever sees more than the capacity drawn. Times
are taken from Redis' clock alone. A bucket that forgot is careful until a window has passed.
"""

from collections.abc import Sequence
from itertools import chain
from math import ceil

from redis.asyncio import Redis

from desk.rate_ports import RateLaw, RateShare
from infra.redis.connection import bounded
from infra.redis.scripts import source

_PARTS = 64


class RedisRateShares:
    """The RateShares over one hash a bucket: tokens drawn, by the part of the window.

    A window has 64 parts, and a token comes back with its whole part, so up to a 64th of a window
    late and never early. A bucket nobody draws from vanishes after a window, but for the note of
    when it began to know: that is its generation.
    """

    def __init__(self, redis: Redis, *, fleet: str) -> None:
        self._prefix = f"flotilla:{fleet}:rate"
        self._draw = redis.register_script(source("rate_bucket", "rate_draw"))
        self._pause = redis.register_script(source("rate_pause"))

    async def draw(
        self,
        key: str,
        law: RateLaw,
        *,
        orders: int,
        cancels: int,
        spent: int = 0,
        returned: Sequence[tuple[int, int]] = (),
        used: int = 0,
        generation: int = 0,
    ) -> RateShare:
        """Take up to so many tokens, in one atomic step; see the port. Raises Unavailable."""
        window_ms = ceil(law.window_s * 1_000)
        part_ms = max(1, window_ms // _PARTS)
        settle_ms = ceil(law.settle_s * 1_000)
        numbers = (law.capacity, law.reserved, window_ms, part_ms, settle_ms)
        wanted = (cancels, orders, spent, used, generation)
        async with bounded():
            told = await self._draw(
                keys=[self._bucket(key), self._paused(key), self._began(key)],
                args=[*numbers, *wanted, *chain.from_iterable(returned)],
            )
        given_cancels, given_orders, cancels_ms, orders_ms, paused_ms, stamp, born = map(int, told)
        return RateShare(
            orders=given_orders,
            cancels=given_cancels,
            stamp=stamp,
            orders_wait_s=orders_ms / 1_000,
            cancels_wait_s=cancels_ms / 1_000,
            paused_s=paused_ms / 1_000,
            generation=born,
        )

    async def pause(self, key: str, seconds: float) -> None:
        """No orders for so many seconds; a longer pause stays. Raises Unavailable."""
        async with bounded():
            await self._pause(keys=[self._paused(key)], args=[max(1, ceil(seconds * 1_000))])

    def _bucket(self, key: str) -> str:
        return f"{self._prefix}:{key}"

    def _paused(self, key: str) -> str:
        return f"{self._prefix}-paused:{key}"

    def _began(self, key: str) -> str:
        return f"{self._prefix}-began:{key}"
