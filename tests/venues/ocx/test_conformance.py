"""OCX keeps what every venue adapter promises; run against the simulated OCX."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pytest

from desk.instrument import Instrument
from desk.orders import VenueOrder
from desk.ports import Venue
from desk.units import Level, Lots, Side, Ticks
from tests.venues.conformance.feeds import FeedCases
from tests.venues.conformance.fills import FillCases
from tests.venues.conformance.harness import Target, Traded
from tests.venues.conformance.orders import OrderCases
from tests.venues.conformance.outcomes import OutcomeCases
from tests.venues.conformance.safety import SafetyCases
from tests.venues.ocx.scripted import SystemClock
from venues.ocx import build
from venues.ocx.simulator.faults import Fault, FaultKind
from venues.ocx.simulator.server import OcxSimulator
from venues.ocx.simulator.settings import SeedAccount, SimMarket, SimulatorSettings, Streams

KEY = "ocx_sk_0123456789abcdef0123456789abcdef"
SYMBOL = "BTC-PERP"
DEPTH = 25
PATHS = {
    Target.ORDERS: "/perps/quotes/bulk",
    Target.CANCELS: "/perps/orders/cancel-all",
    Target.BOOK_STREAM: "/perps/book-stream",
    Target.ACCOUNT_STREAM: "/perps/stream/user",
    Target.EVERYWHERE: None,
}


@dataclass(slots=True, kw_only=True)
class OcxHarness:
    sim: OcxSimulator
    venue: Venue
    instrument: Instrument
    idle_timeout_s: float = 1.0
    secrets: Sequence[str] = (KEY,)

    async def trade(self, side: Side, lots: Lots, price: Ticks | None = None) -> Lots:
        return self.sim.world.crowd_trade(SYMBOL, side, lots, price).filled

    async def add_fault(self, kind: str, **match: object) -> None:
        path = PATHS[Target(str(match.pop("target")))]
        self.sim.faults.add(Fault(kind=FaultKind(kind), path=path, **match))  # type: ignore[arg-type]

    async def book(self) -> tuple[Sequence[Level], Sequence[Level]]:
        return self.sim.engine.book(SYMBOL, DEPTH)

    async def open_orders(self) -> Sequence[VenueOrder]:
        return [
            VenueOrder(
                symbol=one.symbol,
                side=one.side,
                price=one.price,
                remaining=one.remaining,
                venue_order_id=one.order_id,
                client_order_id=one.client_order_id,
            )
            for one in self.sim.engine.open_orders("main", SYMBOL)
        ]

    async def fills(self) -> Sequence[Traded]:
        return [
            Traded(side=one.side, price=one.price, lots=one.lots)
            for one in self.sim.engine.trades("main", SYMBOL)
        ]

    async def quiet(self) -> None:
        self.sim.pump.set_quiet(SYMBOL, quiet=True)

    async def venue_at(self, base_url: str) -> Venue:
        given = {"base_url": base_url, "api_key": KEY}
        return build(given, account="main", clock=SystemClock(), random=random.Random(4))


@pytest.fixture
async def harness() -> AsyncIterator[OcxHarness]:
    settings = SimulatorSettings(
        accounts=(SeedAccount(name="main", api_key_secret=KEY),),
        markets=(
            SimMarket(
                symbol=SYMBOL, price=Decimal(60_000), tick=Decimal("0.1"), lot=Decimal("0.0001")
            ),
        ),
        rate_per_minute=6_000,
        streams=Streams(heartbeat_s=0.3),
    )
    async with OcxSimulator(settings, random=random.Random(3)) as sim:
        given = {
            "base_url": sim.base_url,
            "api_key": KEY,
            "rate": {"order_per_min": 6_000},
            "sse": {"heartbeat_timeout_s": 1, "depth": DEPTH},
        }
        venue = build(given, account="main", clock=SystemClock(), random=random.Random(4))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(venue.run())
            (instrument,) = await venue.instruments()
            yield OcxHarness(sim=sim, venue=venue, instrument=instrument)
            running.cancel()
            await venue.close()


class TestOrders(OrderCases): ...


class TestFeed(FeedCases): ...


class TestOutcomes(OutcomeCases): ...


class TestFills(FillCases): ...


class TestSafety(SafetyCases): ...
