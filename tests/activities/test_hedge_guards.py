"""What stops a hedge, on real parts: kills, leases, breaks, halts, plans that cannot be."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.hedge import HedgeActivities
from activities.hedge_messages import (
    LeaveHedgeInput,
)
from activities.messages import SessionInput
from desk.hedging import HedgeRule, HedgeState
from desk.identity import MarketId
from desk.lifecycle import SessionReason
from desk.orders import Fill, Liquidity
from desk.quoting.parameters import QuoteParameters
from desk.records import Kill
from desk.risk.limits import RiskLimits
from desk.units import Side
from tests.activities.conftest import OpenDesk
from tests.activities.hedger import HEDGE, PLAN, Hedger
from venues.simulation.faults import Fault, FaultKind


async def test_a_halted_market_blocks_and_heals(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk)
        allowed = await hedger.watch()
        desk.venue.engine.halt(HEDGE.symbol, halted=True)
        late = await hedger.send(allowed)
        assert (late.position_after, hedger.held) == (0, 0), late.outcome
        blocked = await hedger.watch()
        assert (blocked.state, blocked.part_lots) == (HedgeState.BLOCKED, 0)
        assert blocked.reason == "ocx/main/ETH-PERP is not traded now"
        assert blocked.obligation == allowed.obligation
        desk.venue.engine.halt(HEDGE.symbol, halted=False)
        await hedger.work_off()
        assert hedger.held == -600


async def test_trouble_at_the_venue_is_told_and_not_thrown(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk)
        desk.venue.faults.add(
            Fault(kind=FaultKind.ERROR_BEFORE, path="*/perps/positions*", count=None)
        )
        blocked = await hedger.watch()
        assert (blocked.state, blocked.part_lots) == (HedgeState.BLOCKED, 0)
        assert blocked.reason.startswith("ocx: ")
        desk.venue.faults.clear()
        await hedger.work_off()
        assert hedger.held == -600


async def test_a_watch_keeps_its_lease_until_there_is_something_to_tell(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk, replace(PLAN, lease_ttl_ms=3_000))
        await hedger.open()
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(hedger.watch(30))
            for _ in range(8):
                await asyncio.sleep(0.5)
                assert not watching.done()
                assert not await desk.ports.lease.acquire(HEDGE, 99, "other", 1_000)
            await hedger.hold("0.6")
            look = await watching
        assert look.owed == -600
        resting = await hedger.watch(1, rest_s=30)
        assert resting.part_lots, "an order is asked for at the latest when the window ends"


@pytest.mark.parametrize("scope", ["fleet", "market:ocx/main/BTC-PERP", "market:ocx/main/ETH-PERP"])
async def test_under_a_kill_only_what_reduces_is_sent(open_desk: OpenDesk, scope: str) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk)
        await hedger.work_off()
        await hedger.hold("1.2")
        allowed = await hedger.watch()
        assert allowed.part_lots
        kill = Kill(scope=scope, reason="drill", by="ana", at_ms=1)
        await desk.ports.board.set(kill)
        await desk.ports.ledger.set_kill(kill)
        late = await hedger.send(allowed)
        assert (late.sent_lots, late.spent) == (0, False)
        assert f"killed at scope {scope} by ana" in late.outcome
        blocked = await hedger.watch()
        assert (blocked.state, blocked.part_lots) == (HedgeState.BLOCKED, 0)
        assert "drill" in blocked.reason
        assert await hedger.open_obligation() is not None, "it is owed all the same"
        await hedger.hold("0")
        await hedger.work_off()
        assert hedger.held == 0


async def test_nothing_is_added_while_too_many_orders_are_unrecorded(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk)
        allowed = await hedger.watch()
        full = replace(desk, ports=replace(desk.ports, max_unrecorded_intents=0))
        late = await Hedger(full).send(allowed)
        assert (late.sent_lots, late.spent) == (0, False)
        assert "not yet in the ledger" in late.outcome
        await hedger.work_off()
        await hedger.hold("0")
        off = await hedger.watch()
        assert off.reduce_only
        hedger.activities = HedgeActivities(full.ports)
        assert (await hedger.send(off)).sent_lots, "an exit is never asked"


async def test_the_kill_file_stops_what_adds(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk)
        await hedger.open()
        (desk.state_dir / "KILL").touch()
        await hedger.hold("0.6")
        look = await hedger.watch()
        assert (look.state, look.part_lots) == (HedgeState.BLOCKED, 0)
        assert "KILL file" in look.reason


async def test_a_quoted_market_cannot_be_the_hedge_market(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        session = SessionInput(
            market=HEDGE,
            life_epoch=1,
            parameters=QuoteParameters(spread_bps=Decimal(5), min_spread_bps=Decimal(1)),
            limits=RiskLimits(),
            run_id="run",
            window_s=30,
        )
        async with asyncio.timeout(40), asyncio.TaskGroup() as tasks:
            quoting = tasks.create_task(desk.run(desk.activities.quote_session, session))
            while not (resting := desk.venue.engine.open_orders("main")):
                await asyncio.sleep(0.02)
            with pytest.raises(ApplicationError, match="is held by somebody else") as refusal:
                await Hedger(desk).open()
            assert refusal.value.non_retryable
            assert resting, "its quotes were let be"
            assert desk.venue.engine.open_orders("main")
            quoting.cancel()


async def test_a_hedged_market_cannot_be_quoted(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk)
        await hedger.open()
        session = SessionInput(
            market=HEDGE,
            life_epoch=1,
            parameters=QuoteParameters(spread_bps=Decimal(5), min_spread_bps=Decimal(1)),
            limits=RiskLimits(),
            run_id="run",
            window_s=5,
            lease_ttl_ms=300,
        )
        with pytest.raises(ApplicationError, match="held by somebody else"):
            await desk.run(desk.activities.quote_session, session)
        assert hedger.orders() == []
        leave = LeaveHedgeInput(plan=PLAN, epoch=hedger.epoch)
        await hedger.call(hedger.activities.leave_hedge, leave)
        quoted = await desk.run(
            desk.activities.quote_session, replace(session, window_s=1, lease_ttl_ms=3_000)
        )
        assert quoted.reason is SessionReason.WINDOW


async def test_a_lease_that_ran_out_is_taken_again_under_a_higher_epoch(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk, replace(PLAN, lease_ttl_ms=200))
        await hedger.open()
        first = hedger.epoch
        await asyncio.sleep(0.3)
        await hedger.hold("0.6")
        look = await hedger.watch()
        assert look.epoch > first
        stale = replace(look, epoch=first)
        refused = await hedger.send(stale)
        assert (refused.sent_lots, hedger.orders()) == (0, [])
        assert "lease" in refused.outcome


async def test_books_that_disagree_stop_the_hedge(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk)
        stray = Fill(
            venue="ocx",
            account="main",
            symbol=HEDGE.symbol,
            trade_id="stray",
            side=Side.BUY,
            price=300_000,
            lots=7,
            liquidity=Liquidity.MAKER,
            fee=Decimal(0),
            fee_estimated=False,
            traded_at_ms=1_700_000_000_000,
        )
        await desk.ports.ledger.book_fills(HEDGE, [stray])
        look = await hedger.watch()
        assert (look.state, look.part_lots) == (HedgeState.BLOCKED, 0)
        assert "ledger has 7 lots, the venue 0" in look.reason
        assert hedger.orders() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hedge": MarketId("ocx", "main", "NOPE")}, "symbol: ocx has no market NOPE"),
        ({"source": MarketId("ocx", "main", "NOPE")}, "symbol: ocx has no market NOPE"),
        (
            {"rule": HedgeRule(threshold=Decimal(1), release=Decimal(2))},
            "release: 2 is not from zero to below threshold 1",
        ),
    ],
)
async def test_a_plan_that_cannot_be_is_refused_in_a_sentence(
    open_desk: OpenDesk, changes: dict[str, Any], words: str
) -> None:
    async with open_desk() as desk:
        with pytest.raises(ApplicationError, match=words) as refusal:
            await Hedger(desk, replace(PLAN, **changes)).open()
        assert refusal.value.non_retryable
        assert await desk.ports.lease.acquire(HEDGE, 99, "other", 1_000), "the lease is free"


async def test_a_debt_for_another_market_is_not_taken_over(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        other = MarketId("ocx", "main", "SOL-PERP")
        await desk.ports.hedges.owe(other, HEDGE, 1, -5, 0)
        with pytest.raises(ApplicationError, match=r"still owes -5 lots for ocx/main/SOL-PERP"):
            await Hedger(desk).open()
        assert await desk.ports.lease.acquire(HEDGE, 99, "other", 1_000), "the lease is free"


async def test_an_open_debt_is_taken_up_by_the_next_start(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk)
        number = (await hedger.watch()).obligation
        leave = LeaveHedgeInput(plan=PLAN, epoch=hedger.epoch)
        await hedger.call(hedger.activities.leave_hedge, leave)
        later = Hedger(desk, replace(PLAN, owner="hedge/later"))
        await later.open()
        look = await later.watch()
        assert (look.obligation, look.owed) == (number, -600)
        await later.work_off()
        assert later.held == -600
        assert (await later.last()).number == number
