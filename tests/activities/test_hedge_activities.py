"""A hedge on real parts: the debt is written before the order, and only fills or a name end it."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from activities.hedge_messages import (
    ReleaseHedgeInput,
)
from desk.hedging import HedgeState
from desk.risk.limits import RiskLimits
from tests.activities.conftest import MARKET, OpenDesk
from tests.activities.hedger import BULK, HEDGE, PLAN, Hedger
from venues.ocx.simulator.settings import DEFAULT_MARKETS
from venues.simulation.faults import Fault, FaultKind


async def test_the_debt_is_written_before_the_order_and_ended_by_fills(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk, "0.4999")
        idle = await hedger.watch()
        assert (idle.state, idle.owed) == (HedgeState.WATCHING, 0)
        await hedger.hold("0.8")
        look = await hedger.watch()
        assert (look.state, look.owed, look.target) == (HedgeState.OWING, -800, -800)
        assert -800 <= look.part_lots < 0
        owed = await hedger.open_obligation()
        assert owed is not None
        assert (owed.source, owed.opening_owed, owed.opening_position) == (MARKET, -800, 0)
        assert hedger.orders() == [], "nothing was sent yet"
        await hedger.send(look)
        standing = await hedger.open_obligation()
        assert standing is not None, "a part of it discharges nothing"
        done = await hedger.work_off()
        assert (done.state, done.obligation, done.owed) == (HedgeState.WATCHING, None, 0)
        assert hedger.held == -800
        assert (await hedger.last()).discharged_by == "fills"
        facts = await desk.ports.ledger.facts(HEDGE, 0)
        assert facts.position == -800
        assert {order["time_in_force"] for order in hedger.orders()} == {"ioc"}


async def test_the_hedge_comes_off_reduce_only_when_the_inventory_is_gone(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk)
        await hedger.work_off()
        sent = len(hedger.orders())
        await hedger.hold("0.3")
        assert (await hedger.watch()).part_lots == 0, "within the band nothing is done"
        await hedger.hold("0.05")
        await hedger.work_off()
        assert hedger.held == 0
        assert all(order["reduce_only"] for order in hedger.orders()[sent:])
        assert len(hedger.orders()) > sent
        await hedger.hold("-0.7")
        await hedger.work_off()
        assert hedger.held == 700


async def test_a_part_fill_leaves_the_rest_owed(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        best = desk.venue.engine.book(HEDGE.symbol, 1)[0][0][1]
        quantity = (Decimal(best) / 1_000 + Decimal(1)).quantize(Decimal("0.0001"))
        plan = replace(
            PLAN,
            slice_notional=Decimal(10_000_000),
            max_slippage_bps=Decimal(0),
            limits=RiskLimits(
                max_order_notional=Decimal(10_000_000), max_position=Decimal(10_000_000)
            ),
        )
        hedger = await Hedger.at_work(desk, str(quantity), plan=plan)
        look = await hedger.watch()
        assert look.part_lots == look.owed < -best
        report = await hedger.send(look)
        assert (report.position_after, report.spent) == (-best, True)
        rest = await hedger.watch()
        owed = await hedger.open_obligation()
        assert owed is not None
        assert (rest.state, rest.obligation) == (HedgeState.OWING, owed.number)
        assert rest.owed == owed.owed == look.owed + best
        assert owed.filled == -best
        assert owed.opening_owed == look.owed


async def test_an_attempt_that_died_after_sending_does_not_send_again(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk)
        look = await hedger.watch()
        first = await hedger.send(look)
        hedger.step -= 1
        again = await hedger.send(look, attempt=2)
        assert again.sent_lots == 0
        assert again.position_after == first.position_after == look.part_lots
        assert again.spent, "the next order gets an id of its own"
        assert len(hedger.orders()) == 1


async def test_a_cancelled_attempt_and_its_successor_are_one_order(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk)
        look = await hedger.watch()
        desk.venue.faults.add(Fault(kind=FaultKind.SLOW_RESPONSE, path=BULK, delay_s=30))
        dying = asyncio.create_task(hedger.send(look))
        async with asyncio.timeout(10):
            while not hedger.orders():
                await asyncio.sleep(0.01)
        dying.cancel()
        await asyncio.wait([dying])
        desk.venue.faults.clear()
        again = await hedger.send(look, attempt=2)
        assert again.position_after == look.part_lots
        assert len(hedger.orders()) == 1
        await hedger.work_off()
        assert hedger.held == -600


async def test_an_id_the_venue_knows_already_is_given_up(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk, "1.5")
        await hedger.send(await hedger.watch())
        hedger.step -= 1
        held = hedger.held
        report = await hedger.send(await hedger.watch())
        assert (hedger.held, report.position_after) == (held, held), "one id is one order"
        assert report.spent
        await hedger.work_off()
        assert hedger.held == -1_500


@pytest.mark.parametrize("kind", [FaultKind.RESPONSE_LOST, FaultKind.ERROR_AFTER])
async def test_an_order_with_a_lost_answer_is_found_by_its_fills(
    open_desk: OpenDesk, kind: FaultKind
) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk)
        look = await hedger.watch()
        desk.venue.faults.add(Fault(kind=kind, path=BULK))
        report = await hedger.send(look)
        assert report.outcome.startswith("unresolved")
        assert (report.position_after, report.spent) == (look.part_lots, True)
        await hedger.work_off()
        assert hedger.held == -600


async def test_an_order_without_a_trace_keeps_its_id(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk)
        look = await hedger.watch()
        desk.venue.faults.add(Fault(kind=FaultKind.REQUEST_LOST, path=BULK))
        report = await hedger.send(look)
        assert report.outcome.startswith("unresolved")
        assert (report.position_after, report.spent) == (0, False)
        assert await hedger.open_obligation() is not None
        await hedger.work_off()
        assert hedger.held == -600
        names = [order["client_order_id"] for order in hedger.orders()]
        assert len(names) == len(set(names))
        assert names[0].split("-")[2] == "0", "the first order taken has the first step's id"


async def test_below_the_venues_minimum_it_waits_and_says_so(open_desk: OpenDesk) -> None:
    coarse = tuple(
        replace(market, min_lots=1_000) if market.symbol == HEDGE.symbol else market
        for market in DEFAULT_MARKETS
    )
    async with open_desk(markets=coarse) as desk:
        hedger = await Hedger.at_work(desk, "0.9")
        look = await hedger.watch()
        assert (look.state, look.owed, look.part_lots) == (HedgeState.WATCHING, -900, 0)
        assert "-900 lots are below the venue's minimum of 1000" in look.reason
        assert await hedger.open_obligation() is None, "nothing could be sent for it"
        await hedger.hold("1.1")
        await hedger.work_off()
        assert hedger.held == -1_100
        await hedger.hold("0.02")
        await hedger.work_off()
        assert hedger.held == 0, "no rest was left that the venue would not take"


async def test_a_rest_below_the_minimum_stays_owed(open_desk: OpenDesk) -> None:
    coarse = tuple(
        replace(market, min_lots=1_000) if market.symbol == HEDGE.symbol else market
        for market in DEFAULT_MARKETS
    )
    async with open_desk(markets=coarse) as desk:
        hedger = await Hedger.at_work(desk, "1.1")
        look = await hedger.watch()
        await hedger.send(look)
        await hedger.hold("1.4")
        rest = await hedger.watch()
        owed = await hedger.open_obligation()
        assert owed is not None
        assert (rest.state, rest.owed, rest.part_lots) == (HedgeState.OWING, -300, 0)
        assert "-300 lots are below the venue's minimum of 1000" in rest.reason
        assert (owed.owed, owed.filled) == (-300, -1_100)
        await hedger.hold("2.2")
        await hedger.work_off()
        assert hedger.held == -2_200
        assert (await hedger.last()).discharged_by == "fills"


async def test_a_named_release_ends_it_until_there_is_more(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk)
        look = await hedger.watch()
        assert look.obligation is not None
        request = ReleaseHedgeInput(
            plan=PLAN, obligation=look.obligation, epoch=look.epoch, by="ana", reason="by hand"
        )
        assert await hedger.call(hedger.activities.release_hedge, request)
        assert not await hedger.call(hedger.activities.release_hedge, request)
        closed = await hedger.last()
        assert (closed.discharged_by, closed.reason) == ("ana", "by hand")
        hedger.waived = look.owed
        after = await hedger.watch()
        assert (after.state, after.owed, after.obligation) == (HedgeState.WATCHING, 0, None)
        await hedger.hold("1.1")
        more = await hedger.watch()
        assert more.owed == -500
        assert hedger.orders() == []
