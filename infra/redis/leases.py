"""Leases with a fencing epoch: the right to quote a market, lost when it is not renewed.

The rule: an epoch once seen shuts out all lower ones for good, also after the lease expired.
Times are taken from Redis' clock alone, so that no machine's clock decides who owns a market.
"""

from collections.abc import Mapping, Sequence

from redis.asyncio import Redis

from desk.identity import MarketId
from desk.records import LostLease
from infra.redis.connection import bounded
from infra.redis.scripts import source


class RedisLeases:
    """The LeasePort over Redis, and what a guardian needs to pull the dead-man's switch."""

    def __init__(self, redis: Redis, *, fleet: str) -> None:
        self._redis = redis
        self._prefix = f"flotilla:{fleet}"
        self._fences = f"{self._prefix}:fences"
        self._holders = f"{self._prefix}:holders"
        self._released = f"{self._prefix}:released"
        self._leases = f"{self._prefix}:leases"
        self._acquire = redis.register_script(source("acquire"))
        self._renew = redis.register_script(source("renew"))
        self._release = redis.register_script(source("release"))
        self._expired = redis.register_script(source("expired"))
        self._claim = redis.register_script(source("claim"))
        self._yield_claim = redis.register_script(source("yield_claim"))
        self._settle = redis.register_script(source("settle"))
        self._restore = redis.register_script(source("restore"))

    async def acquire(self, market: MarketId, epoch: int, owner: str, ttl_ms: int) -> bool:
        """Take the lease; False while another is unexpired, or when the epoch is not new.

        Repeating it with the same epoch and owner while the lease lasts succeeds. An own lease
        that expired needs a higher epoch. Raises Unavailable.
        """
        async with bounded():
            keys = [self._lease(market), self._fences, self._holders, self._released, self._leases]
            return bool(await self._acquire(keys=keys, args=[market.path, epoch, owner, ttl_ms]))

    async def renew(self, market: MarketId, epoch: int, owner: str, ttl_ms: int) -> bool:
        """Extend our own lease; False when it is no longer ours. Raises Unavailable."""
        async with bounded():
            keys = [self._lease(market), self._leases]
            return bool(await self._renew(keys=keys, args=[market.path, epoch, owner, ttl_ms]))

    async def release(self, market: MarketId, epoch: int, owner: str) -> bool:
        """Give it up in good order; False when it was not ours. Raises Unavailable."""
        async with bounded():
            keys = [self._lease(market), self._holders, self._released, self._leases]
            return bool(await self._release(keys=keys, args=[market.path, epoch, owner]))

    async def fence(self, market: MarketId) -> int:
        """The highest epoch that ever held it; 0 when none is remembered. Raises Unavailable."""
        async with bounded():
            found = await self._redis.hget(self._fences, market.path)
        return int(found or 0)

    async def shared(self, market: MarketId) -> bool:
        """Whether another market of the same venue and account is held, or was lost unreleased."""
        account = f"{market.venue}/{market.account}/"
        async with bounded():
            held = await self._redis.hkeys(self._holders)
        names = [str(path) for path in held]
        return any(name.startswith(account) and name != market.path for name in names)

    async def holders(self, markets: Sequence[MarketId]) -> Mapping[MarketId, str]:
        """Owners of leases that have not run out. Raises Unavailable."""
        if not markets:
            return {}
        async with bounded():
            found = await self._redis.mget([self._lease(market) for market in markets])
        return {
            market: str(holder).partition(" ")[2]
            for market, holder in zip(markets, found, strict=True)
            if holder
        }

    async def expired(self, grace_ms: int = 0) -> Sequence[LostLease]:
        """Leases expired for at least `grace_ms` and never released. Raises Unavailable."""
        async with bounded():
            found = await self._expired(keys=[self._holders, self._leases], args=[grace_ms])
        return tuple(
            _lost(path, holder, score)
            for path, holder, score in zip(found[::3], found[1::3], found[2::3], strict=True)
            if holder
        )

    async def claim(self, lost: LostLease, claimer: str, ttl_ms: int) -> bool:
        """Take care of an expired lease alone for a while; False when it is not up for it.

        Raises Unavailable. The claim is renewed by claiming again.
        """
        async with bounded():
            keys = [self._lease(lost.market), self._holders, self._claim_key(lost)]
            args = (lost.market.path, _holder(lost), claimer, ttl_ms)
            return bool(await self._claim(keys=keys, args=args))

    async def yield_claim(self, lost: LostLease, claimer: str) -> None:
        """Give a claim back before it ends. Raises Unavailable."""
        async with bounded():
            await self._yield_claim(keys=[self._claim_key(lost)], args=[claimer])

    async def settle(self, lost: LostLease) -> bool:
        """Strike an expired lease off the list: its orders are gone. Raises Unavailable."""
        async with bounded():
            keys = [self._lease(lost.market), self._holders, self._leases]
            return bool(await self._settle(keys=keys, args=[lost.market.path, _holder(lost)]))

    async def restore(self, lost: Sequence[LostLease]) -> int:
        """Put back, as run out now, what an emptied Redis forgot; how many. Raises Unavailable.

        A market whose lease anybody took since is left alone.
        """
        said: list[str | int] = []
        for one in lost:
            said += (one.market.path, one.epoch, one.owner)
        if not said:
            return 0
        async with bounded():
            keys = [self._fences, self._holders, self._leases]
            return int(await self._restore(keys=keys, args=said))

    def _lease(self, market: MarketId) -> str:
        return f"{self._prefix}:lease:{market.path}"

    def _claim_key(self, lost: LostLease) -> str:
        return f"{self._prefix}:claim:{lost.market.path}:{lost.epoch}"


def _holder(lost: LostLease) -> str:
    return f"{lost.epoch} {lost.owner}"


def _lost(path: str, holder: str, score: str) -> LostLease:
    epoch, _, owner = holder.partition(" ")
    return LostLease(
        market=MarketId.parse(path),
        epoch=int(epoch),
        owner=owner,
        expired_at_ms=int(float(score)),
    )
