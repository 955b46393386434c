"""The board says no when it does not know, and tells everybody when it changes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from desk.errors import Unavailable
from desk.identity import MarketId
from desk.records import Kill
from infra.redis.kill_board import RedisKillBoard
from tests.infra.redis.link import Link

pytestmark = pytest.mark.services

MARKET = MarketId("ocx", "main", "BTC-PERP")
ELSEWHERE = MarketId("x10", "main", "BTC-USD")
AT_MS = 1_700_000_000_123


def kill(scope: str) -> Kill:
    return Kill(scope=scope, reason="drill", by="ann", at_ms=AT_MS)


@pytest.fixture
def board(redis: Redis) -> RedisKillBoard:
    return RedisKillBoard(redis, fleet="test")


@asynccontextmanager
async def watching(board: RedisKillBoard, told: asyncio.Event) -> AsyncIterator[asyncio.Task[None]]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(board.watch(told.set))
        await heard(told)
        yield task
        task.cancel()


async def heard(told: asyncio.Event) -> None:
    async with asyncio.timeout(5):
        await told.wait()
    told.clear()


async def test_a_board_never_armed_knows_nothing(board: RedisKillBoard) -> None:
    with pytest.raises(Unavailable, match="not armed"):
        await board.kills(MARKET)
    await board.set(kill("fleet"))
    with pytest.raises(Unavailable, match="not armed"):
        await board.kills(MARKET)


async def test_kills_cover_their_scope_and_no_more(board: RedisKillBoard) -> None:
    scopes = ("fleet", "venue:ocx", "account:ocx/main", "market:ocx/main/BTC-PERP")
    await board.rearm([])
    assert await board.kills(MARKET) == ()
    for scope in scopes:
        await board.set(kill(scope))
    assert await board.kills(MARKET) == tuple(kill(scope) for scope in scopes)
    assert await board.kills(ELSEWHERE) == (kill("fleet"),)


async def test_only_a_lift_at_the_scope_lifts(board: RedisKillBoard) -> None:
    await board.rearm([kill("venue:ocx")])
    for scope in ("fleet", "account:ocx/main", "market:ocx/main/BTC-PERP"):
        assert not await board.lift(scope, [AT_MS])
    assert await board.kills(MARKET) == (kill("venue:ocx"),)
    assert await board.lift("venue:ocx", [AT_MS])
    assert not await board.lift("venue:ocx", [AT_MS])
    assert await board.kills(MARKET) == ()


async def test_rearming_never_takes_a_kill_off(board: RedisKillBoard) -> None:
    """A kill goes to the board first: who re-arms it from the record may not know of it yet."""
    await board.rearm([])
    await board.set(kill("fleet"))
    await board.rearm([kill("venue:ocx")])
    await board.rearm([])
    assert await board.kills(MARKET) == (kill("fleet"), kill("venue:ocx"))


async def test_a_lifted_kill_is_not_put_back_by_who_read_the_record_before(
    board: RedisKillBoard,
) -> None:
    stale = [kill("fleet"), kill("venue:ocx")]
    await board.rearm(stale)
    assert await board.lift("fleet", [AT_MS])
    await board.rearm(stale)
    assert await board.kills(MARKET) == (kill("venue:ocx"),)


async def test_every_kill_of_a_scope_is_lifted_with_it(board: RedisKillBoard) -> None:
    """The board shows the last one set, and knows of all."""
    first, second = kill("fleet"), replace(kill("fleet"), at_ms=1_700_000_000_999)
    await board.rearm([])
    await board.set(first)
    await board.set(second)
    assert await board.named("fleet") == {first.at_ms, second.at_ms}
    assert await board.lift("fleet", await board.named("fleet"))
    for stale in (first, second):
        await board.rearm([stale])
    assert await board.kills(MARKET) == ()


@pytest.mark.parametrize("later_ms", [1, -1])
async def test_a_kill_that_is_not_lifted_holds_the_scope(
    board: RedisKillBoard, later_ms: int
) -> None:
    old, new = kill("fleet"), replace(kill("fleet"), at_ms=AT_MS + later_ms, by="bob")
    await board.rearm([old])
    await board.set(new)
    assert await board.lift("fleet", [old.at_ms])
    assert await board.kills(MARKET) == (new,)
    await board.rearm([new])
    assert await board.kills(MARKET) == (new,)


async def test_a_kill_hidden_by_an_older_answer_holds_when_that_is_lifted(
    board: RedisKillBoard,
) -> None:
    old, new = kill("fleet"), replace(kill("fleet"), at_ms=AT_MS + 1, by="bob")
    await board.set(new)
    await board.rearm([old])
    assert await board.lift("fleet", [old.at_ms])
    assert len(await board.kills(MARKET)) == 1
    await board.rearm([new])
    assert await board.kills(MARKET) == (new,)


async def test_a_new_kill_holds_where_another_was_lifted(board: RedisKillBoard) -> None:
    again = replace(kill("fleet"), at_ms=kill("fleet").at_ms - 5_000)
    await board.rearm([kill("fleet")])
    await board.lift("fleet", [AT_MS])
    await board.rearm([again])
    assert await board.kills(MARKET) == (again,), "also when its clock is behind"
    await board.lift("fleet", [again.at_ms])
    await board.set(kill("fleet"))
    assert await board.kills(MARKET) == (kill("fleet"),)
    await board.rearm([kill("fleet")])
    assert await board.kills(MARKET) == (kill("fleet"),)


async def test_an_emptied_redis_does_not_unkill(board: RedisKillBoard, redis: Redis) -> None:
    await board.rearm([kill("fleet")])
    await redis.flushdb()
    with pytest.raises(Unavailable, match="not armed"):
        await board.kills(MARKET)


async def test_an_unreadable_kill_stops_as_well(board: RedisKillBoard, redis: Redis) -> None:
    await board.rearm([])
    await redis.hset("flotilla:test:kills", "fleet", "not json")
    with pytest.raises(Unavailable, match="cannot be read"):
        await board.kills(MARKET)
    await board.rearm([kill("fleet")])
    assert await board.kills(MARKET) == (kill("fleet"),)
    await redis.delete("flotilla:test:kills-named:fleet")
    assert await board.lift("fleet", await board.named("fleet")), "a kill that nobody named"
    assert await board.kills(MARKET) == ()


async def test_watchers_hear_every_change(board: RedisKillBoard) -> None:
    await board.rearm([])
    told = asyncio.Event()
    async with watching(board, told):
        await board.set(kill("fleet"))
        await heard(told)
        await board.lift("fleet", [AT_MS])
        await heard(told)
        await board.rearm([kill("venue:ocx")])
        await heard(told)


async def test_a_watcher_notices_an_emptied_redis(board: RedisKillBoard, redis: Redis) -> None:
    await board.rearm([])
    told = asyncio.Event()
    with pytest.RaisesGroup(pytest.RaisesExc(Unavailable, match="not armed")):
        async with asyncio.timeout(5), watching(board, told) as task:
            await redis.flushdb()
            await asyncio.wait([task])


@pytest.mark.parametrize("trouble", ["cut", "freeze"])
async def test_a_watcher_notices_a_lost_line(
    board: RedisKillBoard, linked: Redis, link: Link, trouble: str
) -> None:
    await board.rearm([])
    told = asyncio.Event()
    with pytest.RaisesGroup(Unavailable):
        async with asyncio.timeout(8), watching(RedisKillBoard(linked, fleet="test"), told) as task:
            getattr(link, trouble)()
            await asyncio.wait([task])


async def test_a_board_out_of_reach_is_unavailable(linked: Redis, link: Link) -> None:
    board = RedisKillBoard(linked, fleet="test")
    link.cut()
    for call in (
        board.kills(MARKET),
        board.set(kill("fleet")),
        board.lift("fleet", [AT_MS]),
        board.named("fleet"),
        board.rearm([]),
    ):
        with pytest.raises(Unavailable):
            await call
