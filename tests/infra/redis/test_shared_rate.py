"""Two processes with a stock each, over one real Redis, stay inside the venue's limit."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from desk.rate_ports import RateLaw
from desk.units import NS_PER_S
from infra.clock import SystemClock
from infra.redis.connection import open_redis
from infra.redis.rate_shares import RedisRateShares
from tests.infra.redis.link import Link
from tests.support.known_bucket import known_for_long
from venues._transport.rate_limit import RateBudget, RateNews, RequestKind
from venues._transport.shared_rate import SharedRate

pytestmark = pytest.mark.services

ORDER, CANCEL = RequestKind.ORDER, RequestKind.CANCEL
LONG = RateLaw(capacity=900, reserved=100, window_s=60.0)


def rate(redis: Redis, law: RateLaw = LONG) -> SharedRate:
    clock = SystemClock()
    return SharedRate(
        shares=RedisRateShares(redis, fleet="test"),
        key="ocx/main",
        law=law,
        local=RateBudget(
            clock=clock,
            capacity=law.capacity,
            reserved=law.reserved,
            window_s=law.window_s,
        ),
        clock=clock,
    )


@asynccontextmanager
async def running(*rates: SharedRate) -> AsyncIterator[None]:
    """Hold them until the block ends; each has its first tokens when it begins."""
    async with asyncio.TaskGroup() as tasks:
        held = [tasks.create_task(one.run()) for one in rates]
        for one in rates:
            await goes(one, ORDER)
        yield
        for task in held:
            task.cancel()


async def goes(one: SharedRate, kind: RequestKind) -> None:
    async with asyncio.timeout(10):
        while one.take(kind) > 0:
            await asyncio.sleep(0.01)


async def waits(one: SharedRate, at_least_s: float) -> float:
    """Use up the stock until an order is told to wait for so long."""
    async with asyncio.timeout(10):
        while (wait_s := one.take(ORDER)) < at_least_s:
            await asyncio.sleep(0.01)
    return wait_s


async def test_together_they_stay_inside_the_limit_in_any_window(redis_url: str) -> None:
    seed = random.randrange(1 << 30)
    law = RateLaw(capacity=30, reserved=6, window_s=0.8)
    clients = [open_redis(redis_url) for _ in range(2)]
    rates = [rate(client, law) for client in clients]
    sent: list[tuple[int, RequestKind]] = []

    async def use(one: SharedRate, choice: random.Random) -> None:
        while time.monotonic_ns() < ends_ns:
            for _ in range(choice.randrange(6)):
                kind = CANCEL if choice.random() < 0.2 else ORDER
                at_ns = time.monotonic_ns()
                if one.take(kind) == 0.0:
                    sent.append((at_ns, kind))
            await asyncio.sleep(choice.choice((0.0, 0.01, 0.05)))

    async with running(*rates):
        ends_ns = time.monotonic_ns() + 4 * NS_PER_S
        async with asyncio.TaskGroup() as tasks:
            for number, one in enumerate(rates):
                tasks.create_task(use(one, random.Random(seed + number)))
    for client in clients:
        await client.aclose()
    for first_ns, _ in sent:
        span = [kind for at_ns, kind in sent if first_ns <= at_ns < first_ns + 0.8 * NS_PER_S]
        assert len(span) <= law.capacity, f"seed {seed}"
        assert span.count(ORDER) <= law.capacity - law.reserved, f"seed {seed}"
    assert len(sent) > 2 * law.capacity, "the budget is there to be used"


@pytest.mark.parametrize("trouble", ["cut", "freeze"])
async def test_without_redis_cancels_go_at_once_and_orders_wait_until_it_is_back(
    linked: Redis, link: Link, trouble: str
) -> None:
    one = rate(linked)
    await known_for_long(linked, fleet="test", key="ocx/main")
    async with running(one):
        getattr(link, trouble)()
        assert await waits(one, 1.0) == 1.0
        assert [one.take(CANCEL) for _ in range(100)] == [0.0] * 100
        link.mend()
        link.thaw()
        await goes(one, ORDER)


async def test_a_429_heard_by_one_holds_the_others_orders(redis_url: str, redis: Redis) -> None:
    far = open_redis(redis_url)
    told, other = rate(redis), rate(far)
    await known_for_long(redis, fleet="test", key="ocx/main")
    async with running(told, other):
        told.heard(RateNews(retry_after_s=20.0, too_many=True))
        assert 15.0 < await waits(other, 5.0) <= 20.0
        assert (told.take(CANCEL), other.take(CANCEL)) == (0.0, 0.0)
    await far.aclose()


async def test_an_emptied_redis_lets_nobody_send_a_second_budget(
    redis_url: str, redis: Redis
) -> None:
    far = open_redis(redis_url)
    rates = rate(redis), rate(far)
    await known_for_long(redis, fleet="test", key="ocx/main")
    async with running(*rates):
        sent = len(rates)
        async with asyncio.timeout(20):
            while sent < 700:
                sent += sum(one.take(ORDER) == 0.0 for one in rates)
                await asyncio.sleep(0.001)
        await redis.flushdb()
        asked_ns = time.monotonic_ns()
        # Past the pause of a bucket that forgot, and some way into what it gives then.
        while time.monotonic_ns() - asked_ns < 6 * NS_PER_S:
            sent += sum(one.take(ORDER) == 0.0 for one in rates)
            await asyncio.sleep(0.005)
    await far.aclose()
    assert 700 <= sent <= LONG.capacity - LONG.reserved
