"""01.xyz keeps what every venue adapter promises; run against the simulated 01.xyz."""

from collections.abc import AsyncIterator

import pytest

from desk.identity import OrderIdentity, Slot
from desk.units import Side
from tests.venues.conformance.books import BookCases
from tests.venues.conformance.feeds import FeedCases
from tests.venues.conformance.fills import FillCases
from tests.venues.conformance.harness import Harness
from tests.venues.conformance.orders import OrderCases
from tests.venues.conformance.outcomes import OutcomeCases
from tests.venues.conformance.safety import SafetyCases
from tests.venues.conformance.stage import Stage, heard_fills
from tests.venues.zo.harness import zo_harness
from venues.zo.client_ids import MAX_CYCLE, MAX_EPOCH, MAX_LEVEL


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with zo_harness() as running:
        yield running


class TestOrders(OrderCases):
    async def test_v112_the_longest_id_we_make_is_accepted(self, harness: Harness) -> None:
        # A number below 2^63 also holds the market, so epoch and cycle end earlier here.
        stage = Stage(harness)
        (order, *_) = await stage.ladder()
        slot = Slot(Side.BUY, MAX_LEVEL)
        name = OrderIdentity(
            tag="zzzzzzz", epoch=MAX_EPOCH, cycle=MAX_CYCLE, slot=slot, exit=True
        ).encode()
        assert len(name) <= harness.venue.capabilities.client_order_id_length
        await stage.place(stage.order(Side.BUY, order.price, client_order_id=name))
        assert name in await stage.resting()


class TestFeed(FeedCases): ...


class TestOutcomes(OutcomeCases): ...


class TestFills(FillCases): ...


class TestBooks(BookCases):
    async def test_v730_a_fill_the_stream_never_tells_is_in_the_history(
        self, harness: Harness
    ) -> None:
        # Fills come from the list alone, so what the stream keeps back is heard all the same;
        # the stream's own word on the position then lacks it, and says so.
        stage = Stage(harness)
        await stage.still()
        async with stage.account() as ear:
            order = await stage.place_inside(Side.BUY)
            harness.levers.keep_back(1)
            await stage.hit(order, stage.unit)
            await ear.until(lambda said: len(heard_fills(said)) == 1, "the fill kept back")
            told = await harness.venue.account.fills(harness.instrument, 0)
            assert {one.trade_id for one in told} == set(heard_fills(ear.events))
            engine, stream = await harness.venue.account.views()
            symbol = harness.instrument.symbol
            assert engine.positions == {symbol: stage.unit}
            assert stream.positions == {}


class TestSafety(SafetyCases): ...
