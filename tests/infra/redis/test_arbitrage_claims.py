"""A size, a unit of capital and a request are one trade's or nobody's."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from redis.asyncio import Redis

from desk.arbitrage_ports import ClaimGranted, ClaimRefusal, ClaimRefused, ClaimStage
from desk.arbitrage_records import TradeKey
from desk.errors import Unavailable
from desk.identity import MarketId
from desk.records import Kill, KillEffect, kill_scopes
from desk.units import Side
from infra.redis.arbitrage_claims import RedisArbitrageClaims
from infra.redis.connection import open_redis
from infra.redis.kill_board import RedisKillBoard
from tests.infra.redis.arbitrage_claims import (
    CAPS,
    FAR,
    FLEET,
    LONG_MS,
    MARKET,
    OTHER,
    arm,
    cap,
    claim,
    claims_over,
    held,
    kept,
    let_lapse,
    size,
)
from tests.infra.redis.link import Link

pytestmark = pytest.mark.services


@pytest.fixture
async def claims(redis: Redis) -> RedisArbitrageClaims:
    await arm(redis)
    return claims_over(redis)


def refusal(answer: ClaimGranted | ClaimRefused, reason: ClaimRefusal) -> str:
    """The sentence of a refusal for this reason."""
    assert isinstance(answer, ClaimRefused)
    assert answer.reason is reason
    return answer.text


async def test_what_one_set_claimed_is_not_there_for_another(claims: RedisArbitrageClaims) -> None:
    assert await claims.claim(claim(sizes=(size(7, 10),))) == ClaimGranted(requests=())
    text = refusal(await claims.claim(claim("snow", sizes=(size(4, 10),))), ClaimRefusal.SIZE)
    assert text == "ocx/main/YES: 4 lots to buy do not fit in the 10 shown, 7 claimed by rain"
    assert isinstance(await claims.claim(claim("snow", sizes=(size(3, 10),))), ClaimGranted)


async def test_a_size_is_of_a_venue_whatever_the_account_and_of_one_side(
    claims: RedisArbitrageClaims, redis: Redis
) -> None:
    await arm(redis, caps=[*CAPS, cap("account:ocx/spare", 1_000)])
    spare = MarketId("ocx", "spare", MARKET.symbol)
    assert isinstance(await claims.claim(claim(sizes=(size(10, 10),))), ClaimGranted)
    there = claim("snow", sizes=(size(1, 10, market=spare),), capital=(held(at=spare),))
    refusal(await claims.claim(there), ClaimRefusal.SIZE)
    for name, other in (
        ("snow", size(10, 10, side=Side.SELL)),
        ("wind", size(10, 10, market=OTHER)),
        ("hail", size(10, 10, market=FAR)),
    ):
        assert isinstance(await claims.claim(claim(name, sizes=(other,))), ClaimGranted)


async def test_legs_of_one_claim_in_the_same_market_add_up(claims: RedisArbitrageClaims) -> None:
    text = refusal(await claims.claim(claim(sizes=(size(6, 10), size(5, 10)))), ClaimRefusal.SIZE)
    assert text.endswith("none of them claimed, 6 by legs before it")
    assert isinstance(await claims.claim(claim(sizes=(size(6, 11), size(5, 11)))), ClaimGranted)
    refusal(await claims.claim(claim("snow", sizes=(size(1, 11),))), ClaimRefusal.SIZE)


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        (
            claim(capital=(held(600),)),
            claim("snow", sizes=(size(market=OTHER),), capital=(held("400.000001"),)),
            (
                "account:ocx/main: 400.000001 USDC do not fit in the cap of 1000, "
                "600 held, most by rain"
            ),
        ),
        (
            claim(capital=(held(500), held(100, at=FAR))),
            claim("snow", sizes=(size(market=OTHER),), capital=(held(401), held(500, at=FAR))),
            "fleet: 901 USDC do not fit in the cap of 1500, 600 held, most by rain",
        ),
        (
            claim(),
            claim("snow", capital=(held(301), held(300, at=FAR))),
            "set:snow: 601 USDC do not fit in the cap of 600, 0 held",
        ),
        (
            claim(),
            claim("ice"),
            "set:ice: no cap in USDC is set, so nothing is granted; set one",
        ),
        (
            claim(),
            claim("snow", capital=(held(1), held(1, quote="BTC"))),
            "account:ocx/main: no cap in BTC is set, so nothing is granted; set one",
        ),
    ],
)
async def test_capital_stays_within_every_cap(
    claims: RedisArbitrageClaims, first: object, second: object, sentence: str
) -> None:
    assert isinstance(await claims.claim(first), ClaimGranted)  # type: ignore[arg-type]
    assert refusal(await claims.claim(second), ClaimRefusal.CAPITAL) == sentence  # type: ignore[arg-type]


async def test_capital_of_a_set_counts_while_its_payout_is_awaited(
    claims: RedisArbitrageClaims,
) -> None:
    assert isinstance(await claims.claim(claim(capital=(held(600),))), ClaimGranted)
    assert await claims.settle(TradeKey("rain", 1, 1), "worker a", [held("599.5")])
    text = refusal(await claims.claim(claim(trade=2, capital=(held(1),))), ClaimRefusal.CAPITAL)
    assert text == "set:rain: 1 USDC do not fit in the cap of 600, 599.5 held"
    assert isinstance(await claims.claim(claim(trade=3, capital=(held("0.5"),))), ClaimGranted)


async def test_rounding_never_lets_more_through(claims: RedisArbitrageClaims, redis: Redis) -> None:
    await arm(redis, caps=[*CAPS, cap("fleet", "1.0000019")])
    third = (held("0.3333333"),)
    for name in ("rain", "snow"):
        granted = await claims.claim(claim(name, sizes=(size(1, 9),), capital=third))
        assert isinstance(granted, ClaimGranted)
    last = await claims.claim(claim("wind", sizes=(size(1, 9),), capital=third))
    assert "cap of 1.000001, 0.666668 held" in refusal(last, ClaimRefusal.CAPITAL)


async def test_a_refused_claim_takes_nothing(claims: RedisArbitrageClaims, redis: Redis) -> None:
    await claims.claim(claim(sizes=(size(9, 10),)))
    before = await kept(redis)
    for short in (
        claim("snow", sizes=(size(1, 10, market=OTHER), size(2, 10))),
        claim("snow", sizes=(size(1, 10),), capital=(held(1), held(5_000, at=FAR))),
        claim("rain", trade=2, sizes=(size(1, 10),)),
    ):
        assert isinstance(await claims.claim(short), ClaimRefused)
        assert await kept(redis) == before


async def test_one_trade_of_a_set_at_once_and_each_number_once(
    claims: RedisArbitrageClaims,
) -> None:
    first = claim(sizes=(size(1),))
    assert isinstance(await claims.claim(first), ClaimGranted)
    text = refusal(await claims.claim(claim(trade=2, sizes=(size(1),))), ClaimRefusal.OPEN_TRADE)
    assert text == "trade 1/1 of rain by worker a is not settled; one trade of a set at once"
    refusal(await claims.claim(first), ClaimRefusal.FENCED)
    assert await claims.release(first.key)
    assert not await claims.release(first.key)
    refusal(await claims.claim(first), ClaimRefusal.FENCED)
    assert isinstance(await claims.claim(replace(first, key=TradeKey("rain", 1, 2))), ClaimGranted)


async def test_a_claim_that_comes_after_its_release_is_refused(
    claims: RedisArbitrageClaims,
) -> None:
    late = claim(trade=4)
    assert not await claims.release(late.key), "nobody can say whether it ever came"
    refusal(await claims.claim(late), ClaimRefusal.FENCED)


async def test_a_higher_epoch_shuts_lower_ones_out_even_when_it_was_refused(
    claims: RedisArbitrageClaims,
) -> None:
    old = claim(epoch=9)
    assert isinstance(await claims.claim(old), ClaimGranted)
    assert await claims.keep(old)
    refusal(await claims.claim(claim(epoch=10)), ClaimRefusal.OPEN_TRADE)
    assert not await claims.keep(old)
    assert await claims.release(old.key)
    text = refusal(await claims.claim(claim(epoch=9, trade=2)), ClaimRefusal.FENCED)
    assert text == "trade 9/2 of rain is not above epoch 10, trade 0, seen before"
    assert isinstance(await claims.claim(claim(epoch=10)), ClaimGranted)


async def test_a_fence_may_be_put_up_before_anything_is_claimed(
    claims: RedisArbitrageClaims,
) -> None:
    assert await claims.fence("rain", 7)
    assert await claims.fence("rain", 7)
    assert not await claims.fence("rain", 6)
    refusal(await claims.claim(claim(epoch=6)), ClaimRefusal.FENCED)
    assert isinstance(await claims.claim(claim(epoch=7)), ClaimGranted)


@pytest.mark.parametrize("effect", list(KillEffect))
@pytest.mark.parametrize("scope", kill_scopes(FAR))
async def test_every_kill_that_covers_a_leg_closes_the_gate(
    claims: RedisArbitrageClaims, redis: Redis, scope: str, effect: KillEffect
) -> None:
    board = RedisKillBoard(redis, fleet=FLEET)
    await board.set(Kill(scope=scope, reason="drill", by="ann", at_ms=1, effect=effect))
    wide = claim(sizes=(size(), size(market=FAR)))
    text = refusal(await claims.claim(wide), ClaimRefusal.KILLED)
    assert text == f"killed at scope {scope} by ann: drill"
    if "fleet" not in scope:
        assert isinstance(await claims.claim(claim("snow")), ClaimGranted)
    await board.lift(scope, [1])
    assert isinstance(await claims.claim(replace(wide, sizes=(size(market=FAR),))), ClaimGranted)


async def test_an_unarmed_board_or_a_kill_nobody_can_read_closes_it_too(
    claims: RedisArbitrageClaims, redis: Redis
) -> None:
    await redis.hset(f"flotilla:{FLEET}:kills", "fleet", "not json")
    text = refusal(await claims.claim(claim()), ClaimRefusal.KILLED)
    assert "cannot be read" in text
    await redis.delete(f"flotilla:{FLEET}:kills", f"flotilla:{FLEET}:armed")
    text = refusal(await claims.claim(claim()), ClaimRefusal.NOT_ARMED)
    assert text == "the kill board is not armed; re-arm it from the ledger"


async def test_sizes_of_a_dead_worker_come_back_and_its_capital_does_not(
    claims: RedisArbitrageClaims,
) -> None:
    dead = claim(sizes=(size(10, 10),), capital=(held(600),), ttl_ms=30)
    assert isinstance(await claims.claim(dead), ClaimGranted)
    refusal(await claims.claim(claim("snow", sizes=(size(1, 10),))), ClaimRefusal.SIZE)
    await asyncio.sleep(0.05)
    (lapsed,) = await claims.open()
    assert (lapsed.stage, lapsed.left_ms, lapsed.key) == (ClaimStage.LAPSED, 0, dead.key)
    assert not await claims.keep(dead), "who comes back has no size any more"
    text = refusal(
        await claims.claim(claim("snow", sizes=(size(10, 10),), capital=(held(401),))),
        ClaimRefusal.CAPITAL,
    )
    assert "600 held, most by rain" in text
    assert isinstance(
        await claims.claim(claim("snow", sizes=(size(10, 10),), capital=(held(400),))),
        ClaimGranted,
    )
    refusal(await claims.claim(claim(trade=2)), ClaimRefusal.OPEN_TRADE)
    assert await claims.release(dead.key)
    assert isinstance(await claims.claim(claim(trade=2, sizes=(size(market=OTHER),))), ClaimGranted)


async def test_keeping_a_claim_keeps_its_sizes(claims: RedisArbitrageClaims) -> None:
    short = claim(ttl_ms=5_000)
    assert isinstance(await claims.claim(short), ClaimGranted)
    assert await claims.keep(replace(short, ttl_ms=LONG_MS))
    (alive,) = await claims.open()
    assert alive.stage is ClaimStage.ALIVE
    assert 5_000 < alive.left_ms <= LONG_MS
    assert (alive.owner, alive.sizes, alive.capital) == (
        "worker a",
        short.sizes,
        short.capital,
    )


async def test_settling_frees_set_and_sizes_and_all_but_the_locked_capital(
    claims: RedisArbitrageClaims, redis: Redis
) -> None:
    first = claim(sizes=(size(10, 10),), capital=(held(300), held(300, at=FAR)))
    assert isinstance(await claims.claim(first), ClaimGranted)
    for locked in ("200", "200", "150.25"):
        assert await claims.settle(first.key, "worker a", [held(locked)])
    (waits,) = await claims.open()
    assert (waits.stage, waits.sizes, waits.capital) == (ClaimStage.HELD, (), (held("150.25"),))
    again = claim(trade=2, sizes=(size(10, 10),), capital=(held("449.75"),))
    assert isinstance(await claims.claim(again), ClaimGranted)
    assert not await claims.keep(first)
    assert await claims.release(first.key)
    assert not await claims.settle(first.key, "worker a", [held(200)]), "it was given up"
    assert await claims.settle(again.key, "worker a", [])
    assert await kept(redis) == {}


async def test_nothing_is_left_behind_and_keys_are_few(
    claims: RedisArbitrageClaims, redis: Redis
) -> None:
    for number in range(1, 30):
        one = claim(trade=number, sizes=(size(1), size(1, market=FAR)), capital=(held(1),))
        assert isinstance(await claims.claim(one), ClaimGranted)
        if number % 3 == 0:
            await let_lapse(redis)
        assert await claims.release(one.key)
    assert await kept(redis) == {}
    assert len(await redis.keys(f"flotilla:{FLEET}:arb-*")) == 5


async def test_of_many_who_ask_at_once_only_what_is_shown_is_granted(
    claims: RedisArbitrageClaims, redis_url: str, redis: Redis
) -> None:
    names = [f"set {number}" for number in range(40)]
    await arm(redis, caps=[*CAPS, *(cap(f"set:{name}", 1) for name in names)])
    clients = [open_redis(redis_url) for _ in range(2)]
    answers = await asyncio.gather(
        *(
            claims_over(clients[number % 2]).claim(
                claim(name, sizes=(size(3, 10), size(1, 40, market=OTHER)), capital=(held(1),))
            )
            for number, name in enumerate(names)
        )
    )
    for client in clients:
        await client.aclose()
    assert sum(isinstance(answer, ClaimGranted) for answer in answers) == 3
    assert (await kept(redis))["sizes"] == {"ocx/YES buy": "9", "ocx/NO buy": "3"}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"sizes": ()}, "takes no size or no capital"),
        ({"capital": ()}, "takes no size or no capital"),
        ({"capital": (held(0),)}, "takes no size or no capital"),
        ({"sizes": (size(0),)}, "0 of 10 lots of ocx/main/YES is no size"),
        ({"sizes": (size(2**53),)}, "is no size"),
        ({"capital": (held(-1),)}, "-1 USDC of ocx/main is no amount of money"),
        ({"capital": (held(10**10),)}, "too large to be counted in millionths"),
        ({"capital": (held(quote=""),)}, "'' is no currency"),
        ({"ttl_ms": LONG_MS + 1}, "is not from 1 to 60000"),
        ({"ttl_ms": 0}, "is not from 1 to 60000"),
        ({"trade": 0}, "epochs and numbers begin at 1"),
        ({"set_name": " "}, "epochs and numbers begin at 1"),
    ],
)
async def test_what_is_no_claim_is_told_apart_from_a_refused_one(
    claims: RedisArbitrageClaims, wrong: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        await claims.claim(claim(**wrong))  # type: ignore[arg-type]


async def test_exact_amounts_come_back_exactly(claims: RedisArbitrageClaims) -> None:
    odd = claim(capital=(held("599.999999"),))
    assert isinstance(await claims.claim(odd), ClaimGranted)
    (one,) = await claims.open()
    assert one.capital[0].amount == Decimal("599.999999")


@pytest.mark.parametrize("trouble", ["cut", "freeze"])
async def test_out_of_reach_is_unavailable_soon(linked: Redis, link: Link, trouble: str) -> None:
    await arm(linked)
    claims = claims_over(linked)
    getattr(link, trouble)()
    async with asyncio.timeout(4):
        for call in (claims.claim(claim()), claims.open(), claims.armed()):
            with pytest.raises(Unavailable):
                await call
