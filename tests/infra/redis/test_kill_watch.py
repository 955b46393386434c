"""Many markets of a process watch the board over one connection, and none misses a change."""

import asyncio
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
KILL = Kill(scope="fleet", reason="drill", by="ann", at_ms=1_700_000_000_123)
WATCHERS = 80


async def all_heard(told: list[asyncio.Event]) -> None:
    async with asyncio.timeout(5):
        for one in told:
            await one.wait()
    for one in told:
        one.clear()


async def test_more_markets_than_connections_hear_every_change(redis: Redis) -> None:
    board = RedisKillBoard(redis, fleet="test")
    await board.rearm([])
    told = [asyncio.Event() for _ in range(WATCHERS)]
    async with asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(board.watch(one.set)) for one in told]
        await all_heard(told)
        await board.set(KILL)
        await all_heard(told)
        assert await board.kills(MARKET) == (KILL,), "and connections are left for questions"
        for task in watching:
            task.cancel()


async def test_one_subscription_serves_all(redis: Redis) -> None:
    board = RedisKillBoard(redis, fleet="test")
    await board.rearm([])
    told = [asyncio.Event() for _ in range(WATCHERS)]
    async with asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(board.watch(one.set)) for one in told]
        await all_heard(told)
        subscribed = dict(await redis.pubsub_numsub("flotilla:test:kills-changed"))
        assert subscribed == {"flotilla:test:kills-changed": 1}
        for task in watching:
            task.cancel()


async def test_the_next_one_listens_when_the_listener_leaves(redis: Redis) -> None:
    board = RedisKillBoard(redis, fleet="test")
    await board.rearm([])
    told = [asyncio.Event() for _ in range(3)]
    async with asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(board.watch(one.set)) for one in told]
        await all_heard(told)
        for count, task in enumerate(watching[:-1], 1):
            task.cancel()
            # Whoever takes over tells everybody left: something may have changed meanwhile.
            await all_heard(told[count:])
            await board.set(replace(KILL, at_ms=KILL.at_ms + count))
            await all_heard(told[count:])
        watching[-1].cancel()


async def test_a_latecomer_is_told_at_once(redis: Redis) -> None:
    board = RedisKillBoard(redis, fleet="test")
    await board.rearm([])
    told = [asyncio.Event() for _ in range(2)]
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(board.watch(told[0].set))
        await all_heard(told[:1])
        second = tasks.create_task(board.watch(told[1].set))
        await all_heard(told[1:])
        first.cancel()
        second.cancel()


async def test_every_watcher_learns_in_its_turn_that_the_line_is_lost(
    linked: Redis, link: Link
) -> None:
    board, told = RedisKillBoard(linked, fleet="test"), [asyncio.Event() for _ in range(3)]
    await board.rearm([])
    watching = [asyncio.ensure_future(board.watch(one.set)) for one in told]
    await all_heard(told)
    link.cut()
    async with asyncio.timeout(20):
        ends = await asyncio.gather(*watching, return_exceptions=True)
    assert all(isinstance(end, Unavailable) for end in ends), ends
