"""The simulated X10 and the X10 adapter, as the conformance cases want to hold them.

What the levers tell comes from the simulator's engine, never from the adapter.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from desk.instrument import Instrument
from desk.orders import VenueOrder
from desk.ports import Venue
from desk.units import Level, Lots, Side, Ticks
from tests.venues.conformance.harness import Target, Traded, TroubleUnavailable, occupy
from tests.venues.conformance.levers import Levers
from tests.venues.ocx.scripted import SystemClock
from venues.simulation.faults import Fault, FaultKind
from venues.x10 import build
from venues.x10.signing import public_of
from venues.x10.simulator.server import X10Simulator
from venues.x10.simulator.settings import BTC_USD, SeedAccount, SimulatorSettings, Streams

KEY = "x10-api-key-0123456789abcdef"
PRIVATE_KEY = "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986"
VAULT = 10_002
ACCOUNT = "main"
MARKET = BTC_USD
_RATE_PER_MINUTE = 12_000
_IDLE_TIMEOUT_S = 1
_PATHS: dict[Target, tuple[str | None, str | None]] = {
    Target.ORDERS: ("POST", "*/user/order"),
    Target.CANCELS: ("POST", "*/user/order/massCancel"),
    Target.CANCEL_ONE: ("DELETE", "*/user/order"),
    Target.BOOK_STREAM: (None, "*/orderbooks/*"),
    Target.ACCOUNT_STREAM: (None, "*/v1/account"),
    Target.EVERYWHERE: (None, None),
}
_NEVER = {
    # A mass cancel is applied after its answer: fills race it without any fault.
    (FaultKind.FILL_RACING_CANCEL, Target.CANCELS),
    # Three snapshots come at every connect, and none in mid-stream.
    (FaultKind.SNAPSHOT_REPEATS, Target.ACCOUNT_STREAM),
}


@dataclass(slots=True, kw_only=True)
class X10Harness:
    """A `Harness` over one running simulator."""

    sim: X10Simulator
    venue: Venue
    instrument: Instrument
    levers: Levers
    base_url: str
    secrets: Sequence[str] = (KEY, PRIVATE_KEY, PRIVATE_KEY[2:], str(int(PRIVATE_KEY, 16)))
    idle_timeout_s: float = _IDLE_TIMEOUT_S
    tells_retry_after: bool = False

    async def trade(self, side: Side, lots: Lots, price: Ticks | None = None) -> Lots:
        return self.sim.world.crowd_trade(MARKET.symbol, side, lots, price).filled

    async def add_fault(self, kind: str, **match: object) -> None:
        target = Target(str(match.pop("target")))
        if (FaultKind(kind), target) in _NEVER:
            raise TroubleUnavailable
        method, path = _PATHS[target]
        fault = Fault(kind=FaultKind(kind), method=method, path=path, **match)  # type: ignore[arg-type]
        self.sim.faults.add(fault)

    async def book(self) -> tuple[Sequence[Level], Sequence[Level]]:
        return self.sim.engine.book(MARKET.symbol, 25)

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
            for one in self.sim.engine.open_orders(ACCOUNT, MARKET.symbol)
        ]

    async def fills(self) -> Sequence[Traded]:
        return [
            Traded(side=one.side, price=one.price, lots=one.lots)
            for one in self.sim.engine.trades(ACCOUNT, MARKET.symbol)
        ]

    async def quiet(self) -> None:
        self.sim.pump.set_quiet(MARKET.symbol, quiet=True)

    def keep_order_connections_busy(self, for_s: float) -> Awaitable[object]:
        pool = self.venue.execution._orders  # type: ignore[attr-defined]
        return occupy(pool, self.sim.faults, "/info/markets", for_s)

    async def venue_at(self, base_url: str) -> Venue:
        return adapter(base_url, self.sim.stream_url)


def settings(**changes: object) -> SimulatorSettings:
    """A deployment with the harness's account."""
    seed = SeedAccount(
        name=ACCOUNT, api_key=KEY, stark_public_key=public_of(int(PRIVATE_KEY, 16)), vault=VAULT
    )
    base = SimulatorSettings(
        accounts=(seed,),
        markets=(MARKET,),
        rate_per_minute=_RATE_PER_MINUTE,
        streams=Streams(ping_s=0.3, book_interval_s=0.02),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


@asynccontextmanager
async def x10_harness(
    given: SimulatorSettings | None = None, **overrides: object
) -> AsyncIterator[X10Harness]:
    """A fresh venue and an adapter whose `run` is held."""
    sim_settings = given or settings()
    async with (
        X10Simulator(sim_settings, random=random.Random(3)) as sim,
        asyncio.TaskGroup() as group,
    ):
        venue = adapter(sim.base_url, sim.stream_url, **overrides)
        running = group.create_task(venue.run())
        try:
            (instrument,) = await venue.instruments()
            levers = Levers(
                engine=sim.engine, faults=sim.faults, account=ACCOUNT, symbol=MARKET.symbol
            )
            yield X10Harness(
                sim=sim,
                venue=venue,
                instrument=instrument,
                levers=levers,
                base_url=sim.base_url,
            )
        finally:
            running.cancel()
            await venue.close()


def adapter(base_url: str, stream_url: str, **overrides: object) -> Venue:
    """The adapter of the harness's account, its timings short."""
    given: dict[str, object] = {
        "base_url": base_url,
        "stream_url": stream_url,
        "api_key": KEY,
        "private_key": PRIVATE_KEY,
        "vault": VAULT,
        "domain": "SN_SEPOLIA",
        "dead_man.unit": "seconds",
        "dead_man.timer_s": 3,
        "rate.per_min": _RATE_PER_MINUTE,
        "settling_ms": 200,
        "streams.idle_timeout_s": _IDLE_TIMEOUT_S,
        "streams.ping_s": 0.3,
        "streams.refused_wait_s": 0.1,
        **overrides,
    }
    return build(given, account=ACCOUNT, clock=SystemClock(), random=random.Random(4))
