"""Workers die while a hedge is owed: what was owed is hedged in the end, once and to the lot."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from activities.ports import ActivityPorts
from desk.hedging import HedgeState
from desk.identity import MarketId
from desk.instrument import Instrument
from flotilla.simulated import ocx
from quoting.agreement import look
from quoting.taking import read_book
from tests.chaos.ground import Market, kill
from tests.chaos.venue_log import VenueLog
from workflows import names
from workflows.hedge import HedgeWorkflow
from workflows.hedge_messages import HedgeStatus, StartHedge
from workflows.messages import Request

_BULK = "/perps/quotes/bulk"
# Other fault tests quote all symbols but the first.
_SYMBOL = ocx.symbols(1, None)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedge:
    """A hedge of the market under test, seen from Temporal, the ledger and the venue."""

    market: Market
    id: MarketId
    handle: WorkflowHandle[HedgeWorkflow, HedgeStatus]

    async def status(self) -> HedgeStatus:
        """What the workflow says."""
        return await self.handle.query(HedgeWorkflow.status)

    async def log(self) -> VenueLog:
        """What the venue recorded at the hedge market."""
        return VenueLog(await self.market.venue.get("events"), self.id.symbol)

    async def owes(self) -> bool:
        """Whether an obligation is open, by the ledger."""
        async with self.market.control() as ports:
            return await ports.hedges.open_for(self.id) is not None


async def instrument_of(ports: ActivityPorts, market: MarketId) -> Instrument:
    venue = await ports.venues.venue(market.venue, market.account)
    return next(item for item in await venue.instruments() if item.symbol == market.symbol)


async def worth(ports: ActivityPorts, market: MarketId) -> Decimal:
    """Quote currency of one base unit."""
    instrument = await instrument_of(ports, market)
    venue = await ports.venues.venue(market.venue, market.account)
    book = await read_book(venue, instrument)
    assert book.mid_x2 is not None
    return instrument.price(book.mid_x2) / 2


@asynccontextmanager
async def hedging(market: Market, held: Decimal) -> AsyncIterator[Hedge]:
    """Hedge all of `held` at the quiet market, about equal in worth, in several orders."""
    hedge = MarketId(market.id.venue, market.id.account, _SYMBOL)
    await market.venue.post("quiet", {"marketId": _SYMBOL, "on": False})
    async with market.control() as ports:
        price = await worth(ports, market.id)
        ratio = (price / await worth(ports, hedge)).quantize(Decimal("0.000001"))
    spec = StartHedge(
        source_venue=market.id.venue,
        source_account=market.id.account,
        source_symbol=market.id.symbol,
        hedge_venue=hedge.venue,
        hedge_account=hedge.account,
        hedge_symbol=hedge.symbol,
        fleet="chaos",
        threshold=abs(held),
        ratio=ratio,
        slice_notional=(abs(held) * price / 4).quantize(Decimal(1)),
        max_slippage_bps=Decimal(100),
        check_every_s=1,
    )
    handle = await market.client.start_workflow(
        HedgeWorkflow.run,
        spec,
        id=names.hedge_workflow_id(spec.source),
        task_queue=names.MARKETS_QUEUE,
    )
    try:
        yield Hedge(market=market, id=hedge, handle=handle)
    finally:
        with suppress(RPCError):
            await handle.terminate("the test is over")
        await market.venue.post("halt", {"marketId": _SYMBOL, "on": False})
        await market.venue.post("quiet", {"marketId": _SYMBOL, "on": True})


async def held_inventory(market: Market) -> Decimal:
    """Have a position, end its quoting, and give what the ledger says of it."""
    await market.quoting(level_notional=Decimal(1_000))
    await market.hold_a_position()
    await market.finish()
    async with market.control() as ports:
        return await ports.hedges.quantity(market.id)


async def test_workers_die_between_debt_and_order_and_between_order_and_answer(
    market: Market,
) -> None:
    held = await held_inventory(market)
    assert held != 0
    first = market.workers[-1]
    # The venue takes the first order and keeps its answer: the worker dies without it.
    await market.venue.post("faults", [{"kind": "slow_response", "path": _BULK, "delay_s": 60.0}])
    async with hedging(market, held) as hedge:

        async def taken() -> bool:
            return bool((await hedge.log()).accepted())

        await market.until("the venue took an order", taken)
        assert await hedge.owes(), "the debt stood in the ledger before the order"
        await market.venue.post("halt", {"marketId": _SYMBOL, "on": True})
        await kill(first)
        taken_before = len((await hedge.log()).accepted())

        # The next one finds the venue halted: it owes, cannot trade, and dies as well.
        second = await market.worker()

        async def tried() -> bool:
            status = await hedge.status()
            return status.state is HedgeState.BLOCKED and "not traded now" in status.reason

        await market.until("the next worker cannot trade", tried, within_s=60)
        await kill(second)
        assert await hedge.owes(), "what is owed outlives its workers"
        assert len((await hedge.log()).accepted()) == taken_before

        await market.venue.post("halt", {"marketId": _SYMBOL, "on": False})
        await market.worker()

        async def hedged() -> bool:
            status = await hedge.status()
            return status.state is HedgeState.WATCHING and status.obligation is None

        await market.until("nothing is owed any more", hedged, within_s=90)
        await hedge.handle.signal(HedgeWorkflow.stop, Request(reason="test is over", by="test"))
        status = await hedge.handle.result()
        async with market.control() as ports:
            instrument = await instrument_of(ports, hedge.id)
            venue = await ports.venues.venue(hedge.id.venue, hedge.id.account)
            books = await look(hedge.id, instrument, venue, ports.ledger, life_epoch=0)
            (obligation,) = await ports.hedges.recent(market.id, 10)
            start = await _input(hedge)
        log = await hedge.log()
    wanted = -instrument.lots(held * start.ratio)
    assert log.positions()[-1] == wanted == status.position
    assert log.flips_after(0) == []
    assert [abs(lots) for lots in log.positions()] == sorted(map(abs, log.positions()))
    assert log.twice_used_ids() == []
    assert len(log.accepted()) >= 4
    assert books.ledger_equals_venue, books.difference
    assert obligation.discharged_by == "fills"
    assert (obligation.opening_owed, obligation.opening_position) == (wanted, 0)


async def _input(hedge: Hedge) -> StartHedge:
    """What the workflow was started with, by its own history."""
    async for event in hedge.handle.fetch_history_events():
        payload = event.workflow_execution_started_event_attributes.input.payloads[0]
        return StartHedge.model_validate_json(payload.data)
    raise AssertionError("no history")
