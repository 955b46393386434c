"""Claims of arbitrage trades in a Valkey of their own: one round trip for 3 to 30 legs.

A thousand sets are known and five hundred trades wait for their payout. Claims are made one after
the other, each in another set, and released untimed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns

import uvloop
from redis.asyncio import Redis

from benchmarks.cores import keep_to, split
from benchmarks.results import Row, Table, microseconds
from desk.arbitrage_ports import CapitalCap, Claim, ClaimedRequests, ClaimedSize, ClaimGranted
from desk.arbitrage_records import ClaimRecord, HeldCapital, LockedTrade, TradeKey
from desk.identity import MarketId
from desk.rate_ports import RateLaw
from desk.units import Side
from infra.embedded.directory import Addresses
from infra.embedded.stack import EmbeddedStack
from infra.redis.arbitrage_claims import SETTLE_MS, RedisArbitrageClaims
from infra.redis.connection import open_redis
from infra.redis.kill_board import RedisKillBoard
from infra.redis.leases import RedisLeases
from infra.redis.rate_shares import RedisRateShares

_FLEET = "benchmark"
_SETS, _HELD = 1_000, 500
_VENUES = ("ocx", "x10", "zo")
_MUCH = Decimal(1_000_000_000)
_TTL_MS = 1_000
_LONG_MS = 600_000
_LAW = RateLaw(capacity=10_000_000, reserved=1_000, window_s=60.0)
_RUNS = 5
_NOT_OURS = Addresses(database_url="postgresql://not@used/at_all", temporal_address="not used")


def run(*, quick: bool) -> Table:
    """Median and 99th percentile of each call, microseconds."""
    ours, theirs = split()
    keep_to(theirs)
    with (
        TemporaryDirectory(prefix="flotilla-bench-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_measure(Path(folder), ours, quick=quick))


async def _measure(folder: Path, ours: set[int], *, quick: bool) -> Table:
    async with EmbeddedStack(folder, external=_NOT_OURS) as stack:
        keep_to(ours)
        redis = open_redis(stack.redis_url)
        try:
            claims = await _armed(redis)
            rows = [row async for row in _rows(redis, claims, 200 if quick else 2_000)]
        finally:
            await redis.aclose()
    return Table(
        name="arbitrage_claims: call to answer, Valkey on a core of its own", rows=tuple(rows)
    )


async def _armed(redis: Redis) -> RedisArbitrageClaims:
    claims = RedisArbitrageClaims(redis, fleet=_FLEET)
    await RedisKillBoard(redis, fleet=_FLEET).rearm([])
    caps = [
        CapitalCap(scope=scope, quote="USDC", amount=_MUCH)
        for scope in (
            "fleet",
            *(f"account:{venue}/main" for venue in _VENUES),
            *(f"set:{_name(number)}" for number in range(_SETS)),
        )
    ]
    held = tuple(
        LockedTrade(
            key=TradeKey(_name(number), 1, 1),
            owner="benchmark",
            under_way=False,
            capital=_capital(1),
        )
        for number in range(_HELD)
    )
    assert await claims.rearm(ClaimRecord(trades=held), caps, await claims.memory())
    for venue in _VENUES:
        shares = RedisRateShares(redis, fleet=_FLEET)
        await shares.draw(f"{venue}/main", _LAW, orders=0, cancels=0)
    await asyncio.sleep(SETTLE_MS / 1_000)
    return claims


async def _rows(redis: Redis, claims: RedisArbitrageClaims, times: int) -> AsyncIterator[Row]:
    leases, market = RedisLeases(redis, fleet=_FLEET), MarketId("ocx", "main", "M0")
    assert await leases.acquire(market, 1, "benchmark", _LONG_MS)
    numbers, renewed = count(2), list[int]()
    for legs in (3, 10, 30):
        for venues in (0, 3):
            took = []
            for _ in range(times * _RUNS):
                renewed += await _timed(lambda: leases.renew(market, 1, "benchmark", _LONG_MS), 1)
                claim = _claim(legs, venues, next(numbers))
                begun = perf_counter_ns()
                answer = await claims.claim(claim)
                took.append(perf_counter_ns() - begun)
                assert isinstance(answer, ClaimGranted), answer
                assert await claims.release(claim.key)
            more = f", requests of {venues} venues" if venues else ""
            yield microseconds(f"claim of {legs} legs{more}", took)
    yield microseconds("for comparison: a lease renewed, between those", renewed)
    yield await _refused(claims, times, numbers)
    kept = _claim(3, 0, next(numbers))
    assert isinstance(await claims.claim(kept), ClaimGranted)
    yield microseconds("keep, 3 legs", await _timed(lambda: claims.keep(kept), times * _RUNS))
    settled = await _timed(
        lambda: claims.settle(kept.key, "benchmark", _capital(next(numbers))), times * _RUNS
    )
    yield microseconds("settle, 3 legs", settled)


async def _refused(claims: RedisArbitrageClaims, times: int, numbers: Iterator[int]) -> Row:
    """Each leg's size is taken by another set, whose claim is kept alive."""
    first = _claim(3, 0, next(numbers))
    assert isinstance(await claims.claim(first), ClaimGranted)
    took = []
    for _ in range(times):
        late = _claim(3, 0, next(numbers))
        begun = perf_counter_ns()
        answer = await claims.claim(late)
        took.append(perf_counter_ns() - begun)
        assert not isinstance(answer, ClaimGranted)
        assert await claims.keep(first)
    await claims.release(first.key)
    return microseconds("claim of 3 legs, refused for a size", took)


async def _timed(call: Callable[[], Awaitable[bool]], times: int) -> list[int]:
    took = []
    for _ in range(times):
        begun = perf_counter_ns()
        done = await call()
        took.append(perf_counter_ns() - begun)
        assert done
    return took


def _claim(legs: int, venues: int, number: int) -> Claim:
    return Claim(
        key=TradeKey(_name(number % _SETS), 1, number),
        owner="benchmark",
        sizes=tuple(
            ClaimedSize(
                market=MarketId(_VENUES[leg % 3], "main", f"EVENT-OUTCOME-{leg}"),
                side=Side.BUY,
                shown=100,
                lots=60,
            )
            for leg in range(legs)
        ),
        capital=_capital(10),
        requests=tuple(
            ClaimedRequests(bucket=f"{venue}/main", count=legs // venues)
            for venue in _VENUES[:venues]
        ),
        ttl_ms=_TTL_MS,
    )


def _capital(amount: int) -> tuple[HeldCapital, ...]:
    return tuple(
        HeldCapital(venue=venue, account="main", quote="USDC", amount=Decimal(amount))
        for venue in _VENUES
    )


def _name(number: int) -> str:
    return f"event-{number:04d}"
