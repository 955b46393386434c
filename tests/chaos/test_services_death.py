"""Our own services die under quoting: no orphan, no lost or doubled fill, and it goes on."""

import asyncio
import os
import signal
from itertools import pairwise

import pytest

from tests.chaos.ground import Market


async def _kill(market: Market, name: str) -> None:
    await asyncio.to_thread(market.services.kill, name)


@pytest.mark.parametrize("name", ["temporal", "postgres"])
async def test_quoting_survives_the_death_of(market: Market, name: str) -> None:
    await market.quoting()
    await market.hold_a_position()
    before = (await market.log()).accepted()[-1].sequence
    trading = asyncio.create_task(_keep_trading(market))
    try:
        await _kill(market, name)
    finally:
        trading.cancel()

    async def quotes_anew() -> bool:
        log = await market.log()
        newer = [order for order in log.accepted() if order.sequence > before]
        return bool(newer) and bool(log.resting())

    await market.until("it quotes afterwards", quotes_anew, within_s=40)
    await market.hold_a_position()
    await market.finish()
    assert _ordered((await market.log()).epochs())


async def test_quoting_survives_the_death_of_the_kill_board(market: Market) -> None:
    await market.quoting()
    await market.hold_a_position()
    before = (await market.log()).accepted()[-1].sequence
    await _kill(market, "valkey")

    async def quotes_anew() -> bool:
        log = await market.log()
        return log.accepted()[-1].sequence > before and bool(log.resting())

    await market.until("it quotes afterwards", quotes_anew, within_s=40)
    await market.hold_a_position()
    await market.finish()
    assert _ordered((await market.log()).epochs())


async def test_a_kill_board_that_hangs_stops_quoting_until_it_answers(market: Market) -> None:
    await market.quoting()
    await market.hold_a_position()
    epoch = await market.epoch()
    board = market.services.pid("valkey")
    os.kill(board, signal.SIGSTOP)
    try:
        took = await market.until("nothing rests", market.has_none, within_s=10)
    finally:
        os.kill(board, signal.SIGCONT)
    print(f"kill board hangs: nothing rested after {took:.2f} s")  # noqa: T201
    await market.until("it quotes again", lambda: market.quotes_above(epoch), within_s=40)
    assert "holding" in await market.been()
    await market.finish()
    assert _ordered((await market.log()).epochs())


async def _keep_trading(market: Market) -> None:
    """Fills that arrive while a service is away are the ones that could get lost."""
    while True:
        await market.sell_to_us()
        await asyncio.sleep(0.5)


def _ordered(epochs: list[int]) -> bool:
    return all(before < after for before, after in pairwise(epochs))
