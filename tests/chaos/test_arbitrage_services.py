"""Workers and services taken away in the middle of an arbitrage trade, and a kill.

However it ends, the venue's log, the ledger, the record and the claims must agree to the last
digit, and the set must be back under the cap within the stated time.
"""

import asyncio
import time
from pathlib import Path

import pytest

from desk.arbitrage_records import TradeStage
from desk.records import Kill
from desk.units import NS_PER_MS
from flotilla.control import lift_kills, open_control
from flotilla.kills import tell_everybody
from tests.chaos.arbitrage_cup import bulk, gone, open_cup
from tests.chaos.arbitrage_facts import Told
from tests.chaos.arbitrage_strikes import excused, flushed, one_dies
from tests.chaos.freezing import frozen
from tests.chaos.ground import kill
from tests.support.services import Services

pytestmark = pytest.mark.timeout(400)


@pytest.mark.parametrize("others", ["never arrive", "arrive late"])
async def test_the_worker_dies_after_leg_one_and_the_other_orders(
    ground: Services, tmp_path: Path, others: str
) -> None:
    async with open_cup(ground, tmp_path) as cup:
        await cup.opened()
        lost = others == "never arrive"
        kept = [cup.ground.line.keep(symbol, lost=lost) for symbol in cup.symbols[1:]]
        await cup.offer()
        await cup.done(0)
        assert all(one.taken_ns for one in kept), "the other legs' orders were on their way"
        async with excused(cup.ground):
            await kill(cup.ground.workers[0])
            assert await cup.one.held() == (10, 0, 0)
            await cup.ground.worker()
        if not lost:
            # They arrive while the next one works it off.
            await asyncio.sleep(1.0)
            for one in kept:
                one.let_go.set()
        await cup.rests()
        facts = await cup.judged()
        held = await cup.one.held()
        assert len(set(held)) == 1, held
        (trade,) = facts.trades
        assert trade.stage in {TradeStage.BALANCED, TradeStage.SETTLED}


async def test_a_worker_dies_and_another_one_takes_over_in_time(
    ground: Services, tmp_path: Path
) -> None:
    """Somebody else polls already, so nothing is excused."""
    async with open_cup(ground, tmp_path) as cup:
        await cup.opened(workers=2)
        kept = [cup.ground.line.keep(symbol, lost=True) for symbol in cup.symbols[1:]]
        await cup.offer()
        await cup.done(0)
        host = await cup.ground.host_of(cup.one.name)
        assert host is not None
        await one_dies(cup.ground, host)
        await cup.rests()
        await cup.judged()
        assert all(one.taken_ns for one in kept)


async def test_redis_is_flushed_while_a_claim_lives(ground: Services, tmp_path: Path) -> None:
    async with open_cup(ground, tmp_path) as cup:
        await cup.opened()
        await cup.ground.arm(
            gone(cup.symbols[1]), bulk("slow_response", cup.symbols[0], delay_s=3.0)
        )
        await cup.offer(40)
        await cup.done(0, 2)

        async def claimed() -> bool:
            return any(one.key.set_name == cup.one.name for one in await cup.ground.claims.open())

        await cup.ground.until("it is claimed", claimed)
        at_ns = await flushed(cup.ground)
        await cup.rests()
        await cup.retract()
        await cup.rests()
        facts = await cup.judged()
        again = [one for one in facts.log.taken if one.fired and one.at_ns > at_ns]
        print(f"fired again {len(again)} times after the flush")  # noqa: T201
        held = [trade for trade in facts.trades if trade.stage is TradeStage.BALANCED]
        assert len(facts.claims) == len(held), "what is held is claimed again"


async def test_temporal_is_away_while_something_is_owed(ground: Services, tmp_path: Path) -> None:
    """A run goes on hedging by itself: nothing is excused, and it is over before it is back."""
    async with open_cup(ground, tmp_path) as cup:
        await cup.opened()
        refused = [bulk("margin_reject", symbol, skip=1, count=1) for symbol in cup.symbols]
        await cup.ground.arm(gone(cup.symbols[1]), *refused)
        with frozen(cup.ground.services.pid("temporal")):
            await cup.offer()
            await cup.done(0, 2)
            await cup.retract()

            async def level() -> bool:
                return len(set(await cup.one.held())) == 1

            await cup.ground.until("it is hedged without Temporal", level, within_s=20)
        await cup.rests()
        await cup.judged()


async def test_temporal_is_away_and_the_worker_dies(ground: Services, tmp_path: Path) -> None:
    """Nobody can be given the trade until Temporal is back; then it is worked off in time."""
    async with open_cup(ground, tmp_path) as cup:
        await cup.opened(workers=2)
        for symbol in cup.symbols[1:]:
            cup.ground.line.keep(symbol, lost=True)
        host = await cup.ground.host_of(cup.one.name)
        assert host is not None
        async with excused(cup.ground):
            with frozen(cup.ground.services.pid("temporal")):
                await cup.offer()
                await cup.done(0)
                await kill(host)
                await asyncio.sleep(8)
                assert await cup.one.held() == (10, 0, 0)
        await cup.retract()
        await cup.rests()
        await cup.judged()


async def test_a_kill_while_something_is_owed_lets_only_what_reduces_out(
    ground: Services, tmp_path: Path
) -> None:
    async with open_cup(ground, tmp_path) as cup:
        await cup.opened()
        refused = [bulk("margin_reject", symbol, skip=1, count=1) for symbol in cup.symbols]
        await cup.ground.arm(gone(cup.symbols[1]), *refused)
        await cup.offer(40)
        await cup.done(0, 2)
        told = Kill(
            scope=f"market:{cup.one.markets[0].path}",
            reason="fault test",
            by="test",
            at_ms=time.time_ns() // NS_PER_MS,
        )
        assert (await tell_everybody(cup.ground.settings, told)).board is None
        from_ns = time.time_ns()
        await cup.rests()
        await asyncio.sleep(3)  # the edge is still shown
        cup.one.kills.append(Told(from_ns=from_ns, until_ns=time.time_ns()))
        await cup.retract()
        async with open_control(cup.ground.settings) as ports:
            await lift_kills(ports.board, ports.ledger, told.scope, by="test", reason="it is over")
        await cup.judged()
        assert len(set(await cup.one.held())) == 1
