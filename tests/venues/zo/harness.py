"""The simulated 01.xyz and its adapter, as the conformance cases want to hold them.

What the levers tell comes from the simulator's engine, never from the adapter.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import VenueOrder
from desk.ports import Venue
from desk.units import Level, Lots, Side, Ticks
from tests.venues.conformance.harness import Target, Traded, Trouble, occupy
from tests.venues.conformance.levers import Levers
from tests.venues.zo.vectors import WALLET_ADDRESS, WALLET_SECRET, WALLET_SEED
from venues.simulation.faults import Fault, FaultKind
from venues.zo import ZoVenue, build
from venues.zo.client_ids import ClientIds
from venues.zo.simulator.server import ZoSimulator
from venues.zo.simulator.settings import Reads, SeedAccount, SimMarket, SimulatorSettings

_ACCOUNT = "main"
_MARKET = SimMarket(symbol="BTCUSD", price=Decimal(60_000), price_decimals=1, size_decimals=4)
_TAG = MarketId("zo", _ACCOUNT, _MARKET.symbol).tag
_DEPTH = 25
_IDLE_TIMEOUT_S = 1.0
_SUBACTIONS = 4
_PATHS = {
    Target.ORDERS: "/action/orders/*",
    Target.CANCELS: "/action/cancels/*",
    Target.CANCEL_ONE: "/action/cancels/by_*",
    Target.BOOK_STREAM: "/ws/deltas@*",
    Target.ACCOUNT_STREAM: "/ws/account@*",
    Target.EVERYWHERE: None,
}


class SystemClock:
    """The machine's own time."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        return time.time_ns()


@dataclass(slots=True, kw_only=True)
class ZoHarness:
    """A `Harness` over one running simulator.

    `ids` are the adapter's own, because the case may use tags of no market.
    """

    sim: ZoSimulator
    venue: Venue
    instrument: Instrument
    ids: ClientIds
    levers: Levers
    base_url: str
    secrets: Sequence[str] = (WALLET_SECRET, WALLET_SEED.hex())
    idle_timeout_s: float = _IDLE_TIMEOUT_S
    tells_retry_after: bool = True

    async def trade(self, side: Side, lots: Lots, price: Ticks | None = None) -> Lots:
        return self.sim.world.crowd_trade(_MARKET.symbol, side, lots, price).filled

    async def add_fault(self, kind: str, **match: object) -> None:
        target = Target(str(match.pop("target")))
        path = _PATHS[target]
        if target is Target.CANCELS and kind == Trouble.RATE_LIMITED:
            # Nothing rests in that case, so nothing is cancelled: it is the list that is refused.
            path, match["count"] = "/account/*", 3
        count = match.get("count")
        if target is Target.ORDERS and isinstance(count, int):
            # Cases count calls as orders; here four orders are one call.
            match["count"] = -(-count // _SUBACTIONS)
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
                client_order_id=None
                if one.client_order_id is None
                else self.ids.text(int(one.client_order_id), _TAG),
            )
            for one in self.sim.engine.open_orders(_ACCOUNT, _MARKET.symbol)
        ]

    async def fills(self) -> Sequence[Traded]:
        return [
            Traded(side=one.side, price=one.price, lots=one.lots)
            for one in self.sim.engine.trades(_ACCOUNT, _MARKET.symbol)
        ]

    def resting_texts(self) -> Sequence[str]:
        """Client order ids that rest at this very moment, as our own texts."""
        return [
            self.ids.text(int(one.client_order_id), _TAG)
            for one in self.sim.engine.open_orders(_ACCOUNT, _MARKET.symbol)
            if one.client_order_id is not None
        ]

    async def quiet(self) -> None:
        self.sim.pump.set_quiet(_MARKET.symbol, quiet=True)

    def keep_order_connections_busy(self, for_s: float) -> Awaitable[object]:
        pool = self.venue.execution._actions._pool  # type: ignore[attr-defined]
        return occupy(pool, self.sim.faults, "/info", for_s)

    async def venue_at(self, base_url: str) -> ZoVenue:
        return _adapter(base_url)


@asynccontextmanager
async def zo_harness(
    *, regime: str = "calm", settling_ms: int = 500, reads: Reads | None = None
) -> AsyncIterator[ZoHarness]:
    """A fresh venue and an adapter whose `run` is held."""
    settings = SimulatorSettings(
        accounts=(SeedAccount(name=_ACCOUNT, wallet=WALLET_ADDRESS),),
        markets=(replace(_MARKET, regime=regime),),
        reads=reads or Reads(),
    )
    async with ZoSimulator(settings, random=random.Random(3)) as sim, asyncio.TaskGroup() as group:
        venue = _adapter(sim.base_url, settling_ms)
        running = group.create_task(venue.run())
        try:
            (instrument,) = await venue.instruments()
            yield ZoHarness(
                sim=sim,
                venue=venue,
                instrument=instrument,
                ids=venue.execution._ids,
                levers=Levers(
                    engine=sim.engine, faults=sim.faults, account=_ACCOUNT, symbol=_MARKET.symbol
                ),
                base_url=sim.base_url,
            )
        finally:
            running.cancel()
            await venue.close()


def _adapter(base_url: str, settling_ms: int = 500) -> ZoVenue:
    given = {
        "settling_ms": settling_ms,
        "base_url": base_url,
        "wallet_key": WALLET_SECRET,
        "max_batch_orders": 20,
        "account_poll_s": 1,
        "fills_interval_s": 0.05,
        "streams": {"silence_s": _IDLE_TIMEOUT_S},
        "rate": {"orders_per_s": 1_000, "cancels_per_s": 1_000, "requests_per_min": 60_000},
    }
    return build(given, account=_ACCOUNT, clock=SystemClock(), random=random.Random(4))
