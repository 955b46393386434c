"""The simulated OCX and the OCX adapter, as the conformance cases want to hold them.

What the levers tell comes from the simulator's engine, never from the adapter.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

from desk.instrument import Instrument
from desk.orders import VenueOrder
from desk.ports import Venue
from desk.units import Level, Lots, Side, Ticks
from tests.venues.conformance.harness import Target, Traded, occupy
from tests.venues.conformance.levers import Levers
from tests.venues.ocx.scripted import SystemClock
from venues.ocx import build
from venues.ocx.simulator.server import OcxSimulator
from venues.ocx.simulator.settings import (
    Money,
    SeedAccount,
    SimMarket,
    SimulatorSettings,
    Streams,
)
from venues.simulation.faults import Fault, FaultKind

_KEY = "ocx_sk_0123456789abcdef0123456789abcdef"
_ACCOUNT = "main"
_MARKET = SimMarket(
    symbol="BTC-PERP", price=Decimal(60_000), tick=Decimal("0.1"), lot=Decimal("0.0001")
)
_DEPTH = 25
_RATE_PER_MINUTE = 6_000
_IDLE_TIMEOUT_S = 1
_PATHS = {
    Target.ORDERS: "/perps/quotes/bulk",
    Target.CANCELS: "/perps/orders/cancel-all",
    Target.CANCEL_ONE: "/perps/orders/cancel-all",
    Target.CLOSES: "/perps/positions/close",
    Target.BOOK_STREAM: "/perps/book-stream",
    Target.ACCOUNT_STREAM: "/perps/stream/user",
    Target.EVERYWHERE: None,
}


@dataclass(slots=True, kw_only=True)
class OcxHarness:
    """A `Harness` over one running simulator."""

    sim: OcxSimulator
    venue: Venue
    instrument: Instrument
    levers: Levers
    base_url: str
    secrets: Sequence[str] = (_KEY,)
    idle_timeout_s: float = _IDLE_TIMEOUT_S
    tells_retry_after: bool = True

    async def trade(self, side: Side, lots: Lots, price: Ticks | None = None) -> Lots:
        return self.sim.world.crowd_trade(_MARKET.symbol, side, lots, price).filled

    async def add_fault(self, kind: str, **match: object) -> None:
        path = _PATHS[Target(str(match.pop("target")))]
        self.sim.faults.add(Fault(kind=FaultKind(kind), path=path, **match))  # type: ignore[arg-type]

    async def book(self) -> tuple[Sequence[Level], Sequence[Level]]:
        return self.sim.engine.book(_MARKET.symbol, _DEPTH)

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
            for one in self.sim.engine.open_orders(_ACCOUNT, _MARKET.symbol)
        ]

    async def fills(self) -> Sequence[Traded]:
        return [
            Traded(side=one.side, price=one.price, lots=one.lots)
            for one in self.sim.engine.trades(_ACCOUNT, _MARKET.symbol)
        ]

    async def quiet(self) -> None:
        self.sim.pump.set_quiet(_MARKET.symbol, quiet=True)

    def keep_order_connections_busy(self, for_s: float) -> Awaitable[object]:
        pool = self.venue.execution._orders  # type: ignore[attr-defined]
        return occupy(pool, self.sim.faults, "/perps/fees", for_s)

    async def venue_at(self, base_url: str) -> Venue:
        return _adapter(base_url)


@asynccontextmanager
async def ocx_harness(money: Money | None = None) -> AsyncIterator[OcxHarness]:
    """A fresh venue and an adapter whose `run` is held."""
    settings = SimulatorSettings(
        accounts=(SeedAccount(name=_ACCOUNT, api_key_secret=_KEY),),
        markets=(_MARKET,),
        rate_per_minute=_RATE_PER_MINUTE,
        streams=Streams(heartbeat_s=0.3),
        money=money or Money(),
    )
    async with OcxSimulator(settings, random=random.Random(3)) as sim, asyncio.TaskGroup() as group:
        venue = _adapter(sim.base_url)
        running = group.create_task(venue.run())
        try:
            (instrument,) = await venue.instruments()
            levers = Levers(
                engine=sim.engine, faults=sim.faults, account=_ACCOUNT, symbol=_MARKET.symbol
            )
            yield OcxHarness(
                sim=sim,
                venue=venue,
                instrument=instrument,
                levers=levers,
                base_url=sim.base_url,
            )
        finally:
            running.cancel()
            await venue.close()


def _adapter(base_url: str) -> Venue:
    given = {
        "base_url": base_url,
        "api_key": _KEY,
        "rate": {"order_per_min": _RATE_PER_MINUTE},
        "sse": {"heartbeat_timeout_s": _IDLE_TIMEOUT_S, "depth": _DEPTH},
    }
    return build(given, account=_ACCOUNT, clock=SystemClock(), random=random.Random(4))
