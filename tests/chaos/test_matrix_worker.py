"""A worker dies or freezes in each state of a market's life: judged by the venue's own log."""

import asyncio

import pytest
from temporalio.client import WorkflowFailureError

from desk.records import KillStage
from tests.chaos.ground import Market
from tests.chaos.invariants import GateClosed
from tests.chaos.matrix import (
    SLOW_S,
    STATES,
    Strike,
    at_work,
    hushed,
    is_now,
    manned,
    struck,
    thawed,
)
from tests.chaos.verdict import judged, killed

pytestmark = pytest.mark.timeout(600)

STOPPED = {KillStage.GATE_CLOSED, KillStage.CANCELS_SENT, KillStage.LISTED_ZERO}


@pytest.mark.parametrize("strike", Strike)
@pytest.mark.parametrize("name", STATES)
async def test_a_worker_is_struck_while(market: Market, name: str, strike: Strike) -> None:
    await _struck_while(market, name, strike)


@pytest.mark.parametrize("strike", Strike)
async def test_a_worker_is_struck_while_quoting_at_x10(x10_market: Market, strike: Strike) -> None:
    await _struck_while(x10_market, "quoting", strike)


@pytest.mark.parametrize("strike", Strike)
async def test_a_worker_is_struck_while_quoting_at_zo(zo_market: Market, strike: Strike) -> None:
    await _struck_while(zo_market, "quoting", strike)


@pytest.mark.parametrize("strike", Strike)
async def test_a_kill_meets_a_worker_that_was_struck(market: Market, strike: Strike) -> None:
    """No brake disables another: the dead-man's switch is pulled in a market that is killed."""
    await manned(market)
    await STATES["quoting"].reach(market)
    victim = await at_work(market)
    orphan = await struck(market, strike, victim)
    async with killed(market, f"market:{market.id.path}") as kill:
        await market.until("nothing rests", market.has_none, within_s=SLOW_S)
        await hushed(market, on=False)
        await market.ended(within_s=SLOW_S)
        if strike is Strike.FREEZE:
            await thawed(market, victim, orphan)
    await judged(market, gates=(GateClosed(at_ms=kill.at_ms),), orphaned=(orphan,))


async def test_a_kill_struck_while_a_market_starts_lets_nothing_out(market: Market) -> None:
    """No session has been yet that could answer: that nothing rests is looked up all the same."""
    await manned(market)
    await STATES["starting"].reach(market)
    assert await is_now(market, "starting")
    async with killed(market, f"market:{market.id.path}") as kill:
        assert await is_now(market, "starting"), "it was not struck in that state"
        await STATES["starting"].release(market)
        assert "fault test" in await _last_word(market)

        async def complete() -> bool:
            async with market.control() as ports:
                said = await ports.answers.answers(kill.scope, kill.at_ms)
            return {one.stage for one in said if one.market == market.id} >= STOPPED

        await market.until("the kill is answered with evidence", complete, within_s=SLOW_S)
    assert (await market.log()).accepted() == []
    await judged(market, gates=(GateClosed(at_ms=kill.at_ms, in_flight_ns=0),))


async def _last_word(market: Market) -> str:
    """Why the market ended: its start was refused, or it stood down at once."""
    assert market.handle is not None
    async with asyncio.timeout(SLOW_S):
        try:
            return (await market.handle.result()).reason
        except WorkflowFailureError as failure:
            return str(failure.cause.__cause__)


async def _struck_while(market: Market, name: str, strike: Strike) -> None:
    state = STATES[name]
    await manned(market)
    await state.reach(market)
    before = (await market.log()).sequence
    victim = await at_work(market)
    assert await is_now(market, name), "it was not struck in that state"
    orphan = await struck(market, strike, victim)

    async def cleared() -> bool:
        return not (await market.log()).left_by(orphan.epoch)

    await market.until("nothing of it rests", cleared, within_s=SLOW_S)
    if orphan.epoch:
        gone_s = max(0, (await market.log()).gone_ns(orphan.epoch) - orphan.at_ns) / 1e9
        print(f"{strike}: its last order was gone after {gone_s:.2f} s")  # noqa: T201
    await hushed(market, on=False)
    await state.release(market)
    if state.ends:
        await market.ended(within_s=SLOW_S)
    else:
        await market.until(
            "it quotes anew", lambda: market.quotes_above(orphan.epoch), within_s=SLOW_S
        )
    if strike is Strike.FREEZE:
        await thawed(market, victim, orphan)
    if not state.ends:
        await market.finish(within_s=SLOW_S)
    await judged(market, orphaned=(orphan,), flat_since=before if state.flattens else None)
