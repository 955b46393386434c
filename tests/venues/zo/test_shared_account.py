"""Several markets on one account, perhaps in several processes: none stands in another's way."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from desk.identity import MarketId, OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import Batch, BatchOutcome, NewOrder, OutcomeKind, RejectReason
from desk.risk.approval import SEAL, Approved
from desk.units import Side
from tests.venues.zo.harness import _adapter
from tests.venues.zo.scripted import (
    INSTRUMENT,
    MARKET,
    batch,
    error,
    resting,
    running,
    scripted_venue,
)
from tests.venues.zo.vectors import WALLET_ADDRESS
from venues.simulation.faults import Fault, FaultKind
from venues.zo import ZoVenue
from venues.zo.client_ids import MAX_MARKET
from venues.zo.schema import nord_pb2 as pb
from venues.zo.simulator.server import ZoSimulator
from venues.zo.simulator.settings import DEFAULT_MARKETS, SeedAccount, SimulatorSettings

_SYMBOLS = [market.symbol for market in DEFAULT_MARKETS]
_ATOMIC = "/action/cancels/atomic"


@asynccontextmanager
async def _simulator() -> AsyncIterator[ZoSimulator]:
    settings = SimulatorSettings(
        accounts=(SeedAccount(name="main", wallet=WALLET_ADDRESS),), markets=DEFAULT_MARKETS
    )
    async with ZoSimulator(settings, random=random.Random(3)) as sim:
        yield sim


@asynccontextmanager
async def _process(sim: ZoSimulator) -> AsyncIterator[tuple[ZoVenue, dict[str, Instrument]]]:
    venue = _adapter(sim.base_url)
    async with asyncio.TaskGroup() as group:
        held = group.create_task(venue.run())
        try:
            yield venue, {one.symbol: one for one in await venue.instruments()}
        finally:
            held.cancel()
            await venue.close()


def _name(symbol: str) -> str:
    tag = MarketId("zo", "main", symbol).tag
    return OrderIdentity(tag=tag, epoch=1, cycle=1, slot=Slot(Side.BUY, 0)).encode()


async def _bid(sim: ZoSimulator, venue: ZoVenue, instrument: Instrument) -> BatchOutcome:
    symbol = instrument.symbol
    bids, _ = sim.engine.book(symbol, 1)
    order = NewOrder(
        client_order_id=_name(symbol),
        slot=Slot(Side.BUY, 0),
        side=Side.BUY,
        price=bids[0][0] - 100,
        lots=10,
    )
    value = Batch(batch_id=symbol, symbol=symbol, orders=(order,))
    return await venue.execution.send(Approved(value, seal=SEAL), instrument)


@pytest.mark.parametrize("processes", [1, len(_SYMBOLS)])
async def test_the_first_order_of_every_market_is_accepted(processes: int) -> None:
    async with _simulator() as sim, AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(_process(sim)) for _ in range(processes)]
        for place, symbol in enumerate(_SYMBOLS):
            venue, instruments = opened[place % processes]
            outcome = await _bid(sim, venue, instruments[symbol])
            assert outcome.orders[0].kind is OutcomeKind.ACCEPTED, outcome
        later, instruments = await stack.enter_async_context(_process(sim))
        for symbol in _SYMBOLS:
            listed = await later.account.open_orders(instruments[symbol])
            assert [one.client_order_id for one in listed] == [_name(symbol)]
        numbers = {one.client_order_id for one in sim.engine.open_orders("main")}
    assert len(numbers) == len(_SYMBOLS)


async def test_a_stopped_market_does_not_keep_the_orders_of_others_from_being_cancelled() -> None:
    for code in (pb.Error.MARKET_NOT_READY, pb.Error.MARKET_FROZEN, pb.Error.MARKET_EMPTY):
        async with _simulator() as sim, _process(sim) as (venue, instruments):
            for symbol in _SYMBOLS:
                await _bid(sim, venue, instruments[symbol])
            sim.faults.add(Fault(kind=FaultKind.ORDER_REFUSED, path=_ATOMIC, code=code, count=None))
            outcome = await venue.execution.cancel_all(None)
            assert outcome.confirmed
            assert not sim.engine.open_orders("main")


async def test_a_halt_of_the_whole_engine_is_not_asked_about_order_by_order() -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.orders = [resting(number) for number in range(4)]
        scripted.receipts = [error(pb.Error.MAINTENANCE)]
        assert (await venue.execution.cancel_all(None)).confirmed
        kinds = [one.WhichOneof("kind") for one in scripted.placed()]
    assert kinds == ["atomic", "atomic"]


async def test_a_market_whose_id_has_no_room_is_refused_in_words() -> None:
    far = {**MARKET, "marketId": MAX_MARKET + 1}
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.say("/info", {"markets": [far], "tokens": []})
        outcome = await venue.execution.send(batch(1, 1), INSTRUMENT)
        assert outcome.orders[0].reason is RejectReason.INVALID
        assert "market 1024 is not from 0 to 1023" in outcome.orders[0].message
        with pytest.raises(ValueError, match="market 1024 is not from 0 to 1023"):
            venue.execution.send(batch(2, 1), INSTRUMENT)
        assert scripted.placed() == []
