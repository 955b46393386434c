"""One market has one owner, and an epoch once passed never comes back."""

import asyncio

import pytest
from redis.asyncio import Redis

from desk.errors import Unavailable
from desk.identity import MarketId
from infra.redis.leases import RedisLeases
from tests.infra.redis.link import Link

pytestmark = pytest.mark.services

MARKET = MarketId("ocx", "main", "BTC-PERP")
OTHER = MarketId("ocx", "main", "ETH-PERP")
LONG = 60_000


@pytest.fixture
def leases(redis: Redis) -> RedisLeases:
    return RedisLeases(redis, fleet="test")


async def until_gone(redis: Redis) -> None:
    """Wait until Redis itself has expired the market's lease."""
    async with asyncio.timeout(5):
        while await redis.exists(f"flotilla:test:lease:{MARKET.path}"):
            await asyncio.sleep(0.005)


async def test_the_same_owner_and_epoch_may_ask_again(leases: RedisLeases) -> None:
    assert await leases.acquire(MARKET, 1, "a", LONG)
    assert await leases.acquire(MARKET, 1, "a", LONG)


async def test_the_highest_epoch_is_remembered_after_its_lease(leases: RedisLeases) -> None:
    assert await leases.fence(MARKET) == 0
    for epoch in (9, 10):
        assert await leases.acquire(MARKET, epoch, "a", LONG)
        assert await leases.release(MARKET, epoch, "a")
    assert not await leases.acquire(MARKET, 8, "b", LONG)
    assert await leases.fence(MARKET) == 10
    assert await leases.fence(OTHER) == 0


async def test_an_unexpired_lease_shuts_out_everybody(leases: RedisLeases) -> None:
    assert await leases.acquire(MARKET, 1, "a", LONG)
    assert not await leases.acquire(MARKET, 2, "b", LONG)
    assert not await leases.acquire(MARKET, 1, "b", LONG)
    assert await leases.acquire(OTHER, 1, "b", LONG)


async def test_of_many_who_ask_at_once_one_wins(leases: RedisLeases) -> None:
    answers = await asyncio.gather(
        *(leases.acquire(MARKET, epoch, f"owner {epoch}", LONG) for epoch in range(1, 41))
    )
    assert answers.count(True) == 1


async def test_an_older_epoch_neither_acquires_nor_renews(leases: RedisLeases) -> None:
    assert await leases.acquire(MARKET, 5, "a", LONG)
    assert await leases.release(MARKET, 5, "a")
    assert not await leases.acquire(MARKET, 4, "b", LONG)
    assert not await leases.acquire(MARKET, 5, "b", LONG)
    assert await leases.acquire(MARKET, 6, "b", LONG)
    assert not await leases.renew(MARKET, 5, "a", LONG)
    assert not await leases.release(MARKET, 5, "a")
    assert await leases.renew(MARKET, 6, "b", LONG)


async def test_epochs_compare_as_numbers(leases: RedisLeases) -> None:
    assert await leases.acquire(MARKET, 9, "a", LONG)
    assert await leases.release(MARKET, 9, "a")
    assert await leases.acquire(MARKET, 10, "a", LONG)


async def test_an_expired_lease_is_taken_by_a_higher_epoch_only(
    leases: RedisLeases, redis: Redis
) -> None:
    assert await leases.acquire(MARKET, 3, "a", 20)
    await until_gone(redis)
    assert not await leases.renew(MARKET, 3, "a", LONG)
    assert not await leases.acquire(MARKET, 3, "a", LONG)
    assert not await leases.acquire(MARKET, 2, "b", LONG)
    assert await leases.acquire(MARKET, 4, "b", LONG)


async def test_renewal_keeps_a_lease_alive(leases: RedisLeases, redis: Redis) -> None:
    assert await leases.acquire(MARKET, 1, "a", 5_000)
    assert await leases.renew(MARKET, 1, "a", LONG)
    assert await redis.pttl(f"flotilla:test:lease:{MARKET.path}") > 5_000
    assert not await leases.renew(MARKET, 1, "b", LONG)


async def test_release_is_told_from_expiry(leases: RedisLeases, redis: Redis) -> None:
    assert await leases.acquire(OTHER, 1, "a b", LONG)
    assert await leases.release(OTHER, 1, "a b")
    assert await leases.release(OTHER, 1, "a b"), "a repeated release says yes again"
    assert await leases.acquire(MARKET, 7, "a b", 20)
    await until_gone(redis)
    lost = await leases.expired()
    assert [(one.market, one.epoch, one.owner) for one in lost] == [(MARKET, 7, "a b")]
    assert await leases.expired(grace_ms=LONG) == ()


async def test_one_guardian_claims_and_settles(leases: RedisLeases, redis: Redis) -> None:
    await leases.acquire(MARKET, 7, "a", 20)
    await until_gone(redis)
    (lost,) = await leases.expired()
    assert await leases.claim(lost, "guardian 1", LONG)
    assert not await leases.claim(lost, "guardian 2", LONG)
    assert await leases.settle(lost)
    assert await leases.expired() == ()
    assert not await leases.settle(lost)
    assert not await leases.acquire(MARKET, 7, "a", LONG), "settling lowers no fence"


async def test_a_lease_taken_again_is_no_guardians_business(
    leases: RedisLeases, redis: Redis
) -> None:
    await leases.acquire(MARKET, 7, "a", 20)
    await until_gone(redis)
    (lost,) = await leases.expired()
    assert await leases.acquire(MARKET, 8, "b", LONG)
    assert not await leases.claim(lost, "guardian", LONG)
    assert not await leases.settle(lost)
    assert await leases.expired() == ()


async def test_an_emptied_redis_renews_nothing(leases: RedisLeases, redis: Redis) -> None:
    await leases.acquire(MARKET, 1, "a", LONG)
    await redis.flushdb()
    assert not await leases.renew(MARKET, 1, "a", LONG)


async def test_scripts_survive_a_server_that_forgot_them(leases: RedisLeases, redis: Redis) -> None:
    await leases.acquire(MARKET, 1, "a", LONG)
    await redis.script_flush()
    assert await leases.renew(MARKET, 1, "a", LONG)


@pytest.mark.parametrize("trouble", ["cut", "freeze"])
async def test_trouble_is_unavailable_soon_and_passes(
    linked: Redis, link: Link, trouble: str
) -> None:
    leases = RedisLeases(linked, fleet="test")
    assert await leases.acquire(MARKET, 1, "a", LONG)
    getattr(link, trouble)()
    async with asyncio.timeout(2):
        with pytest.raises(Unavailable):
            await leases.renew(MARKET, 1, "a", LONG)
    link.mend()
    link.thaw()
    assert await leases.renew(MARKET, 1, "a", LONG)


async def test_a_cancelled_call_leaves_no_stray_answer(linked: Redis, link: Link) -> None:
    leases = RedisLeases(linked, fleet="test")
    assert await leases.acquire(MARKET, 1, "a", LONG)
    link.freeze()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await leases.renew(MARKET, 1, "a", LONG)
    link.thaw()
    answers = [await leases.renew(OTHER, 1, "a", LONG) for _ in range(5)]
    assert answers == [False] * 5


async def test_an_account_is_shared_while_another_of_its_markets_is_held(
    leases: RedisLeases,
) -> None:
    elsewhere = MarketId("ocx", "second", "BTC-PERP")
    assert await leases.acquire(MARKET, 1, "a", LONG)
    assert await leases.acquire(elsewhere, 1, "a", LONG)
    assert not await leases.shared(MARKET)
    assert await leases.acquire(OTHER, 1, "b", 1)
    assert await leases.shared(MARKET), "held, or lost without being given up"
    await asyncio.sleep(0.05)
    assert await leases.shared(MARKET)
    assert await leases.acquire(OTHER, 2, "b", LONG)
    assert await leases.release(OTHER, 2, "b")
    assert not await leases.shared(MARKET)


async def test_holders_are_those_whose_lease_has_not_run_out(
    leases: RedisLeases, redis: Redis
) -> None:
    assert await leases.holders([]) == {}
    assert await leases.acquire(MARKET, 1, "a", 50)
    assert await leases.acquire(OTHER, 4, "b", LONG)
    await until_gone(redis)
    assert await leases.holders([MARKET, OTHER]) == {OTHER: "b"}
    assert await leases.release(OTHER, 4, "b")
    assert await leases.holders([MARKET, OTHER]) == {}
