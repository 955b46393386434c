"""An account with little margin: with headroom set the venue never has to refuse, without it does.

The crowd sells through our bids; what was refused is told by the venue's own event log.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

from desk.identity import MarketId
from desk.orders import RejectReason
from desk.permit import Permit
from desk.quoting.parameters import QuoteParameters
from desk.records import LedgerFacts
from desk.risk.limits import RiskLimits
from desk.units import NS_PER_MS, Side
from quoting.loop import MarketLoop
from quoting.progress import SessionProgress
from quoting.session import Session, SessionPorts
from quoting.setup import LoopSetup
from tests.support.alone import Counts, NoKillFile, OwnBoard, OwnLease, OwnLedger
from tests.venues.ocx.scripted import SystemClock
from venues.ocx import build
from venues.ocx.simulator.server import OcxSimulator
from venues.ocx.simulator.settings import SeedAccount, SimMarket, SimulatorSettings

_KEY = "ocx_sk_0123456789abcdef0123456789abcdef"
_SYMBOL = "BTC-PERP"
_MARKET = MarketId("ocx", "main", _SYMBOL)
_EQUITY = Decimal(2_000)
_LONG_MS = 600_000
_PATIENCE_S = 60.0
_WIDE = RiskLimits(
    max_position=Decimal(10) ** 6,
    max_fill_burst=Decimal(10) ** 9,
    max_drawdown=Decimal(10) ** 6,
    max_orders_per_minute=100_000,
)
_TIGHT = replace(_WIDE, shrink_below_margin=Decimal("0.4"), reduce_below_margin=Decimal("0.2"))


@dataclass(slots=True, kw_only=True)
class Stage:
    """One market quoted into a crowd that only sells."""

    sim: OcxSimulator
    seen: list[SessionProgress]

    def held(self) -> Decimal:
        """Worth of the position, about."""
        instrument = self.sim.engine.market_rules(_SYMBOL).instrument
        return instrument.quantity(self.sim.engine.position("main", _SYMBOL).lots) * 60_000

    def margin_refusals(self) -> int:
        """How often the venue refused for margin, by its own log."""
        return sum(
            event["event"] == "OrderRejected" and event["reason"] == RejectReason.MARGIN
            for event in self.sim.engine.events(0)
        )

    async def sell_until(self, holds: Callable[[], bool]) -> None:
        """Have the crowd sell down to our lowest bid, again and again."""
        async with asyncio.timeout(_PATIENCE_S):
            while not holds():
                prices = [
                    one.price for one in self.sim.engine.open_orders("main") if one.side is Side.BUY
                ]
                if prices:
                    self.sim.world.crowd_trade(_SYMBOL, Side.SELL, 10**7, min(prices))
                await asyncio.sleep(0.05)


@asynccontextmanager
async def quoting(limits: RiskLimits) -> AsyncIterator[Stage]:
    """A session on an account with little money."""
    settings = SimulatorSettings(
        accounts=(SeedAccount(name="main", api_key_secret=_KEY, perps_collateral=_EQUITY),),
        markets=(
            SimMarket(
                symbol=_SYMBOL, price=Decimal(60_000), tick=Decimal("0.1"), lot=Decimal("0.0001")
            ),
        ),
        rate_per_minute=60_000,
    )
    async with OcxSimulator(settings, random=random.Random(3)) as sim, asyncio.TaskGroup() as group:
        given = {"base_url": sim.base_url, "api_key": _KEY, "rate": {"order_per_min": 60_000}}
        venue = build(given, account="main", clock=SystemClock(), random=random.Random(4))
        running = group.create_task(venue.run())
        seen: list[SessionProgress] = []
        try:
            (instrument,) = await venue.instruments()
            loop = MarketLoop(
                LoopSetup(
                    market=_MARKET,
                    instrument=instrument,
                    epoch=1,
                    parameters=QuoteParameters(
                        spread_bps=Decimal(6),
                        level_notional=Decimal(1_500),
                        skew=Decimal(0),
                        inventory_cap=Decimal(10) ** 6,
                    ),
                    limits=limits,
                    capabilities=venue.capabilities,
                    facts=LedgerFacts(
                        fills=0,
                        position=0,
                        cash=Decimal(0),
                        fees=Decimal(0),
                        last_trade_ms=None,
                        peak_pnl=None,
                    ),
                    known_since_ms=0,
                    known=frozenset(),
                ),
                Permit(
                    max_clock_offset_ms=60_000,
                    max_ledger_behind_s=60.0,
                    lease_until_ns=SystemClock().monotonic_ns() + _LONG_MS * NS_PER_MS,
                    board_until_ns=SystemClock().monotonic_ns() + _LONG_MS * NS_PER_MS,
                    clock_offset_ms=0,
                ),
            )
            session = Session(
                market=_MARKET,
                instrument=instrument,
                epoch=1,
                owner="headroom",
                lease_ttl_ms=_LONG_MS,
                window_s=_PATIENCE_S,
                audit_s=5.0,
                loop=loop,
                ports=SessionPorts(
                    venue=venue,
                    lease=OwnLease(),
                    board=OwnBoard(),
                    kill_file=NoKillFile(),
                    ledger=OwnLedger(),
                    clock=SystemClock(),
                    meter=Counts(),
                ),
                report=seen.append,
            )
            quotes = group.create_task(session.run())
            try:
                yield Stage(sim=sim, seen=seen)
            finally:
                quotes.cancel()
                await quotes
        finally:
            running.cancel()
            await venue.close()


async def test_without_headroom_the_venue_refuses_for_margin() -> None:
    async with quoting(_WIDE) as stage:
        await stage.sell_until(lambda: stage.margin_refusals() > 0)
        assert stage.held() > 5 * _EQUITY


async def test_with_headroom_nothing_is_ever_refused_for_margin() -> None:
    async with quoting(_TIGHT) as stage:
        # Equity over what is held may fall to a fifth: nearly all of that is used.
        near = Decimal("4.5") * _EQUITY
        await stage.sell_until(lambda: stage.held() > near)
        # The crowd goes on; whatever is shown to it from here on must still be carried.
        before = len(stage.seen)
        await stage.sell_until(lambda: len(stage.seen) > before + 3)
        assert stage.margin_refusals() == 0
        assert stage.held() <= Decimal("5.2") * _EQUITY
