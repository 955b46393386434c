"""Our own services taken away as they go in life: emptied, frozen for a while, killed.

Whatever is taken away comes back before the block ends, for other tests stand on it too.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio

from desk.units import NS_PER_MS
from tests.chaos.freezing import frozen
from tests.chaos.ground import Market


async def empty_redis(market: Market) -> int:
    """FLUSHALL; gives the wall time in milliseconds once it was done."""
    client = redis.asyncio.Redis.from_url(market.services.redis_url)
    try:
        await client.flushall()
    finally:
        await client.aclose()
    return now_ms()


async def dies(market: Market, name: str) -> None:
    """Kill -9, and wait until the supervision has brought it back."""
    await asyncio.to_thread(market.services.kill, name)


@asynccontextmanager
async def unreachable(market: Market, name: str) -> AsyncIterator[int]:
    """A service that answers nothing while the block runs; gives the time it began, unix ms."""
    with frozen(market.services.pid(name)):
        yield now_ms()


def now_ms() -> int:
    """Wall time as the simulated venues on this machine have it."""
    return time.time_ns() // NS_PER_MS
