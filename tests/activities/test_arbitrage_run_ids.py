"""Ids of hedges: none is left behind that a dead run's order may have, and used ones starve nobody.

In flight: an order that a run has sent, that nobody has heard of, and that arrives much later.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from desk.orders import BatchOutcome, OrderOutcome, OutcomeKind, RejectReason, TimeInForce
from desk.records import OrderSent
from desk.units import Side
from quoting.arbitrage.report import DischargePhase, RunEnd
from quoting.arbitrage.shot import FIRED_CYCLE
from tests.activities.arbitrage_set import SetDesk, set_desk, until
from tests.activities.conftest import OpenDesk
from tests.activities.hedge_venue import HeldNetwork, Parts
from tests.activities.test_arbitrage_run_missed import cycles
from venues.simulation.faults import FaultKind
from venues.simulation.orders import OrderRequest

_UNFILLED = 5


@dataclass
class Wire:
    """What becomes of the hedges of one leg: each goes out, is held, or is refused unheard.

    `around` is entered while the first one is out.
    """

    symbol: str
    network: HeldNetwork = field(default_factory=HeldNetwork)
    holds: bool = False
    refuses: list[RejectReason] = field(default_factory=list)
    around: list[Callable[[], AbstractContextManager[None]]] = field(default_factory=list)

    def __call__(self, market: Any, venue: Any) -> Any:
        if market.symbol != self.symbol:
            return venue

        def send(batch: Any, instrument: Any) -> Any:
            if cycle_of(batch.value.orders[0].client_order_id) == FIRED_CYCLE:
                return venue.execution.send(batch, instrument)
            if self.refuses:
                return _refused(batch.value, self.refuses.pop())
            if self.around:
                return _within(self.around.pop(), venue, batch, instrument)
            if not self.holds:
                return venue.execution.send(batch, instrument)
            self.network.held.append((venue.execution, batch, instrument))
            return asyncio.get_running_loop().create_future()

        return Parts(venue, execution=Parts(venue.execution, send=send))

    @property
    def held(self) -> list[str]:
        return [batch.value.orders[0].client_order_id for _, batch, _ in self.network.held]


async def _refused(batch: Any, reason: RejectReason) -> BatchOutcome:
    order = OrderOutcome(
        client_order_id=batch.orders[0].client_order_id, kind=OutcomeKind.REJECTED, reason=reason
    )
    return BatchOutcome(batch_id=batch.batch_id, orders=(order,), old_gone=False, sent_ns=0)


async def _within(
    around: Callable[[], AbstractContextManager[None]], venue: Any, batch: Any, instrument: Any
) -> Any:
    with around():
        return await venue.execution.send(batch, instrument)


@asynccontextmanager
async def dies_with_one_in_flight(cup: SetDesk, wire: Wire) -> AsyncIterator[None]:
    """A run whose hedge of the leg is held; it dies there. The block runs before it starts."""
    wire.holds = True
    yield
    async with cup.running(rounds=10) as task:
        await until(lambda: task.done() or bool(wire.held), 30)
        assert not task.done(), task
        while not task.done():
            task.cancel()
            await asyncio.sleep(0.05)
        with suppress(asyncio.CancelledError):
            await task
    wire.holds = False
    cup.ports.clear()


def loses_the_intents_of(cup: SetDesk, lost: Callable[[OrderSent], bool]) -> None:
    """What a process that is killed had not written yet."""
    real = cup.desk.ports.writer

    def record(what: Any) -> None:
        if not (isinstance(what, OrderSent) and lost(what)):
            real.record(what)

    cup.ports["writer"] = Parts(real, record=record)


def cycle_of(client_order_id: str) -> int:
    return int(client_order_id.split("-")[2], 36)


def refused(cup: SetDesk, symbol: str) -> list[int]:
    """Cycles of orders that the venue refused for their ids, by its own log."""
    return [
        cycle_of(str(event["client_order_id"]))
        for event in cup.desk.venue.engine.events(0)
        if event["event"] == "OrderRejected"
        and event["symbol"] == symbol
        and event["reason"] == RejectReason.DUPLICATE
    ]


def missed_b(cup: SetDesk) -> None:
    """B vanishes when the trade fires, and is there again for a little more."""
    cup.show()
    cup.rest("CUP-B", Side.SELL, ("0.30", 50))
    cup.arm(FaultKind.LEG_VANISHES, "B")


async def test_ids_that_unfilled_hedges_used_up_do_not_starve_the_next_run(
    open_desk: OpenDesk,
) -> None:
    async def crowd_comes_back(cup: SetDesk) -> None:
        while True:
            cup.rest("CUP-A", Side.BUY, ("0.16", 50))
            cup.rest("CUP-C", Side.BUY, ("0.46", 50))
            await asyncio.sleep(0.01)

    async with set_desk(open_desk) as cup:
        cup.show()
        cup.rest("CUP-B", Side.SELL, ("0.80", 50))
        cup.arm(FaultKind.LEG_VANISHES, "B")
        gone = [
            cup.arm(FaultKind.LEG_VANISHES, name, side=Side.SELL, count=None) for name in ("A", "C")
        ]
        crowd = asyncio.create_task(crowd_comes_back(cup))
        first = await cup.run(rounds=_UNFILLED)
        assert (first.end, cup.held) == (RunEnd.OWED, (10, 0, 10)), first
        used = cycles(cup, "CUP-A")
        assert len(used) >= _UNFILLED, used
        for fault in gone:
            cup.desk.venue.faults.remove(fault)
        again = await cup.run(rounds=2, watch=False, phase=DischargePhase.REDUCE)
        crowd.cancel()
        assert (again.end, cup.held) == (RunEnd.BALANCED, (0, 0, 0)), again
        assert cycles(cup, "CUP-A") == [*used, used[-1] + 1], "the next id, and one order"
        assert refused(cup, "CUP-A") == [used[-1]], "only the last one may be on its way"


async def test_an_order_that_was_not_sent_leaves_no_id_behind(open_desk: OpenDesk) -> None:
    wire = Wire("CUP-B")
    async with set_desk(open_desk, part=wire) as cup:
        missed_b(cup)
        real, once = cup.desk.ports.trades, list[int]()

        async def progress(*given: Any) -> Any:
            stage = await real.progress(*given)
            if not once:  # a fill of B comes between the look and the order
                once.append(1)
                order = OrderRequest(
                    symbol="CUP-B",
                    side=Side.BUY,
                    lots=1,
                    price=30,
                    time_in_force=TimeInForce.IOC,
                )
                cup.desk.venue.engine.submit(cup.account, order)
                await asyncio.sleep(0.3)
            return stage

        async with dies_with_one_in_flight(cup, wire):
            cup.ports["trades"] = Parts(real, progress=progress)
        assert [cycle_of(name) for name in wire.held] == [2], "nothing was sent under it before"
        report = await cup.run(watch=False)
        assert (report.end, cup.held) == (RunEnd.BALANCED, (10, 10, 10)), report
        (late,) = await wire.network.let_go()
        assert late.orders[0].reason is RejectReason.DUPLICATE
        assert cup.held == (10, 10, 10)


@pytest.mark.parametrize("lost_from", [2, 3, 99])
async def test_a_hedge_in_flight_meets_its_own_id_whatever_of_the_record_is_lost(
    open_desk: OpenDesk, lost_from: int
) -> None:
    """Two hedges: one went unfilled, the other is in flight; intents from `lost_from` are lost."""
    wire = Wire("CUP-B")
    async with set_desk(open_desk, part=wire) as cup:
        missed_b(cup)

        @contextmanager
        def nobody_sells() -> Iterator[None]:
            cup.rest("CUP-B", Side.SELL, ("0.30", 0))
            yield
            cup.rest("CUP-B", Side.SELL, ("0.30", 50))

        wire.around.append(nobody_sells)
        async with dies_with_one_in_flight(cup, wire):
            loses_the_intents_of(cup, lambda sent: cycle_of(sent.client_order_id) >= lost_from)
        assert (cycles(cup, "CUP-B"), [cycle_of(name) for name in wire.held]) == ([1, 2], [3])
        report = await cup.run(watch=False)
        assert (report.end, cup.held) == (RunEnd.BALANCED, (10, 10, 10)), report
        (late,) = await wire.network.let_go()
        assert late.orders[0].reason is RejectReason.DUPLICATE
        assert cup.held == (10, 10, 10)


@pytest.mark.parametrize(
    "reason", [RejectReason.NOT_SENT, RejectReason.RATE_LIMITED], ids=lambda one: one.value
)
async def test_an_id_the_venue_never_had_is_used_again(
    open_desk: OpenDesk, reason: RejectReason
) -> None:
    """A venue remembers orders it took. One left behind would fill beside the one in flight."""
    wire = Wire("CUP-B", refuses=[reason])
    async with set_desk(open_desk, part=wire) as cup:
        missed_b(cup)
        async with dies_with_one_in_flight(cup, wire):
            loses_the_intents_of(cup, lambda sent: cycle_of(sent.client_order_id) > 2)
        assert [cycle_of(name) for name in wire.held] == [2]
        report = await cup.run(watch=False)
        assert (report.end, cup.held) == (RunEnd.BALANCED, (10, 10, 10)), report
        (late,) = await wire.network.let_go()
        assert late.orders[0].reason is RejectReason.DUPLICATE
        assert cup.held == (10, 10, 10)
