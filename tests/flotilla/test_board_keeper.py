"""What the record knows stands on the board again; what a person lifted or time ended does not.

A new KILL file becomes one durable kill of the fleet.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from desk.errors import Unavailable
from desk.identity import MarketId
from desk.orders import OutcomeKind
from desk.records import Kill, KillEffect, OrderAnswered, OrderEnded, OrderSent
from desk.units import Side
from flotilla.board_keeper import keep_board, keep_file
from infra.kill_file import StateKillFile
from infra.postgres.engine import Database, open_database
from infra.postgres.journal import write_batch
from infra.postgres.kill_answers import PostgresKillAnswers
from infra.postgres.ownership import PostgresOwnership
from infra.postgres.reader import PostgresLedger
from infra.postgres.schema import upgrade
from infra.redis.connection import open_redis
from infra.redis.kill_board import RedisKillBoard
from infra.redis.leases import RedisLeases
from quoting.gates import Gates
from quoting.lifting import lift_kills
from quoting.permission import standing_kills

pytestmark = pytest.mark.services

MARKET = MarketId("ocx", "main", "BTC-PERP")
KILL = Kill(scope="venue:ocx", reason="drill", by="ann", at_ms=1_700_000_000_123)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What the keepers keep in step."""

    board: RedisKillBoard
    ledger: PostgresLedger
    answers: PostgresKillAnswers
    gates: Gates
    lost: RedisLeases
    ownership: PostgresOwnership


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


@pytest.fixture
def ports(board: RedisKillBoard, database: Database, redis: Redis) -> Ports:
    return Ports(
        board=board,
        ledger=PostgresLedger(database),
        answers=PostgresKillAnswers(database),
        gates=Gates(),
        lost=RedisLeases(redis, fleet="test"),
        ownership=PostgresOwnership(database),
    )


@asynccontextmanager
async def keeping(ports: Ports) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        keeper = tasks.create_task(keep_board(ports))
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


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():
            await asyncio.sleep(0.02)


async def test_a_recorded_kill_comes_back_to_an_emptied_board(ports: Ports, redis: Redis) -> None:
    flatten = replace(KILL, effect=KillEffect.FLATTEN, until_ms=4_000_000_000_000)
    await ports.ledger.set_kill(flatten)
    async with keeping(ports):
        await standing(ports.board, flatten)
        await redis.flushdb()
        await standing(ports.board, flatten)


def order(client_order_id: str) -> tuple[OrderSent, OrderAnswered]:
    sent = OrderSent(
        market=MARKET,
        epoch=1,
        client_order_id=client_order_id,
        batch_id="b",
        side=Side.BUY,
        price=100,
        lots=1,
        reduce_only=False,
        sent_at_ms=1_700_000_000_000,
    )
    answered = OrderAnswered(
        market=MARKET,
        client_order_id=client_order_id,
        kind=OutcomeKind.ACCEPTED,
        venue_order_id=None,
        message="",
        answered_at_ms=1_700_000_000_001,
    )
    return sent, answered


async def test_an_emptied_redis_is_told_whose_orders_rest(
    ports: Ports, database: Database, redis: Redis
) -> None:
    """Who died while Redis was emptied is missed by its lease all the same, and by nobody else."""
    epoch = await ports.ledger.open_epoch(MARKET, "worker/1", "run")
    await database.transaction(lambda c: write_batch(c, order("resting")))
    async with keeping(ports):
        await until(ports.lost.expired)
        (found,) = await ports.lost.expired()
        assert (found.market, found.epoch, found.owner) == (MARKET, epoch, "worker/1")
        assert not await ports.lost.acquire(MARKET, epoch, "worker/1", 60_000), "a zombie's epoch"
        assert await ports.lost.settle(found)
        ended = OrderEnded(
            market=MARKET, client_order_id="resting", how="cleared", ended_at_ms=1_700_000_000_002
        )
        await database.transaction(lambda c: write_batch(c, [ended]))
        await redis.flushdb()
        await until(ports.board.armed)
    assert await ports.lost.expired() == ()


async def test_leases_come_back_though_a_session_put_the_kills_back_first(
    ports: Ports, database: Database, redis: Redis
) -> None:
    await ports.ledger.open_epoch(MARKET, "worker/1", "run")
    await database.transaction(lambda c: write_batch(c, order("resting")))
    await redis.flushdb()
    other = MarketId("ocx", "main", "ETH-PERP")
    assert not await standing_kills(ports.board, ports.ledger, other)
    assert await ports.board.armed()
    async with keeping(ports):
        await until(ports.lost.expired)


async def test_a_market_that_is_held_again_is_not_taken_for_lost(
    ports: Ports, database: Database
) -> None:
    epoch = await ports.ledger.open_epoch(MARKET, "worker/1", "run")
    await database.transaction(lambda c: write_batch(c, order("resting")))
    assert await ports.lost.acquire(MARKET, epoch + 1, "worker/2", 60_000)
    async with keeping(ports):
        await until(ports.board.armed)
    assert set(await ports.lost.holders([MARKET])) == {MARKET}
    assert await ports.lost.expired() == ()


async def test_a_kill_the_record_does_not_know_yet_stays(ports: Ports) -> None:
    await ports.board.set(KILL)
    async with keeping(ports):
        await standing(ports.board, KILL)


async def test_a_lifted_kill_is_not_put_back_by_an_answer_read_before(
    ports: Ports, database: Database
) -> None:
    ledger, board = SlowLedger(database), ports.board
    await ledger.set_kill(KILL)
    await board.rearm([KILL])
    other = Kill(scope="fleet", reason="later", by="bob", at_ms=KILL.at_ms + 1)
    async with keeping(replace(ports, ledger=ledger)), asyncio.timeout(20):
        await ledger.has_read.wait()
        assert await ledger.lift_kill(KILL.scope, KILL.at_ms, "ann", "over")
        assert await board.lift(KILL.scope, [KILL.at_ms])
        # The keeper's stale list is on its way; what it does next is seen by what follows it.
        await ledger.set_kill(other)
        ledger.may_arrive.set()
        await standing(board, other)


async def test_a_kill_whose_time_is_up_ends_in_record_and_board(ports: Ports) -> None:
    latch = replace(KILL, scope="loss:fleet", until_ms=KILL.at_ms + 1_000)
    lasting = replace(KILL, scope="loss:account:ocx/main", until_ms=4_000_000_000_000)
    for kill in (KILL, latch, lasting):
        await ports.ledger.set_kill(kill)
        await ports.board.set(kill)
    async with keeping(ports):
        await standing(ports.board, KILL, lasting)
        assert set(await ports.ledger.active_kills()) == {KILL, lasting}


async def test_a_kill_ended_by_one_who_died_before_the_board_was_told_ends_there_too(
    ports: Ports,
) -> None:
    latch = replace(KILL, scope="loss:fleet", until_ms=KILL.at_ms + 1_000)
    await ports.ledger.set_kill(latch)
    await ports.board.set(latch)
    await ports.ledger.lift_kill(latch.scope, latch.at_ms, "flotilla", "ended by itself")
    async with keeping(ports):
        await standing(ports.board)


async def test_a_kill_told_to_the_process_is_forgotten_only_when_it_is_kept_or_over(
    ports: Ports,
) -> None:
    kept, over = replace(KILL, scope="fleet"), replace(KILL, scope="venue:x10")
    alone = replace(KILL, scope="venue:zo")
    for kill in (kept, over, alone):
        ports.gates.close(kill)
    await ports.ledger.set_kill(kept)
    # A board alone can be emptied: it keeps nothing.
    await ports.board.set(alone)
    await ports.ledger.lift_kill(over.scope, over.at_ms, "ann", "over")

    async def settled() -> bool:
        return set(ports.gates.told()) == {alone}

    async with keeping(ports):
        await until(settled)


# --- the file ---------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "KILL"


class LookedAt(StateKillFile):
    """Counts how often it was looked at."""

    looks = 0

    def since_ms(self) -> int | None:
        self.looks += 1
        return super().since_ms()

    async def after_another_look(self) -> None:
        """Wait until a look that began after this moment is over."""
        before = self.looks
        async with asyncio.timeout(20):
            while self.looks < before + 2:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def keeping_file(ports: Ports, file: Path) -> AsyncIterator[LookedAt]:
    async with asyncio.TaskGroup() as tasks:
        looked_at = LookedAt(file)
        keeper = tasks.create_task(keep_file(ports, looked_at, "rack-7"))
        yield looked_at
        keeper.cancel()


async def fleet_kills(ports: Ports) -> Sequence[Kill]:
    return [kill for kill in await ports.ledger.active_kills() if kill.scope == "fleet"]


async def test_a_file_stops_the_fleet_once_and_anew_when_it_is_new(
    ports: Ports, file: Path
) -> None:
    await ports.board.rearm([])
    file.write_text("smoke")
    os.utime(file, (1_700_000_000, 1_700_000_000))

    async def stopped() -> bool:
        return bool(await fleet_kills(ports) and await ports.board.kills(MARKET))

    async with keeping_file(ports, file) as keeping_it:
        await until(stopped)
        (kill,) = await fleet_kills(ports)
        assert (kill.by, kill.reason) == ("KILL file on rack-7", "smoke")
        assert kill.at_ms == 1_700_000_000_000
        await lift_kills(ports.board, ports.ledger, "fleet", by="ann", reason="out")
        await keeping_it.after_another_look()
        assert not await stopped(), "the same file was told already"
    async with keeping_file(ports, file) as keeping_it:
        await keeping_it.after_another_look()
        assert not await stopped(), "nor by a worker that was started anew"
        os.utime(file, (1_700_000_100, 1_700_000_100))
        await until(stopped)


async def test_a_file_does_not_take_the_place_of_a_persons_kill(ports: Ports, file: Path) -> None:
    mine = replace(KILL, scope="fleet")
    await ports.ledger.set_kill(mine)
    file.touch()
    async with keeping_file(ports, file) as keeping_it:
        await keeping_it.after_another_look()
        assert await fleet_kills(ports) == [mine]
