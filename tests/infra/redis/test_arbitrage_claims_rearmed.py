"""Whatever Redis forgets, nothing is granted before the record and the living have spoken."""

import pytest
from redis.asyncio import Redis

from desk.arbitrage_ports import ClaimGranted, ClaimRefusal, ClaimRefused, ClaimStage
from desk.arbitrage_records import ClaimRecord, HeldCapital, LockedTrade, TradeKey
from infra.redis.arbitrage_claims import RedisArbitrageClaims
from infra.redis.connection import open_redis
from infra.redis.kill_board import RedisKillBoard
from tests.infra.redis.arbitrage_claims import (
    CAPS,
    FLEET,
    arm,
    cap,
    claim,
    claims_over,
    held,
    kept,
    let_settle,
    size,
)
from tests.support.services import Services

pytestmark = pytest.mark.services

FIRST = TradeKey("rain", 3, 1)


@pytest.fixture
def claims(redis: Redis) -> RedisArbitrageClaims:
    return claims_over(redis)


def locked(*capital: HeldCapital, key: TradeKey = FIRST, under_way: bool = False) -> LockedTrade:
    return LockedTrade(key=key, owner="worker a", under_way=under_way, capital=capital)


def not_armed(answer: ClaimGranted | ClaimRefused) -> str:
    assert isinstance(answer, ClaimRefused)
    assert answer.reason is ClaimRefusal.NOT_ARMED
    return answer.text


async def rearm(claims: RedisArbitrageClaims, record: ClaimRecord) -> None:
    assert await claims.rearm(record, CAPS, await claims.memory())


async def test_a_server_that_was_never_armed_grants_nothing(
    claims: RedisArbitrageClaims, redis: Redis
) -> None:
    await RedisKillBoard(redis, fleet=FLEET).rearm([])
    assert not await claims.armed()
    text = not_armed(await claims.claim(claim()))
    assert text == "claims are not armed; re-arm them from the ledger"


async def test_for_as_long_as_a_claim_may_live_a_newly_armed_server_grants_nothing(
    claims: RedisArbitrageClaims, redis: Redis
) -> None:
    await RedisKillBoard(redis, fleet=FLEET).rearm([])
    await rearm(claims, ClaimRecord())
    assert await claims.armed()
    assert "grant nothing for another" in not_armed(await claims.claim(claim()))
    await let_settle(redis)
    await rearm(claims, ClaimRecord())
    assert isinstance(await claims.claim(claim()), ClaimGranted), "arming again begins nothing anew"


async def test_an_emptied_server_takes_over_what_the_record_holds(
    claims: RedisArbitrageClaims, redis: Redis
) -> None:
    await arm(redis)
    await redis.flushdb()
    assert not await claims.armed()
    not_armed(await claims.claim(claim()))
    under_way = locked(held(100), key=TradeKey("snow", 2, 8), under_way=True)
    await arm(redis, ClaimRecord(trades=(locked(held(900)), under_way), epochs=(("rain", 5),)))
    short = await claims.claim(claim("wind", capital=(held(1),)))
    assert isinstance(short, ClaimRefused)
    assert short.reason is ClaimRefusal.CAPITAL
    for one, reason in (
        (claim("rain", epoch=4), ClaimRefusal.FENCED),
        (claim("snow", epoch=2, trade=8), ClaimRefusal.FENCED),
        (claim("snow", epoch=2, trade=9), ClaimRefusal.OPEN_TRADE),
    ):
        answer = await claims.claim(one)
        assert isinstance(answer, ClaimRefused)
        assert answer.reason is reason
    assert [one.stage for one in await claims.open()] == [ClaimStage.HELD, ClaimStage.LAPSED]


async def test_a_living_trade_that_was_forgotten_holds_its_capital_again(
    claims: RedisArbitrageClaims, redis: Redis
) -> None:
    await arm(redis)
    fired = claim(sizes=(size(10, 10),), capital=(held(600),))
    assert isinstance(await claims.claim(fired), ClaimGranted)
    await redis.flushdb()
    assert not await claims.keep(fired), "its sizes are gone"
    await arm(redis)
    (one,) = await claims.open()
    assert (one.key, one.stage, one.capital) == (fired.key, ClaimStage.LAPSED, fired.capital)
    assert isinstance(
        await claims.claim(claim("snow", sizes=(size(10, 10),), capital=(held(400),))),
        ClaimGranted,
    )
    late = await claims.claim(claim(trade=2))
    assert isinstance(late, ClaimRefused)
    assert late.reason is ClaimRefusal.OPEN_TRADE
    assert await claims.settle(fired.key, "worker a", [])


async def test_what_is_settled_while_it_was_forgotten_is_held_all_the_same(
    claims: RedisArbitrageClaims, redis: Redis
) -> None:
    assert await claims.settle(FIRST, "worker a", [held(50)])
    await arm(redis)
    (one,) = await claims.open()
    assert (one.stage, one.capital) == (ClaimStage.HELD, (held(50),))


async def test_a_trade_taken_over_under_way_is_settled_with_all_it_held(
    claims: RedisArbitrageClaims, redis: Redis
) -> None:
    await arm(redis, ClaimRecord(trades=(locked(held(100), under_way=True),)))
    assert await claims.settle(FIRST, "worker a", [held(100)])
    (one,) = await claims.open()
    assert one.stage is ClaimStage.HELD
    assert isinstance(await claims.claim(claim(epoch=3, trade=2)), ClaimGranted)


async def test_a_record_read_before_the_server_forgot_arms_nothing(
    claims: RedisArbitrageClaims, redis: Redis
) -> None:
    memory = await claims.memory()
    assert await claims.memory() == memory
    await redis.flushdb()
    assert not await claims.rearm(ClaimRecord(), CAPS, memory)
    assert not await claims.armed()
    assert await claims.memory() != memory


async def test_an_older_record_brings_back_nothing_that_was_given_up(
    claims: RedisArbitrageClaims, redis: Redis
) -> None:
    await arm(redis)
    for trade in (1, 2):
        one = claim(epoch=3, trade=trade, capital=(held(10),))
        assert isinstance(await claims.claim(one), ClaimGranted)
        old = locked(held(10), key=one.key, under_way=True)
        if trade == 1:
            assert await claims.release(one.key)
        else:
            assert await claims.settle(one.key, "worker a", [held(4)])
        await rearm(claims, ClaimRecord(trades=(old,)))
    (left,) = await claims.open()
    assert (left.key, left.stage, left.capital) == (
        TradeKey("rain", 3, 2),
        ClaimStage.HELD,
        (held(4),),
    )


async def test_a_record_that_is_further_frees_what_nobody_came_to_free(
    claims: RedisArbitrageClaims, redis: Redis
) -> None:
    await arm(redis)
    for name in ("rain", "snow"):
        one = claim(name, epoch=3, sizes=(size(5, 10),))
        assert isinstance(await claims.claim(one), ClaimGranted)
    record = ClaimRecord(trades=(locked(held(40)), locked(key=TradeKey("snow", 3, 1))))
    for _ in range(2):
        await rearm(claims, record)
        (left,) = await claims.open()
        assert (left.stage, left.capital) == (ClaimStage.HELD, (held(40),))
    assert isinstance(
        await claims.claim(claim(epoch=3, trade=2, sizes=(size(10, 10),))), ClaimGranted
    )


async def test_arming_keeps_claims_that_the_record_does_not_know(
    claims: RedisArbitrageClaims, redis: Redis
) -> None:
    await arm(redis)
    assert isinstance(await claims.claim(claim()), ClaimGranted)
    before = await kept(redis)
    await rearm(claims, ClaimRecord())
    assert await kept(redis) == before


async def test_caps_replace_all_earlier_ones(claims: RedisArbitrageClaims, redis: Redis) -> None:
    await arm(redis)
    await arm(redis, caps=[cap("fleet", 50), cap("account:ocx/main", 50)])
    answer = await claims.claim(claim(capital=(held(10),)))
    assert isinstance(answer, ClaimRefused)
    assert answer.text.startswith("set:rain: no cap in USDC")


async def test_a_server_that_started_again_grants_nothing_though_it_forgot_nothing(
    services: Services, redis_url: str
) -> None:
    before = open_redis(redis_url)
    await arm(before)
    claims = claims_over(before)
    memory = await claims.memory()
    assert isinstance(await claims.claim(claim(capital=(held(600),))), ClaimGranted)
    await before.aclose()
    services.restart("valkey")
    after = open_redis(redis_url)
    claims = claims_over(after)
    assert not await claims.armed()
    not_armed(await claims.claim(claim("snow")))
    assert not await claims.rearm(ClaimRecord(), CAPS, memory)
    await arm(after)
    answer = await claims.claim(claim("snow", sizes=(size(1),), capital=(held(401),)))
    assert isinstance(answer, ClaimRefused)
    assert "600 held, most by rain" in answer.text
    await after.aclose()
