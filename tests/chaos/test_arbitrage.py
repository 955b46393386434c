"""Orders, answers and fills of an arbitrage trade that are not as they should be, one by one.

However it ends, the venue's log, the ledger, the record and the claims must agree to the last
digit, and the set must be back under the cap within the stated time.
"""

import asyncio
import time
from decimal import Decimal
from pathlib import Path

import pytest

from desk.arbitrage_records import TradeStage
from tests.chaos.arbitrage_books import triangle_books
from tests.chaos.arbitrage_cup import bulk, cup_books, gone, in_part, open_cup
from tests.support.services import Services
from workflows.arbitrage_messages import ArbitrageState

pytestmark = pytest.mark.timeout(400)


async def test_an_answer_does_not_come_in_time(ground: Services, tmp_path: Path) -> None:
    async with open_cup(ground, tmp_path) as cup:
        await cup.opened()
        await cup.ground.arm(bulk("slow_response", cup.symbols[1], delay_s=12.0))
        await cup.offer()
        await cup.done(0, 1, 2)
        await cup.retract()
        await cup.rests()
        await cup.judged()
        log = await cup.one.log()
        assert [one.lots for one in log.taken] == [10, 10, 10], "nothing was sent twice"
        assert await cup.one.held() == (10, 10, 10)


async def test_an_order_arrives_after_it_was_cancelled_and_hedged(
    ground: Services, tmp_path: Path
) -> None:
    """Its cancel said that nothing rested; only the fills say what is owed."""
    async with open_cup(ground, tmp_path) as cup:
        await cup.opened()
        kept = cup.ground.line.keep(cup.symbols[1])
        await cup.offer()
        await cup.done(0, 2)

        async def hedged() -> bool:
            return len(set(await cup.one.held())) == 1

        await cup.ground.until("it was hedged without that order", hedged)
        kept.let_go.set()
        await cup.retract()
        await cup.rests()
        facts = await cup.judged()
        held, log = await cup.one.held(), await cup.one.log()
        assert len(set(held)) == 1, held
        late = [one for one in log.taken if one.at_ns > kept.passed_ns and one.fired]
        assert bool(late) != ("duplicate_client_order_id" in log.refused), (late, log.refused)
        assert facts.trades


async def test_a_fill_that_the_cancel_raced_is_told_by_nobody(
    ground: Services, tmp_path: Path
) -> None:
    """The answer is lost, the cancel finds nothing, and no stream ever tells the fill."""
    async with open_cup(ground, tmp_path) as cup:
        await cup.opened()
        symbol = cup.symbols[1]
        await cup.ground.arm(
            bulk("response_lost", symbol), {"kind": "fill_untold", "market": symbol}
        )
        await cup.offer()
        await cup.done(0, 1, 2)
        await cup.retract()
        await cup.rests()
        await cup.judged()
        assert await cup.one.held() == (10, 10, 10)


async def test_two_legs_fill_in_part(ground: Services, tmp_path: Path) -> None:
    async with open_cup(ground, tmp_path) as cup:
        await cup.opened()
        await cup.ground.arm(in_part(cup.symbols[0], 0.5), in_part(cup.symbols[1], 0.2))
        await cup.offer()
        await cup.done(0, 1, 2)
        await cup.retract()
        await cup.rests()
        facts = await cup.judged()
        assert len(set(await cup.one.held())) == 1
        assert any(not one.fired for one in facts.log.taken), "something had to be hedged"


async def test_a_hedge_below_the_least_size_is_told_as_dust(
    ground: Services, tmp_path: Path
) -> None:
    async with open_cup(ground, tmp_path, cup_books(min_lots=4)) as cup:
        await cup.opened()
        await cup.ground.arm(in_part(cup.symbols[1], 0.8))
        await cup.offer()
        await cup.done(0, 1, 2)
        await cup.retract()
        await cup.rests()
        facts = await cup.judged()
        assert await cup.one.held() == (10, 8, 10)
        assert facts.status.dust == 2 * (Decimal("0.176") + Decimal("0.476"))
        assert all(one.fired for one in facts.log.taken), "nothing was sent for what no venue takes"


async def test_a_hedge_is_refused_and_goes_through_in_the_end(
    ground: Services, tmp_path: Path
) -> None:
    async with open_cup(ground, tmp_path) as cup:
        await cup.opened()
        refused = [bulk("margin_reject", symbol, skip=1, count=5) for symbol in cup.symbols]
        await cup.ground.arm(gone(cup.symbols[1]), *refused)
        await cup.offer()
        await cup.done(0, 2)
        await cup.retract()
        await cup.rests(within_s=90)
        facts = await cup.judged()
        assert len(set(await cup.one.held())) == 1
        struck = {one["market"]: one["struck"] for one in await cup.faults()}
        assert facts.trades[0].rounds >= 2, struck


async def test_a_leg_of_a_triangle_vanishes(ground: Services, tmp_path: Path) -> None:
    async with open_cup(ground, tmp_path, triangle_books("COIN")) as cup:
        await cup.opened()
        await cup.ground.arm(gone(cup.symbols[2]))
        await cup.offer(400)
        await cup.done(0, 1)
        await cup.retract()
        await cup.rests()
        facts = await cup.judged()
        assert facts.trades[0].stage is TradeStage.SETTLED


async def test_two_accounts_never_claim_more_than_is_shown(
    ground: Services, tmp_path: Path
) -> None:
    async with open_cup(ground, tmp_path) as cup:
        await cup.opened(workers=2)
        await cup.second.start()
        await cup.second.watching()
        for symbol in cup.symbols:
            # Answers come late, so that claims live long enough to be in each other's way.
            await cup.ground.arm(bulk("slow_response", symbol, delay_s=1.0, count=2))
        await cup.offer(25)
        await cup.done(0, 1, 2)
        await asyncio.sleep(3)
        await cup.retract()
        await cup.rests()
        taken = [one for live in (cup.one, cup.second) for one in (await live.log()).taken]
        by_leg = dict.fromkeys(cup.symbols, 0)
        for one in taken:
            by_leg[one.symbol] += one.lots
        assert all(lots <= 25 for lots in by_leg.values()), by_leg
        until_ns = time.time_ns()
        for live in (cup.one, cup.second):
            await live.stop()
        await cup.judge(until_ns)
        await cup.judge(until_ns, cup.second)


async def test_what_is_held_is_paid_out_to_the_last_digit(ground: Services, tmp_path: Path) -> None:
    async with open_cup(ground, tmp_path) as cup:
        await cup.opened()
        before = await cup.ground.money("main")
        await cup.ground.arm(in_part(cup.symbols[2], 0.5))
        await cup.offer(30)
        await cup.done(0, 1, 2)
        await asyncio.sleep(2)
        await cup.retract()
        await cup.rests()
        until_ns = time.time_ns()
        await cup.ground.post("settle", {"event": "CUP", "winner": "OUT2"})
        facts = await cup.judge(until_ns)
        assert facts.status.state is ArbitrageState.SETTLED
        assert facts.status.locked == 0
        after = await cup.ground.money("main")
        ledger = sum((fold.cash - fold.fees for fold in facts.folds.values()), Decimal(0))
        assert after["perps"] - before["perps"] == ledger
