"""Two processes that quote one account share its budget; what one hears holds for the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from desk.orders import BatchOutcome, OutcomeKind
from desk.ports import Venue
from infra.redis.connection import open_redis
from infra.redis.rate_shares import RedisRateShares
from tests.infra.redis.link import Link
from tests.support.known_bucket import known_for_long
from tests.venues.ocx.scripted import INSTRUMENT, Answer, ladder, running, scripted_venue

pytestmark = pytest.mark.services

BULK, CANCEL = "/perps/quotes/bulk", "/perps/orders/cancel-all"
RATE = {"order_per_min": 20, "reserve_for_cancel": 4}


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = open_redis(redis_url)
    await known_for_long(client, fleet="test", key="ocx/main")
    yield client
    await client.aclose()


async def quoted(venue: Venue) -> BatchOutcome:
    """Send until the venue itself answered."""
    async with asyncio.timeout(10):
        while (outcome := await venue.execution.send(ladder(), INSTRUMENT)).answered_ns is None:
            await asyncio.sleep(0.01)
    return outcome


async def held_back(venue: Venue, at_least_s: float) -> float:
    """Send until ladders are held back for so long."""
    async with asyncio.timeout(10):
        while True:
            outcome = await venue.execution.send(ladder(), INSTRUMENT)
            if (outcome.retry_after_s or 0.0) >= at_least_s:
                assert outcome.orders[0].message.startswith("not sent")
                return outcome.retry_after_s or 0.0
            await asyncio.sleep(0.01)


async def test_together_two_processes_leave_headroom_and_the_cancels_share(redis: Redis) -> None:
    rates = RedisRateShares(redis, fleet="test")
    async with (
        scripted_venue() as scripted,
        running(scripted, rate=RATE, rates=rates) as one,
        running(scripted, rate=RATE, rates=rates) as other,
    ):
        await quoted(one)
        await held_back(one, 2.0)
        await held_back(other, 2.0)
        assert 10 <= len(scripted.seen[BULK]) <= 20 * 0.9 - 4
        assert (await one.execution.cancel(INSTRUMENT, "c1")).confirmed
        assert (await other.execution.cancel(INSTRUMENT, "c1")).confirmed


async def test_a_429_at_one_process_holds_the_others_ladders_and_no_cancel(redis: Redis) -> None:
    rates = RedisRateShares(redis, fleet="test")
    refusal = Answer(status=429, body=b'{"code":"ORDER_RATE_LIMIT","retryAfterMs":30000}')
    async with (
        scripted_venue() as scripted,
        running(scripted, rates=rates) as one,
        running(scripted, rates=rates) as other,
    ):
        await quoted(one)
        await quoted(other)
        scripted.say(BULK, refusal)
        assert (await quoted(one)).retry_after_s == 30.0
        scripted.say(BULK, Answer())
        assert 20.0 < await held_back(other, 5.0) <= 30.0
        assert (await one.execution.cancel(INSTRUMENT, "c1")).confirmed
        assert (await other.execution.cancel(INSTRUMENT, "c1")).confirmed


async def test_without_redis_ladders_wait_and_cancels_go(redis_url: str) -> None:
    port = int(redis_url.rpartition(":")[2].partition("/")[0])
    async with linked(redis_url, port) as (redis, link):
        rates = RedisRateShares(redis, fleet="test")
        async with scripted_venue() as scripted, running(scripted, rates=rates) as venue:
            assert {one.kind for one in (await quoted(venue)).orders} == {OutcomeKind.ACCEPTED}
            link.cut()
            assert await held_back(venue, 1.0) == 1.0
            for _ in range(20):
                assert (await venue.execution.cancel(INSTRUMENT, "c1")).confirmed
            assert (await venue.execution.cancel_all(None)).confirmed
            assert len(scripted.seen[CANCEL]) == 21
            link.mend()
            await quoted(venue)


@asynccontextmanager
async def linked(redis_url: str, port: int) -> AsyncIterator[tuple[Redis, Link]]:
    async with Link(port).running() as link:
        client = open_redis(redis_url.replace(f":{port}", f":{link.port}"), socket_timeout_s=0.2)
        try:
            yield client, link
        finally:
            await client.aclose()
