"""01.xyz keeps what every venue adapter promises; run against the simulated 01.xyz."""

from collections.abc import AsyncIterator

import pytest

from desk.identity import OrderIdentity, Slot
from desk.units import Side
from tests.venues.conformance.feeds import FeedCases
from tests.venues.conformance.fills import FillCases
from tests.venues.conformance.harness import Harness
from tests.venues.conformance.orders import OrderCases
from tests.venues.conformance.outcomes import OutcomeCases
from tests.venues.conformance.safety import SafetyCases
from tests.venues.conformance.stage import Stage
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


class TestSafety(SafetyCases): ...
