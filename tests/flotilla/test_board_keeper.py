"""What the record knows stands on the board again; what a person lifted does not."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from desk.errors import Unavailable
from desk.identity import MarketId
from desk.records import Kill
from flotilla.board_keeper import keep_board
from infra.postgres.engine import Database, open_database
from infra.postgres.reader import PostgresLedger
from infra.postgres.schema import upgrade
from infra.redis.connection import open_redis
from infra.redis.kill_board import RedisKillBoard

pytestmark = pytest.mark.services

MARKET = MarketId("ocx", "main", "BTC-PERP")
KILL = Kill(scope="venue:ocx", reason="drill", by="ann", at_ms=1_700_000_000_123)


class SlowLedger(PostgresLedger):
    """The ledger on a slow line: what was read arrives when the test says so."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.has_read = asyncio.Event()
        self.may_arrive = asyncio.Event()

    async def active_kills(self) -> Sequence[Kill]:
        kills = await super().active_kills()
        self.has_read.set()
        await self.may_arrive.wait()
        return kills


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = open_redis(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def board(redis: Redis) -> RedisKillBoard:
    return RedisKillBoard(redis, fleet="test")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await upgrade(database_url)
    database = open_database(database_url)
    yield database
    await database.close()


@asynccontextmanager
async def keeping(board: RedisKillBoard, ledger: PostgresLedger) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        keeper = tasks.create_task(keep_board(board, ledger))
        yield
        keeper.cancel()


async def standing(board: RedisKillBoard, *kills: Kill) -> None:
    """Wait until the board says exactly this of the market."""
    async with asyncio.timeout(10):
        while True:
            try:
                if await board.kills(MARKET) == kills:
                    return
            except Unavailable:
                pass
            await asyncio.sleep(0.02)


async def test_a_recorded_kill_comes_back_to_an_emptied_board(
    board: RedisKillBoard, redis: Redis, database: Database
) -> None:
    ledger = PostgresLedger(database)
    await ledger.set_kill(KILL)
    async with keeping(board, ledger):
        await standing(board, KILL)
        await redis.flushdb()
        await standing(board, KILL)


async def test_a_kill_the_record_does_not_know_yet_stays(
    board: RedisKillBoard, database: Database
) -> None:
    await board.set(KILL)
    async with keeping(board, PostgresLedger(database)):
        await standing(board, KILL)


async def test_a_lifted_kill_is_not_put_back_by_an_answer_read_before(
    board: RedisKillBoard, database: Database
) -> None:
    ledger = SlowLedger(database)
    await ledger.set_kill(KILL)
    await board.rearm([KILL])
    other = Kill(scope="fleet", reason="later", by="bob", at_ms=KILL.at_ms + 1)
    async with keeping(board, ledger), asyncio.timeout(20):
        await ledger.has_read.wait()
        assert await ledger.lift_kill(KILL.scope, KILL.at_ms, "ann", "over")
        assert await board.lift(KILL.scope, [KILL.at_ms])
        # The keeper's stale list is on its way; what it does next is seen by what follows it.
        await ledger.set_kill(other)
        ledger.may_arrive.set()
        await standing(board, other)
