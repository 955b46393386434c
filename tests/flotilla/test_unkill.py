"""Lifting takes off what the person saw; a kill set while that goes on stays in force."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis

from desk.identity import MarketId
from desk.records import Kill
from flotilla.control import lift_kills
from infra.postgres.engine import open_database
from infra.postgres.reader import PostgresLedger
from infra.postgres.schema import upgrade
from infra.redis.connection import open_redis
from infra.redis.kill_board import RedisKillBoard
from quoting.permission import standing_kills

pytestmark = pytest.mark.services

MARKET = MarketId("x10", "main", "BTC-USD")
OLD = Kill(scope="fleet", reason="drill", by="ann", at_ms=1_700_000_000_000)
NEW = Kill(scope="fleet", reason="flood", by="bob", at_ms=1_700_000_060_000)
STEPS = ("named", "active_kills", "lift_kill", "lift")


@dataclass(slots=True, kw_only=True)
class Desk:
    """Both services, with something that happens once, just before or after one call to them."""

    inner_board: RedisKillBoard
    inner_ledger: PostgresLedger
    step: str = ""
    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def happens(self, step: str) -> None:
        happening = self.meanwhile if step == self.step else None
        if happening is not None:
            self.meanwhile = None
            await happening()

    def happened(self) -> bool:
        return self.meanwhile is None

    async def kill(self, kill: Kill) -> None:
        """The whole of `flotilla kill`."""
        await self.inner_board.set(kill)
        await self.inner_ledger.set_kill(kill)

    async def seen(self) -> Sequence[Kill]:
        """What preflight and sessions see once the board was compared with the record."""
        await self.inner_board.rearm(await self.inner_ledger.active_kills())
        return await standing_kills(self.inner_board, self.inner_ledger, MARKET)


class Board(RedisKillBoard):
    def __init__(self, redis: Redis, *, fleet: str) -> None:
        super().__init__(redis, fleet=fleet)
        self.desk: Desk | None = None

    async def named(self, scope: str) -> frozenset[int]:
        found = await super().named(scope)
        if self.desk is not None:
            await self.desk.happens("named")
        return found

    async def lift(self, scope: str, at_ms: Collection[int]) -> bool:
        lifted = await super().lift(scope, at_ms)
        if self.desk is not None:
            await self.desk.happens("lift")
        return lifted


class Ledger(PostgresLedger):
    desk: Desk | None = None

    async def active_kills(self) -> Sequence[Kill]:
        found = await super().active_kills()
        if self.desk is not None:
            await self.desk.happens("active_kills")
        return found

    async def lift_kill(self, scope: str, at_ms: int, by: str, reason: str) -> bool:
        lifted = await super().lift_kill(scope, at_ms, by, reason)
        if self.desk is not None:
            await self.desk.happens("lift_kill")
        return lifted


@pytest.fixture
async def desk(redis_url: str, database_url: str) -> AsyncIterator[Desk]:
    await upgrade(database_url)
    database, redis = open_database(database_url), open_redis(redis_url)
    board, ledger = Board(redis, fleet="test"), Ledger(database)
    await board.rearm([])
    desk = Desk(inner_board=board, inner_ledger=ledger)
    board.desk = ledger.desk = desk
    yield desk
    await redis.aclose()
    await database.close()


async def unkill(desk: Desk) -> tuple[bool, bool]:
    return await lift_kills(
        desk.inner_board, desk.inner_ledger, "fleet", by="ann", reason="it is over"
    )


async def test_everything_set_before_is_lifted(desk: Desk) -> None:
    assert await unkill(desk) == (False, False)
    await desk.kill(OLD)
    await desk.kill(NEW)
    assert await unkill(desk) == (True, False)
    assert await desk.seen() == ()
    assert await desk.inner_ledger.active_kills() == ()


@pytest.mark.parametrize("step", STEPS)
async def test_a_whole_kill_in_between_stays_in_force(desk: Desk, step: str) -> None:
    await desk.kill(OLD)
    desk.step, desk.meanwhile = step, lambda: desk.kill(NEW)
    assert (await unkill(desk))[1], "the person hears of it"
    assert desk.happened()
    assert await desk.seen() == (NEW,)
    assert await desk.inner_ledger.active_kills() == (NEW,)
    assert await unkill(desk) == (True, False)
    assert await desk.seen() == ()


@pytest.mark.parametrize("step", STEPS)
async def test_a_kill_half_set_before_stays_in_force(desk: Desk, step: str) -> None:
    """It stood on the board, and nobody had asked to lift it: the record did not show it."""
    await desk.kill(OLD)
    await desk.inner_board.set(NEW)
    desk.step, desk.meanwhile = step, lambda: desk.inner_ledger.set_kill(NEW)
    assert (await unkill(desk))[1]
    assert desk.happened()
    assert await desk.seen() == (NEW,)
    assert await desk.inner_ledger.active_kills() == (NEW,)


async def test_a_kill_that_never_got_into_the_record_is_lifted_for_good(desk: Desk) -> None:
    await desk.inner_board.set(NEW)
    assert await unkill(desk) == (True, False)
    await desk.inner_ledger.set_kill(NEW)
    assert await desk.seen() == ()
    assert await desk.inner_ledger.active_kills() == ()


async def test_a_kill_of_the_record_alone_is_lifted(desk: Desk) -> None:
    await desk.inner_ledger.set_kill(OLD)
    assert await unkill(desk) == (True, False)
    assert await desk.seen() == ()
