"""Our own services die under quoting: no orphan, no lost or doubled fill, and it goes on."""

import asyncio
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


async def test_a_lost_kill_board_stops_quoting_until_it_is_back(market: Market) -> None:
    await market.quoting()
    await market.hold_a_position()
    epoch = await market.epoch()
    await _kill(market, "valkey")

    async def quotes_again() -> bool:
        return await market.quotes_above(epoch) or (
            "holding" not in await market.been() and await market.has_quotes()
        )

    await market.until("it quotes again", quotes_again, within_s=40)
    await market.hold_a_position()
    await market.finish()
    assert _ordered((await market.log()).epochs())


async def _keep_trading(market: Market) -> None:
    """Fills that arrive while a service is away are the ones that could get lost."""
    while True:
        await market.sell_to_us()
        await asyncio.sleep(0.5)


def _ordered(epochs: list[int]) -> bool:
    return all(before < after for before, after in pairwise(epochs))
