"""A hedge order counts once, whatever comes late: its answer, its fills, a kill, another owner."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.hedge_messages import HedgeLook
from desk.errors import Unavailable
from desk.hedging import HedgeState
from desk.orders import RejectReason
from desk.records import Kill
from desk.risk.limits import RiskLimits
from quoting.hedge import HedgeSliceReport
from tests.activities.conftest import OpenDesk
from tests.activities.hedge_venue import (
    HeldNetwork,
    Parts,
    SlowBook,
    exchange,
    forgetful,
    late_lists,
)
from tests.activities.hedger import HEDGE, PLAN, Hedger

_WIDE = Decimal(100_000)
WHOLE = replace(
    PLAN,
    slice_notional=_WIDE,
    limits=RiskLimits(max_order_notional=_WIDE, max_position=_WIDE),
)


@asynccontextmanager
async def while_it_reads_the_book(
    hedger: Hedger, look: HedgeLook
) -> AsyncIterator[asyncio.Task[HedgeSliceReport]]:
    """The block runs while the order waits for its book; then the book comes."""
    book = SlowBook()
    exchange(hedger, book)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(hedger.send(look))
        await book.asked.wait()
        yield sending
        book.go.set()


@pytest.mark.parametrize("by", ["board", "file"])
async def test_a_kill_while_the_book_is_read_stops_the_order(open_desk: OpenDesk, by: str) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk)
        async with while_it_reads_the_book(hedger, await hedger.watch()) as sending:
            if by == "file":
                (desk.state_dir / "KILL").touch()
            else:
                kill = Kill(scope="fleet", reason="drill", by="ana", at_ms=1)
                await desk.ports.board.set(kill)
                await desk.ports.ledger.set_kill(kill)
        report = sending.result()
        assert (report.sent_lots, report.spent, hedger.orders()) == (0, False, [])
        assert ("drill" if by == "board" else "KILL file") in report.outcome


async def test_a_lease_lost_while_the_book_is_read_stops_the_order(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk)
        look = await hedger.watch()
        async with while_it_reads_the_book(hedger, look) as sending:
            lease, ledger = desk.ports.lease, desk.ports.ledger
            assert await lease.release(HEDGE, look.epoch, PLAN.owner)
            epoch = await ledger.open_epoch(HEDGE, "market", "other")
            assert await lease.acquire(HEDGE, epoch, "market", 60_000)
        report = sending.result()
        assert (report.sent_lots, hedger.orders()) == (0, [])
        assert report.outcome == "not sent: the lease is not ours any more"


async def test_a_lease_that_cannot_be_asked_about_counts_as_lost(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk)
        look = await hedger.watch()

        async def renew(*_: object) -> bool:
            raise Unavailable("cut off")

        ports: Any = replace(desk.ports, lease=Parts(desk.ports.lease, renew=renew))
        hedger.activities = type(hedger.activities)(ports)
        report = await hedger.send(look)
        assert (report.sent_lots, hedger.orders()) == (0, [])
        assert report.outcome == "not sent: the lease cannot be renewed: cut off"


@pytest.mark.parametrize("lease_lapses", [False, True])
async def test_an_order_held_in_the_network_is_not_sent_twice(
    open_desk: OpenDesk, *, lease_lapses: bool
) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk, plan=WHOLE)
        network = HeldNetwork()
        look = await hedger.watch()
        exchange(hedger, network)
        first = await hedger.send(look)
        assert (first.spent, hedger.held) == (False, 0)
        exchange(hedger, None)
        if lease_lapses:
            assert await desk.ports.lease.release(HEDGE, look.epoch, PLAN.owner)
        again = await hedger.watch()
        assert (again.epoch > look.epoch) is lease_lapses
        assert (await hedger.send(again)).position_after == -600
        (late,) = await network.let_go()
        assert late.orders[0].reason is RejectReason.DUPLICATE
        assert hedger.held == -600, "one order, under one id"


async def test_a_filled_receipt_blocks_until_the_books_show_it(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk, plan=WHOLE)
        look = await hedger.watch()
        exchange(hedger, late_lists)
        report = await hedger.send(look)
        assert (report.position_after, hedger.held) == (0, -600), "it was filled, the books lag"
        for _ in range(2):
            blocked = await hedger.watch()
            assert (blocked.state, blocked.part_lots) == (HedgeState.BLOCKED, 0)
            assert blocked.reason.startswith("the venue said that -600 lots were filled from 0 on")
        exchange(hedger, None)
        done = await hedger.work_off()
        assert (done.state, done.receipt) == (HedgeState.WATCHING, None)
        assert (hedger.held, len(hedger.orders())) == (-600, 1)


async def test_a_filled_receipt_outlives_books_that_cannot_be_read(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk, plan=WHOLE)
        look = await hedger.watch()

        async def facts(*arguments: Any) -> Any:
            if hedger.orders():
                raise Unavailable("cut off")
            return await desk.ports.ledger.facts(*arguments)

        ports: Any = replace(desk.ports, ledger=Parts(desk.ports.ledger, facts=facts))
        hedger.activities = type(hedger.activities)(ports)
        report = await hedger.send(look)
        assert report.receipt is not None
        assert (report.receipt.filled, report.spent) == (-600, True)
        exchange(hedger, None)
        await hedger.work_off()
        assert (hedger.held, len(hedger.orders())) == (-600, 1)


async def test_a_waiver_that_shrank_is_told_and_does_not_grow_again(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk)
        look = await hedger.watch()
        assert look.obligation is not None
        assert await desk.ports.hedges.release(look.obligation, "ana", "drill")
        hedger.state, hedger.obligation, hedger.waived = HedgeState.WATCHING, None, look.owed
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(hedger.watch(60))
            await asyncio.sleep(1.5)
            assert not watching.done(), "as long as it stands there is nothing to tell"
            await hedger.hold("0.05")
        assert watching.result().waived == 0
        await hedger.hold("0.6")
        assert (await hedger.watch()).owed == -600


async def test_a_venue_that_takes_an_id_twice_is_refused(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk)
        exchange(hedger, forgetful)
        words = "hedge_venue: ocx refuses a client order id only while its order is open"
        with pytest.raises(ApplicationError, match=words) as refusal:
            await hedger.open()
        assert (refusal.value.type, refusal.value.non_retryable) == ("ConfigurationFault", True)
        assert await desk.ports.lease.acquire(HEDGE, 99, "other", 1_000), "the lease is free"


async def test_a_hedge_started_before_its_venue_was_refused_is_blocked(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk)
        exchange(hedger, forgetful)
        blocked = await hedger.watch()
        assert (blocked.state, blocked.part_lots) == (HedgeState.BLOCKED, 0)
        assert blocked.reason.startswith("hedge_venue: ocx refuses a client order id only while")
