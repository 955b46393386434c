"""What befalls a whole ground: processes killed, services emptied, frozen or killed.

Each strike says for how long nobody at all could have hedged: that time is not counted. Whatever
was taken away is back when it returns.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Final

import redis.asyncio

from flotilla.demo.children import Child
from tests.chaos.arbitrage_ground import Ground
from tests.chaos.arbitrage_plan import Strike
from tests.chaos.freezing import frozen
from tests.chaos.ground import kill

WORKERS: Final = 2
_USER_STREAM: Final = "/perps/stream/user"


async def strike(ground: Ground, what: Strike, for_s: float, rng: Random) -> None:
    """Strike now; services come back after `for_s`, workers as soon as they can."""
    match what:
        case Strike.NONE:
            return
        case Strike.WORKER:
            await one_dies(ground, rng.choice(ground.alive))
        case Strike.WORKERS:
            await all_die(ground)
        case Strike.FLUSHED:
            await flushed(ground)
        case Strike.FLUSHED_AND_WORKER:
            await flushed(ground)
            await one_dies(ground, rng.choice(ground.alive))
        case Strike.VALKEY | Strike.TEMPORAL:
            name = "valkey" if what is Strike.VALKEY else "temporal"
            await asyncio.to_thread(ground.services.kill, name)
        case Strike.TEMPORAL_AWAY:
            with frozen(ground.services.pid("temporal")):
                await asyncio.sleep(for_s)
        case Strike.TEMPORAL_AND_WORKER:
            async with excused(ground):
                with frozen(ground.services.pid("temporal")):
                    await kill(rng.choice(ground.alive))
                    await asyncio.sleep(for_s)
        case Strike.POSTGRES_AWAY:
            async with excused(ground):
                with frozen(ground.services.pid("postgres")):
                    await asyncio.sleep(for_s)
        case Strike.SILENT:
            await ground.arm({"kind": "silent_stream", "path": _USER_STREAM, "for_s": for_s})


async def manned(ground: Ground) -> None:
    """See that as many workers are there as there should be."""
    missing = WORKERS - len(ground.alive)
    await asyncio.gather(*(ground.worker() for _ in range(missing)))


async def one_dies(ground: Ground, child: Child) -> None:
    """The others take over: nothing is excused."""
    await kill(child)
    await manned(ground)


async def all_die(ground: Ground) -> None:
    """Until the first of the new ones polls there is nobody."""
    async with excused(ground):
        await asyncio.gather(*(kill(child) for child in ground.alive))
        await ground.worker()
    await manned(ground)


async def flushed(ground: Ground) -> int:
    """Empty Redis; the time it was done, unix nanoseconds."""
    client = redis.asyncio.Redis.from_url(ground.services.redis_url)
    try:
        await client.flushall()
    finally:
        await client.aclose()
    return time.time_ns()


@asynccontextmanager
async def excused(ground: Ground) -> AsyncIterator[None]:
    """Time in which nobody could have hedged."""
    began = time.time_ns()
    try:
        yield
    finally:
        ground.excused.append((began, time.time_ns()))
