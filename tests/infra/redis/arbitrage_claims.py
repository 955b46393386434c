"""Claims as tests make them, a server ready to grant them, and ways to let its time pass."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from redis.asyncio import Redis

from desk.arbitrage_ports import CapitalCap, Claim, ClaimedRequests, ClaimedSize
from desk.arbitrage_records import ClaimRecord, HeldCapital, TradeKey
from desk.identity import MarketId
from desk.units import Side
from infra.redis.arbitrage_claims import RedisArbitrageClaims
from infra.redis.kill_board import RedisKillBoard

FLEET = "test"
MARKET = MarketId("ocx", "main", "YES")
OTHER = MarketId("ocx", "main", "NO")
FAR = MarketId("x10", "main", "YES")
LONG_MS = 60_000


def size(
    lots: int = 5, shown: int = 10, *, market: MarketId = MARKET, side: Side = Side.BUY
) -> ClaimedSize:
    return ClaimedSize(market=market, side=side, shown=shown, lots=lots)


def held(
    amount: str | Decimal | int = 100, *, at: MarketId = MARKET, quote: str = "USDC"
) -> HeldCapital:
    return HeldCapital(venue=at.venue, account=at.account, quote=quote, amount=Decimal(amount))


def claim(set_name: str = "rain", epoch: int = 1, trade: int = 1, **given: Any) -> Claim:
    told: dict[str, Any] = {
        "owner": "worker a",
        "sizes": (size(),),
        "capital": (held(),),
        "ttl_ms": LONG_MS,
        **given,
    }
    return Claim(key=TradeKey(set_name, epoch, trade), **told)


def requests(count: int, bucket: str = "ocx/main") -> ClaimedRequests:
    return ClaimedRequests(bucket=bucket, count=count)


def cap(scope: str, amount: int | str, quote: str = "USDC") -> CapitalCap:
    return CapitalCap(scope=scope, quote=quote, amount=Decimal(amount))


CAPS = (
    cap("fleet", 1_500),
    cap("account:ocx/main", 1_000),
    cap("account:x10/main", 1_000),
    *(cap(f"set:{name}", 600) for name in ("rain", "snow", "wind", "hail", "fog", "sun")),
)


def claims_over(redis: Redis) -> RedisArbitrageClaims:
    return RedisArbitrageClaims(redis, fleet=FLEET, settle_ms=LONG_MS)


async def arm(
    redis: Redis, record: ClaimRecord | None = None, caps: Iterable[CapitalCap] = CAPS
) -> None:
    """Arm kill board and claims, and let the time pass in which nothing is granted."""
    await RedisKillBoard(redis, fleet=FLEET).rearm([])
    claims = claims_over(redis)
    memory = await claims.memory()
    assert await claims.rearm(record or ClaimRecord(), tuple(caps), memory)
    await let_settle(redis)


async def let_settle(redis: Redis) -> None:
    """Have it armed for long."""
    life, _, _ = str(await redis.get(f"flotilla:{FLEET}:arb-armed")).partition(" ")
    await redis.set(f"flotilla:{FLEET}:arb-armed", f"{life} 1")


async def let_lapse(redis: Redis) -> None:
    """Let the time of every claim run out."""
    deadlines = f"flotilla:{FLEET}:arb-deadlines"
    for name in map(str, await redis.zrange(deadlines, 0, -1)):
        await redis.zadd(deadlines, {name: 1})


async def kept(redis: Redis) -> dict[str, Any]:
    """Everything the claims have in Redis, but for fences and names."""
    found: dict[str, Any] = {}
    plain: Any = redis
    for key in sorted(await plain.keys(f"flotilla:{FLEET}:arb-*")):
        name = key.removeprefix(f"flotilla:{FLEET}:arb-")
        if name in {"armed", "caps", "fences", "gone", "memory"}:
            continue
        sorted_set = name == "deadlines" or name.startswith("held:")
        found[name] = (
            dict(await plain.zrange(key, 0, -1, withscores=True))
            if sorted_set
            else await plain.hgetall(key)
        )
    return found
