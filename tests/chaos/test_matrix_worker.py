"""A worker dies or freezes in each state of a market's life: judged by the venue's own log."""

import pytest

from tests.chaos.ground import Market
from tests.chaos.invariants import GateClosed
from tests.chaos.matrix import (
    SLOW_S,
    STATES,
    State,
    Strike,
    at_work,
    hushed,
    manned,
    struck,
    thawed,
)
from tests.chaos.verdict import judged, killed

pytestmark = pytest.mark.timeout(400)


@pytest.mark.parametrize("strike", Strike)
@pytest.mark.parametrize("name", STATES)
async def test_a_worker_is_struck_while(market: Market, name: str, strike: Strike) -> None:
    await _struck_while(market, STATES[name], strike)


@pytest.mark.parametrize("strike", Strike)
async def test_a_worker_is_struck_while_quoting_at_x10(x10_market: Market, strike: Strike) -> None:
    await _struck_while(x10_market, STATES["quoting"], strike)


@pytest.mark.parametrize("strike", Strike)
async def test_a_worker_is_struck_while_quoting_at_zo(zo_market: Market, strike: Strike) -> None:
    await _struck_while(zo_market, STATES["quoting"], strike)


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


async def _struck_while(market: Market, state: State, strike: Strike) -> None:
    await manned(market)
    await state.reach(market)
    before = (await market.log()).sequence
    victim = await at_work(market)
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
