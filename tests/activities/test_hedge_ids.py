"""An id of a hedge is given up by a trace of its own order, never because somebody moved a book."""

import asyncio

from desk.orders import RejectReason, TimeInForce
from desk.records import Kill
from desk.units import Side
from tests.activities.conftest import OpenDesk
from tests.activities.hedge_venue import HeldNetwork, exchange
from tests.activities.hedger import HEDGE, Hedger
from tests.activities.test_hedge_once import WHOLE
from venues.simulation.orders import OrderRequest


async def by_hand(hedger: Hedger, lots: int) -> None:
    """Somebody sells so many lots at the hedge market, from the same account."""
    bid = hedger.desk.venue.engine.book(HEDGE.symbol, 1)[0][0][0]
    order = OrderRequest(
        symbol=HEDGE.symbol,
        side=Side.SELL,
        lots=lots,
        price=bid - 10,
        time_in_force=TimeInForce.IOC,
    )
    hedger.desk.venue.engine.submit("main", order)
    await asyncio.sleep(0.2)


async def test_a_trade_by_hand_does_not_spend_the_id_of_an_order_in_flight(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk, plan=WHOLE)
        network = HeldNetwork()
        look = await hedger.watch()
        exchange(hedger, network)
        sending = asyncio.create_task(hedger.send(look))
        async with asyncio.timeout(10):
            while not network.held:
                await asyncio.sleep(0.001)
        await by_hand(hedger, 100)
        first = await sending
        assert (first.position_after, first.spent) == (-100, False), "no fill has its id"
        exchange(hedger, None)
        assert (await hedger.send(await hedger.watch())).position_after == -600
        (late,) = await network.let_go()
        assert late.orders[0].reason is RejectReason.DUPLICATE
        assert hedger.held == -600


async def test_books_that_moved_before_an_order_was_sent_keep_its_id(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk, plan=WHOLE)
        look = await hedger.watch()
        await by_hand(hedger, 100)
        report = await hedger.send(look)
        assert (report.sent_lots, report.stale, report.spent) == (0, True, False)
        await hedger.work_off()
        assert hedger.held == -600
        names = [one["client_order_id"] for one in hedger.orders() if one["client_order_id"]]
        assert [name.split("-")[2] for name in names] == ["0"]


async def test_an_attempt_that_may_not_send_keeps_the_id_of_the_one_before_it(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        hedger = await Hedger.at_work(desk, plan=WHOLE)
        network = HeldNetwork()
        look = await hedger.watch()
        exchange(hedger, network)
        await hedger.send(look)  # this attempt dies: nobody hears what it reports
        hedger.step, hedger.id_epoch = 0, look.epoch
        exchange(hedger, None)
        kill = Kill(scope="fleet", reason="drill", by="ana", at_ms=1)
        await desk.ports.board.set(kill)
        await desk.ports.ledger.set_kill(kill)
        await by_hand(hedger, 100)
        again = await hedger.send(look, attempt=2)
        assert (again.sent_lots, again.position_after, again.spent) == (0, -100, False)
        assert await desk.ports.ledger.lift_kill("fleet", 1, "ana", "over")
        assert await desk.ports.board.lift("fleet", [1])
        assert (await hedger.send(await hedger.watch())).position_after == -600
        (late,) = await network.let_go()
        assert late.orders[0].reason is RejectReason.DUPLICATE
        assert hedger.held == -600
