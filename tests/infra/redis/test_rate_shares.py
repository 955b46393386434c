"""A bucket never gives more than its capacity in any span of a window, whoever draws."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis

from desk.errors import Unavailable
from desk.rate_ports import RateLaw, RateShare, RateShares
from desk.units import NS_PER_S
from infra.redis.connection import open_redis
from infra.redis.rate_shares import RedisRateShares
from tests.infra.redis.link import Link
from tests.support.rate_model import HandClock, ModelShares

pytestmark = pytest.mark.services

KEY = "ocx/main"
LAW = RateLaw(capacity=10, reserved=3, window_s=0.5)
LONG = RateLaw(capacity=10, reserved=3, window_s=60.0)
CAREFUL = RateLaw(capacity=40, reserved=8, window_s=1.5, settle_s=0.3)


@dataclass(slots=True, kw_only=True)
class Ground:
    """A bucket, drawn from by one who remembers its generation."""

    shares: RateShares
    let_pass: Callable[[float], Awaitable[None]]
    forget: Callable[[], Awaitable[object]]
    generation: int = 0

    async def draw(
        self, orders: int = 0, cancels: int = 0, law: RateLaw = LONG, **more: object
    ) -> RateShare:
        told = {"generation": self.generation, **more}
        share = await self.shares.draw(KEY, law, orders=orders, cancels=cancels, **told)  # type: ignore[arg-type]
        self.generation = share.generation
        return share


@pytest.fixture(params=["redis", "model"])
async def ground(request: pytest.FixtureRequest, redis: Redis) -> Ground:
    if request.param == "redis":
        return Ground(
            shares=RedisRateShares(redis, fleet="test"),
            let_pass=asyncio.sleep,
            forget=redis.flushdb,
        )
    clock = HandClock()
    shares = ModelShares(clock)

    async def forward(seconds: float) -> None:
        clock.forward(seconds)

    async def forget() -> None:
        shares.forget()

    return Ground(shares=shares, let_pass=forward, forget=forget)


async def test_orders_leave_the_reserve_and_cancels_empty_it(ground: Ground) -> None:
    first = await ground.draw(orders=20)
    assert (first.orders, first.cancels) == (7, 0)
    assert 58.0 < first.orders_wait_s <= 62.0
    second = await ground.draw(orders=1, cancels=5)
    assert (second.orders, second.cancels) == (0, 3)
    assert 58.0 < second.cancels_wait_s <= 62.0
    third = await ground.draw(orders=1, cancels=1)
    assert (third.orders, third.cancels) == (0, 0)


async def test_cancels_come_before_orders(ground: Ground) -> None:
    share = await ground.draw(orders=7, cancels=2)
    assert (share.orders, share.cancels) == (5, 2)
    assert share.cancels_wait_s == 0.0
    assert share.orders_wait_s > 0


async def test_a_token_comes_back_one_window_after_it_was_drawn(ground: Ground) -> None:
    await ground.draw(orders=7, law=LAW)
    await ground.draw(cancels=3, law=LAW)
    await ground.let_pass(0.3)
    assert (await ground.draw(orders=1, cancels=1, law=LAW)).cancels == 0
    await ground.let_pass(0.3)
    again = await ground.draw(orders=9, cancels=9, law=LAW)
    assert (again.orders, again.cancels) == (0, 9)


async def test_unused_tokens_given_back_can_be_drawn_again(ground: Ground) -> None:
    first = await ground.draw(orders=7)
    swapped = await ground.draw(orders=5, returned=[(first.stamp, 4)])
    assert swapped.orders == 4
    assert (await ground.draw(cancels=9)).cancels == 3


async def test_more_given_back_than_drawn_makes_no_tokens(ground: Ground) -> None:
    first = await ground.draw(orders=2)
    share = await ground.draw(
        orders=20, cancels=20, returned=[(first.stamp, 50), (first.stamp - 999_999, 5)]
    )
    assert share.orders + share.cancels == 10


async def test_what_was_spent_without_asking_counts(ground: Ground) -> None:
    share = await ground.draw(orders=5, spent=6)
    assert share.orders == 1
    overdrawn = await ground.draw(cancels=5, spent=9)
    assert overdrawn.cancels == 0


async def test_a_pause_stops_orders_and_no_cancel(ground: Ground) -> None:
    await ground.shares.pause(KEY, 0.3)
    await ground.shares.pause(KEY, 0.1)
    share = await ground.draw(orders=2, cancels=2)
    assert (share.orders, share.cancels) == (0, 2)
    assert 0.1 < share.paused_s <= 0.3
    assert share.orders_wait_s >= 0.1
    await ground.let_pass(0.35)
    share = await ground.draw(orders=2)
    assert (share.orders, share.paused_s) == (2, 0.0)


async def test_a_generation_lasts_until_the_bucket_forgets(ground: Ground) -> None:
    first = (await ground.draw(orders=1)).generation
    assert first > 0
    assert (await ground.draw(orders=1)).generation == first
    await ground.forget()
    second = (await ground.draw(orders=1)).generation
    assert second not in {0, first}
    assert (await ground.draw()).generation == second


async def test_what_was_used_before_counts_once_the_bucket_forgot(ground: Ground) -> None:
    before = await ground.draw(orders=4)
    assert (await ground.draw(orders=1, used=5)).orders == 1, "it knows of them already"
    await ground.forget()
    share = await ground.draw(
        orders=9, spent=2, used=5, returned=[(before.stamp, 3)], generation=before.generation
    )
    assert share.orders == 2, "of seven; what was spent is among the five used"
    assert (await ground.draw(orders=9, used=7)).orders == 0
    assert (await ground.draw(cancels=9)).cancels == 3


async def test_nothing_is_given_back_to_a_bucket_that_forgot(ground: Ground) -> None:
    before = await ground.draw(orders=7)
    await ground.forget()
    other = await ground.shares.draw(KEY, LONG, orders=7, cancels=0)
    given_back = [(before.stamp, 7), (other.stamp, 7)]
    share = await ground.draw(orders=9, returned=given_back, generation=before.generation)
    assert share.orders == 0


async def test_a_bucket_that_forgot_hears_all_before_it_gives_an_order(ground: Ground) -> None:
    await ground.forget()
    share = await ground.draw(orders=9, cancels=2, law=CAREFUL, used=12)
    assert (share.orders, share.cancels) == (0, 2), "cancels do not wait"
    assert 0.2 < share.orders_wait_s <= 2.0
    late = await ground.shares.draw(KEY, CAREFUL, orders=9, cancels=0, used=15)
    assert late.orders == 0
    await ground.let_pass(0.35)
    assert (await ground.draw(orders=40, law=CAREFUL)).orders == 40 - 8 - 12 - 2 - 15


async def test_a_bucket_that_forgot_takes_half_for_used_by_the_silent(ground: Ground) -> None:
    await ground.forget()
    await ground.draw(law=CAREFUL, used=5)
    await ground.let_pass(0.35)
    share = await ground.draw(orders=40, law=CAREFUL)
    assert share.orders == (40 - 8) // 2
    assert 0.1 < share.orders_wait_s <= 1.6
    assert (await ground.draw(orders=1, cancels=99, law=CAREFUL)).cancels == 40 - 5 - 16
    await ground.let_pass(2 * CAREFUL.window_s)
    assert (await ground.draw(orders=40, law=CAREFUL)).orders == 32


async def test_keys_and_fleets_have_their_own_buckets(redis: Redis) -> None:
    for fleet in ("test", "other"):
        shares = RedisRateShares(redis, fleet=fleet)
        for key in ("ocx/main", "ocx/desk2"):
            assert (await shares.draw(key, LONG, orders=20, cancels=0)).orders == 7


async def test_a_bucket_leaves_nothing_behind_but_since_when_it_knows(redis: Redis) -> None:
    shares = RedisRateShares(redis, fleet="test")
    await shares.draw(KEY, LAW, orders=3, cancels=1)
    await shares.pause(KEY, 0.2)
    generation = (await shares.draw(KEY, LAW, orders=0, cancels=0)).generation
    assert len(await redis.keys("*")) == 3
    async with asyncio.timeout(5):
        while len(await redis.keys("*")) > 1:
            await asyncio.sleep(0.02)
    assert (await shares.draw(KEY, LAW, orders=0, cancels=0)).generation == generation


async def test_no_span_of_a_window_sees_more_than_the_capacity(redis_url: str) -> None:
    seed = random.randrange(1 << 30)
    law = RateLaw(capacity=40, reserved=8, window_s=0.3)
    drawn: list[tuple[int, int, int]] = []
    ends_ns = time.monotonic_ns() + 2 * NS_PER_S

    async def one_process(number: int) -> None:
        choice = random.Random(seed + number)
        redis = open_redis(redis_url)
        shares = RedisRateShares(redis, fleet="test")
        while time.monotonic_ns() < ends_ns:
            orders, cancels = choice.randrange(8), choice.randrange(4)
            asked_ns = time.monotonic_ns()
            share = await shares.draw(KEY, law, orders=orders, cancels=cancels)
            drawn.append((asked_ns, time.monotonic_ns(), share.orders + share.cancels))
            await asyncio.sleep(choice.choice((0.0, 0.003, 0.02)))
        await redis.aclose()

    async with asyncio.TaskGroup() as tasks:
        for number in range(3):
            tasks.create_task(one_process(number))
    # Each draw happened between asking and answer: these certainly lie in one span of a window.
    span_ns = int(law.window_s * NS_PER_S)
    for first_ns, _, _ in drawn:
        inside = [
            n for asked, heard, n in drawn if first_ns <= asked and heard < first_ns + span_ns
        ]
        assert sum(inside) <= law.capacity, f"seed {seed}"
    assert sum(tokens for _, _, tokens in drawn) > 4 * law.capacity, "the bucket does refill"


async def test_out_of_reach_is_unavailable(linked: Redis, link: Link) -> None:
    shares = RedisRateShares(linked, fleet="test")
    link.cut()
    with pytest.raises(Unavailable):
        await shares.draw(KEY, LONG, orders=1, cancels=1)
    with pytest.raises(Unavailable):
        await shares.pause(KEY, 1.0)
