"""Drills on real parts: only marked markets are touched, and a brake that fails is said to fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest
from temporalio.exceptions import ApplicationError

from activities.drill import DrillActivities
from activities.drill_messages import DrillDone, DrillInput
from activities.ports import ActivityPorts
from desk.drill_ports import PanicSaid
from desk.drills import DrillKind
from desk.identity import MarketId
from desk.records import Kill
from desk.units import NS_PER_MS, Side
from quoting.lone_order import LoneOrder, place
from tests.activities.conftest import MARKET, Desk, OpenDesk
from tests.activities.test_market_activities import PREFLIGHT

pytestmark = pytest.mark.services

MARKED = {"FLOTILLA_DRILL_MARKETS": MARKET.path}


def asked(kind: DrillKind, within_s: int = 12) -> DrillInput:
    return DrillInput(
        kind=kind,
        market=MARKET,
        fleet="main",
        run_id="run-1",
        within_s=within_s,
        max_notional=Decimal(1_000),
    )


async def resting(desk: Desk) -> int:
    venue = await desk.ports.venues.venue(MARKET.venue, MARKET.account)
    return len(await venue.account.open_orders(None))


async def cancel_all(desk: Desk) -> None:
    venue = await desk.ports.venues.venue(MARKET.venue, MARKET.account)
    await venue.execution.cancel_all(None)


@asynccontextmanager
async def a_guardian(desk: Desk) -> AsyncIterator[None]:
    """Somebody who cancels at the venue when a lease has run out, and strikes it off."""

    async def watch() -> None:
        while True:
            for lost in await desk.ports.lost.expired():
                if await desk.ports.lost.claim(lost, "guardian", 5_000):
                    await cancel_all(desk)
                    await desk.ports.lost.settle(lost)
            await asyncio.sleep(0.1)

    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()


async def test_a_market_that_is_not_marked_is_never_touched(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        with pytest.raises(ApplicationError, match="is not marked for drills; name it in FLOTILLA"):
            await desk.run(DrillActivities(desk.ports).prepare_drill, asked(DrillKind.KILL))


async def test_an_account_at_work_is_not_drilled(open_desk: OpenDesk) -> None:
    other = MarketId(MARKET.venue, MARKET.account, "ETH-PERP")
    async with open_desk(**MARKED) as desk:
        assert await desk.ports.lease.acquire(other, 1, "somebody", 60_000)
        with pytest.raises(ApplicationError, match="needs an account of its own"):
            await desk.run(DrillActivities(desk.ports).prepare_drill, asked(DrillKind.PANIC))


async def test_the_dead_man_drill_passes_only_if_somebody_else_acts(open_desk: OpenDesk) -> None:
    async with open_desk(**MARKED) as desk:
        drills = DrillActivities(desk.ports)
        ready = await desk.run(drills.prepare_drill, asked(DrillKind.DEAD_MAN))
        assert 0 < ready.level_notional <= 1_000
        with pytest.raises(ApplicationError, match="no guardian took it away"):
            await desk.run(drills.drill_dead_man, asked(DrillKind.DEAD_MAN, within_s=5))
        assert await resting(desk) == 1, "the drill itself must not hide that nobody acted"
        await desk.run(drills.clean_drill, asked(DrillKind.DEAD_MAN))
        assert await resting(desk) == 0
        async with a_guardian(desk):
            seen = await desk.run(drills.drill_dead_man, asked(DrillKind.DEAD_MAN))
        assert "venue lists zero, twice" in seen.facts[-1]


@pytest.mark.parametrize("cancels", [True, False])
async def test_the_panic_drill_believes_the_venue_alone(
    open_desk: OpenDesk, *, cancels: bool
) -> None:
    async with open_desk(**MARKED) as desk:

        async def panic(venue: str, account: str) -> PanicSaid:
            assert await resting(desk) == 1
            if cancels:
                await cancel_all(desk)
            return PanicSaid(exit_code=0, output=f"{venue}/{account}: all is well")

        ground = replace(desk.ports.drills, panic=panic)
        ports: ActivityPorts = replace(desk.ports, drills=ground)
        drills = DrillActivities(ports)
        if cancels:
            seen = await desk.run(drills.drill_panic, asked(DrillKind.PANIC))
            assert "ocx/main: all is well" in seen.facts
        else:
            with pytest.raises(ApplicationError, match="the venue lists 1 orders"):
                await desk.run(drills.drill_panic, asked(DrillKind.PANIC))


async def test_a_failed_drill_blocks_starts_until_somebody_takes_it(open_desk: OpenDesk) -> None:
    done = DrillDone(
        kind=DrillKind.KILL,
        market=MarketId("ocx", "drill", "BTC-PERP"),
        run_id="run-1",
        began_at_ms=1,
        ended_at_ms=2,
        passed=False,
        message="orders still rested",
        evidence="",
    )
    async with open_desk() as desk:
        await desk.run(DrillActivities(desk.ports).record_drill, done)
        with pytest.raises(ApplicationError, match="orders still rested; find out why"):
            await desk.run(desk.activities.preflight, PREFLIGHT)
        (failed,) = await desk.ports.drills.book.failed()
        assert await desk.ports.drills.book.acknowledge(failed.number, "ana", "fixed")
        await desk.run(desk.activities.preflight, PREFLIGHT)


async def kill(desk: Desk, scope: str, at_ms: int | None = None) -> Kill:
    """A person's kill, in the record and on the board."""
    now_ms = desk.ports.clock.wall_ns() // NS_PER_MS
    given = Kill(scope=scope, reason="stop all", by="ana", at_ms=at_ms or now_ms)
    await desk.ports.ledger.set_kill(given)
    await desk.ports.board.rearm(await desk.ports.ledger.active_kills())
    return given


@pytest.mark.parametrize("scope", ["fleet", f"market:{MARKET.path}"])
async def test_nothing_is_drilled_while_a_kill_covers_the_market(
    open_desk: OpenDesk, scope: str
) -> None:
    async with open_desk(**MARKED) as desk:
        drills = DrillActivities(desk.ports)
        await kill(desk, scope)
        for refuses in (drills.prepare_drill, drills.drill_kill, drills.drill_dead_man):
            with pytest.raises(ApplicationError, match=f"killed at scope {scope} by ana") as said:
                await desk.run(refuses, asked(DrillKind.DEAD_MAN))
            assert said.value.non_retryable
        assert not _accepted(desk)


async def test_a_kill_file_that_comes_late_keeps_the_order_back(open_desk: OpenDesk) -> None:
    async with open_desk(**MARKED) as desk:
        drills = DrillActivities(desk.ports)
        await desk.run(drills.prepare_drill, asked(DrillKind.PANIC))
        (desk.state_dir / "KILL").write_text("ana")
        with pytest.raises(ApplicationError, match="the KILL file is present"):
            await desk.run(drills.drill_panic, asked(DrillKind.PANIC))
        assert not _accepted(desk)


async def test_a_drill_sends_nothing_while_too_many_orders_are_unrecorded(
    open_desk: OpenDesk,
) -> None:
    async with open_desk(**MARKED) as desk:
        drills = DrillActivities(replace(desk.ports, max_unrecorded_intents=0))
        with pytest.raises(ApplicationError, match="orders sent and not yet in the ledger"):
            await desk.run(drills.drill_panic, asked(DrillKind.PANIC))
        assert not _accepted(desk)


async def test_a_drill_lifts_its_own_kill_alone(open_desk: OpenDesk) -> None:
    async with open_desk(**MARKED) as desk:
        theirs = await kill(desk, f"market:{MARKET.path}")
        request = replace(asked(DrillKind.KILL), kill_at_ms=theirs.at_ms - 5)
        await desk.run(DrillActivities(desk.ports).clean_drill, request)
        assert await desk.ports.ledger.active_kills() == (theirs,)
        assert await desk.ports.board.kills(MARKET) == (theirs,)
        await desk.run(
            DrillActivities(desk.ports).clean_drill, replace(request, kill_at_ms=theirs.at_ms)
        )
        assert await desk.ports.ledger.active_kills() == ()


async def test_lots_that_are_left_are_a_failure(open_desk: OpenDesk) -> None:
    async with open_desk(**MARKED) as desk:
        drills = DrillActivities(desk.ports)
        await buy(desk)
        with pytest.raises(ApplicationError, match="lots are left at ocx/main/BTC-PERP") as said:
            await desk.run(drills.clean_drill, asked(DrillKind.KILL))
        assert said.value.non_retryable
        with pytest.raises(ApplicationError, match="lots; flatten it before a drill"):
            await desk.run(drills.prepare_drill, asked(DrillKind.KILL))


async def test_a_market_that_somebody_holds_is_not_drilled(open_desk: OpenDesk) -> None:
    async with open_desk(**MARKED) as desk:
        assert await desk.ports.lease.acquire(MARKET, 1, "somebody", 60_000)
        with pytest.raises(ApplicationError, match="is held by .*somebody"):
            await desk.run(DrillActivities(desk.ports).prepare_drill, asked(DrillKind.PANIC))


async def buy(desk: Desk) -> None:
    """Have the crowd sell to an order of ours."""
    venue = await desk.ports.venues.venue(MARKET.venue, MARKET.account)
    (instrument,) = [one for one in await venue.instruments() if one.symbol == MARKET.symbol]

    async def permitted() -> None:
        """Nothing is in the way."""

    order = LoneOrder(market=MARKET, epoch=1, max_notional=Decimal(1_000))
    await place(order, instrument, venue, desk.ports.writer, desk.ports.clock, permitted=permitted)
    assert _accepted(desk)
    (resting,) = desk.venue.engine.open_orders("main")
    desk.venue.world.crowd_trade(MARKET.symbol, Side.SELL, 10**7, resting.price)


def _accepted(desk: Desk) -> list[object]:
    return [one for one in desk.venue.engine.events(0) if one["event"] == "OrderAccepted"]
