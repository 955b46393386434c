"""Requests of a claim come from the bucket everybody draws from, all of them or none."""

import asyncio
import random
import time

import pytest
from redis.asyncio import Redis

from desk.arbitrage_ports import ClaimGranted, ClaimRefusal, ClaimRefused
from desk.rate_ports import RateLaw
from desk.units import NS_PER_S
from infra.redis.arbitrage_claims import RedisArbitrageClaims
from infra.redis.connection import open_redis
from infra.redis.rate_shares import RedisRateShares
from tests.infra.redis.arbitrage_claims import (
    FLEET,
    arm,
    claim,
    claims_over,
    held,
    kept,
    requests,
    size,
)

pytestmark = pytest.mark.services

LAW = RateLaw(capacity=10, reserved=3, window_s=60.0)
OCX, FAR = "ocx/main", "x10/one-address"


@pytest.fixture
async def claims(redis: Redis) -> RedisArbitrageClaims:
    await arm(redis)
    return claims_over(redis)


@pytest.fixture
async def shares(redis: Redis) -> RedisRateShares:
    shares = RedisRateShares(redis, fleet=FLEET)
    for bucket in (OCX, FAR):
        await shares.draw(bucket, LAW, orders=0, cancels=0)
    return shares


def short(answer: ClaimGranted | ClaimRefused) -> str:
    assert isinstance(answer, ClaimRefused)
    assert answer.reason is ClaimRefusal.REQUESTS
    return answer.text


async def test_what_a_claim_drew_nobody_else_draws(
    claims: RedisArbitrageClaims, shares: RedisRateShares
) -> None:
    granted = await claims.claim(claim(requests=(requests(3), requests(2))))
    assert isinstance(granted, ClaimGranted)
    (drawn,) = granted.requests
    assert (drawn.bucket, drawn.count) == (OCX, 5)
    share = await shares.draw(OCX, LAW, orders=9, cancels=0, generation=drawn.generation)
    assert (share.orders, share.generation) == (2, drawn.generation)
    cancels = await shares.draw(OCX, LAW, orders=0, cancels=9, generation=drawn.generation)
    assert cancels.cancels == 3, "the cancels' reserve is not for claims"


async def test_tokens_given_back_by_their_stamp_are_there_again(
    claims: RedisArbitrageClaims, shares: RedisRateShares
) -> None:
    granted = await claims.claim(claim(requests=(requests(7),)))
    assert isinstance(granted, ClaimGranted)
    (drawn,) = granted.requests
    assert await claims.release(claim().key)
    generation = drawn.generation
    share = await shares.draw(OCX, LAW, orders=9, cancels=0, generation=generation)
    assert share.orders == 0, "a release gives none back"
    share = await shares.draw(
        OCX, LAW, orders=9, cancels=0, generation=generation, returned=[(drawn.stamp, 4)]
    )
    assert share.orders == 4


async def test_all_buckets_give_or_none_and_then_nothing_else_is_taken(
    claims: RedisArbitrageClaims, shares: RedisRateShares, redis: Redis
) -> None:
    before = await kept(redis)
    text = short(await claims.claim(claim(requests=(requests(7), requests(8, FAR)))))
    assert text == "x10/one-address: 8 requests do not fit in the 7 its rate budget has to give"
    assert await kept(redis) == before
    assert (await shares.draw(OCX, LAW, orders=9, cancels=0)).orders == 7
    text = short(await claims.claim(claim(requests=(requests(1), requests(1, FAR)))))
    assert text.startswith("ocx/main: 1 requests do not fit in the 0")
    both = await claims.claim(claim(requests=(requests(7, FAR),)))
    assert isinstance(both, ClaimGranted)


async def test_a_bucket_without_a_law_or_that_is_closed_gives_nothing(
    claims: RedisArbitrageClaims, shares: RedisRateShares
) -> None:
    text = short(await claims.claim(claim(requests=(requests(1, "zo/main"),))))
    assert text == "zo/main: its rate budget is not known, for no process draws from it yet"
    careful = RateLaw(capacity=10, reserved=2, window_s=60.0, settle_s=30.0)
    await shares.draw("zo/main", careful, orders=0, cancels=0)
    text = short(await claims.claim(claim(requests=(requests(1, "zo/main"),))))
    assert "gives no orders for another" in text
    await shares.pause(OCX, 20.0)
    assert "no orders for another" in short(await claims.claim(claim(requests=(requests(1),))))
    assert isinstance(await claims.claim(claim(requests=(requests(0),))), ClaimGranted)


async def test_a_young_bucket_keeps_back_what_the_silent_may_have_used(
    claims: RedisArbitrageClaims, redis: Redis
) -> None:
    careful = RateLaw(capacity=20, reserved=4, window_s=60.0, settle_s=0.02)
    shares = RedisRateShares(redis, fleet=FLEET)
    await shares.draw(OCX, careful, orders=0, cancels=0)
    await asyncio.sleep(0.05)
    assert "do not fit in the 8" in short(await claims.claim(claim(requests=(requests(9),))))
    assert isinstance(await claims.claim(claim(requests=(requests(8),))), ClaimGranted)


async def test_tokens_of_a_dead_worker_come_back_with_the_window_and_not_before(
    claims: RedisArbitrageClaims, redis: Redis
) -> None:
    law = RateLaw(capacity=10, reserved=3, window_s=0.6)
    await RedisRateShares(redis, fleet=FLEET).draw(OCX, law, orders=0, cancels=0)
    dead = claim(requests=(requests(7),), ttl_ms=20)
    assert isinstance(await claims.claim(dead), ClaimGranted)
    await asyncio.sleep(0.3)
    short(await claims.claim(claim("snow", requests=(requests(1),))))
    await asyncio.sleep(0.4)
    assert isinstance(await claims.claim(claim("snow", requests=(requests(7),))), ClaimGranted)


async def test_claims_and_shares_together_stay_inside_the_limit_in_any_window(
    claims: RedisArbitrageClaims, redis_url: str
) -> None:
    seed = random.randrange(1 << 30)
    law = RateLaw(capacity=24, reserved=4, window_s=0.4)
    drawn: list[tuple[int, int, int]] = []
    ends_ns = time.monotonic_ns() + 2 * NS_PER_S

    async def draw(number: int) -> None:
        choice, redis = random.Random(seed + number), open_redis(redis_url)
        shares, ours, trade = RedisRateShares(redis, fleet=FLEET), claims_over(redis), 0
        name = ("rain", "snow")[number % 2]
        while time.monotonic_ns() < ends_ns:
            asked_ns, count = time.monotonic_ns(), choice.randrange(1, 9)
            if number < 2:
                share = await shares.draw(OCX, law, orders=count, cancels=choice.randrange(3))
                got = share.orders + share.cancels
            else:
                trade += 1
                one = claim(
                    name,
                    trade=trade,
                    sizes=(size(1, 1_000),),
                    capital=(held(1),),
                    requests=(requests(count),),
                )
                answer = await ours.claim(one)
                got = count if isinstance(answer, ClaimGranted) else 0
                await ours.release(one.key)
            drawn.append((asked_ns, time.monotonic_ns(), got))
            await asyncio.sleep(choice.choice((0.0, 0.003, 0.02)))
        await redis.aclose()

    async with asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(draw(number))
    span_ns = int(law.window_s * NS_PER_S)
    for first_ns, _, _ in drawn:
        inside = [
            n for asked, heard, n in drawn if first_ns <= asked and heard < first_ns + span_ns
        ]
        assert sum(inside) <= law.capacity, f"seed {seed}"
    assert sum(tokens for _, _, tokens in drawn) > 3 * law.capacity, "the bucket does refill"
