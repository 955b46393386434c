"""Claims of arbitrage trades: one atomic script takes sizes, capital and requests, or nothing.

The rule: absence of knowledge means no. A server that was emptied, or started again, grants nothing
until it is re-armed from the durable record. Sizes run out by Redis' own clock; capital does not,
and goes back only when somebody settles or releases the trade by the record.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

from redis.asyncio import Redis

from desk.arbitrage_ports import (
    CapitalCap,
    Claim,
    ClaimGranted,
    ClaimRefused,
    DrawnRequests,
    StandingClaim,
)
from desk.arbitrage_records import ClaimRecord, HeldCapital, TradeKey
from infra.redis.arbitrage_texts import (
    asked_text,
    claim_text,
    held_text,
    key_words,
    record_text,
    standing,
)
from infra.redis.arbitrage_words import refused
from infra.redis.connection import bounded
from infra.redis.scripts import source

SETTLE_MS: Final = 3_000
_BOOKS: Final = (
    *("armed", "fences", "open", "deadlines", "trades"),
    *("sizes", "capital", "caps", "gone", "memory"),
)

Words: TypeAlias = list[str | int]


class RedisArbitrageClaims:
    """The ClaimPort over ten keys of the fleet, and one a scope and currency for who holds most.

    No claim may live longer than `settle_ms`: for so long after it was armed nothing is granted.
    """

    def __init__(self, redis: Redis, *, fleet: str, settle_ms: int = SETTLE_MS) -> None:
        self._settle_ms = settle_ms
        prefix = f"flotilla:{fleet}"
        self._keys = [f"{prefix}:arb-{name}" for name in _BOOKS]
        self._holders = f"{prefix}:arb-held:"
        self._board = [f"{prefix}:kills", f"{prefix}:armed"]
        self._rates = f"{prefix}:rate"
        books = "arbitrage_books"
        self._claim = redis.register_script(source("rate_bucket", books, "arbitrage_claim"))
        self._keep = redis.register_script(source(books, "arbitrage_keep"))
        self._settle = redis.register_script(source(books, "arbitrage_settle"))
        self._release = redis.register_script(source(books, "arbitrage_release"))
        self._fence = redis.register_script(source(books, "arbitrage_fence"))
        self._armed = redis.register_script(source(books, "arbitrage_armed"))
        self._memory = redis.register_script(source(books, "arbitrage_memory"))
        self._rearm = redis.register_script(source(books, "arbitrage_rearm"))
        self._open = redis.register_script(source(books, "arbitrage_open"))

    async def claim(self, claim: Claim) -> ClaimGranted | ClaimRefused:
        """Take all of it or nothing, once for each trade; see the port. Raises Unavailable.

        ValueError for a claim without size or capital, or that would live too long.
        """
        key, ttl_ms, text = key_words(claim.key), self._ttl_ms(claim), claim_text(claim)
        keys = [*self._keys, *self._board]
        args: Words = [
            self._holders,
            *key,
            ttl_ms,
            self._settle_ms,
            text,
            self._rates,
            asked_text(claim),
        ]
        async with bounded():
            what, *told = await self._claim(keys=keys, args=args)
        if what != "granted":
            return refused(claim, what, told)
        each = zip(told[::4], told[1::4], told[2::4], told[3::4], strict=True)
        return ClaimGranted(
            requests=tuple(
                DrawnRequests(bucket=bucket, count=count, stamp=stamp, generation=generation)
                for bucket, count, stamp, generation in each
            )
        )

    async def keep(self, claim: Claim) -> bool:
        """Keep its sizes; False when they are gone, or a higher epoch came. Raises Unavailable."""
        args: Words = [self._holders, *key_words(claim.key), self._ttl_ms(claim), claim_text(claim)]
        async with bounded():
            return bool(await self._keep(keys=self._keys, args=args))

    async def settle(self, key: TradeKey, owner: str, locked: Sequence[HeldCapital]) -> bool:
        """Hold `locked` alone from now on; False when released before. Raises Unavailable."""
        args: Words = [self._holders, *key_words(key), held_text(owner, locked)]
        async with bounded():
            return bool(await self._settle(keys=self._keys, args=args))

    async def release(self, key: TradeKey) -> bool:
        """Give up everything; False when nothing was held. Raises Unavailable."""
        async with bounded():
            args: Words = [self._holders, *key_words(key)]
            return bool(await self._release(keys=self._keys, args=args))

    async def fence(self, set_name: str, epoch: int) -> bool:
        """Shut lower epochs of the set out; False when a higher was seen. Raises Unavailable."""
        async with bounded():
            args: Words = [self._holders, set_name, epoch]
            return bool(await self._fence(keys=self._keys, args=args))

    async def armed(self) -> bool:
        """Whether it was armed since the server started. Raises Unavailable."""
        async with bounded():
            return bool(await self._armed(keys=self._keys, args=[self._holders]))

    async def memory(self) -> str:
        """The name of what is remembered now, to be asked before the record. Raises Unavailable."""
        async with bounded():
            return str(await self._memory(keys=self._keys, args=[self._holders]))

    async def rearm(self, record: ClaimRecord, caps: Sequence[CapitalCap], memory: str) -> bool:
        """Take over the record, and these caps in place of all others; see the port.

        Raises Unavailable; ValueError for amounts that are no money.
        """
        args: Words = [self._holders, record_text(record, caps), memory]
        async with bounded():
            return bool(await self._rearm(keys=self._keys, args=args))

    async def open(self) -> Sequence[StandingClaim]:
        """Everything claimed or held, by set, epoch and number. Raises Unavailable."""
        async with bounded():
            told = await self._open(keys=self._keys, args=[self._holders])
        each = zip(told[::4], told[1::4], told[2::4], told[3::4], strict=True)
        return tuple(sorted((standing(*one) for one in each), key=_by_key))

    def _ttl_ms(self, claim: Claim) -> int:
        if not 0 < claim.ttl_ms <= self._settle_ms:
            raise ValueError(
                f"ttl_ms: {claim.ttl_ms} is not from 1 to {self._settle_ms}; a claim that lives "
                "longer could be forgotten and its sizes granted again"
            )
        return claim.ttl_ms


def _by_key(one: StandingClaim) -> TradeKey:
    return one.key
