"""One market quoted through a storm: fills racing replaces, lost replies, refusals, reconnects.

The venue's engine is looked at after each of its steps: no slot may ever hold two live orders. When
the storm is over, what we think rests must be what rests, and nothing may be left unresolved.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from desk.identity import MarketId, OrderIdentity
from desk.permit import Permit
from desk.quoting.parameters import QuoteParameters
from desk.records import FillSeen, LedgerFacts
from desk.risk.limits import RiskLimits
from desk.units import NS_PER_MS, Side
from desk.working import WorkingState
from infra.clock import SystemClock
from quoting.loop import MarketLoop
from quoting.progress import SessionProgress
from quoting.session import Session, SessionEnd, SessionPorts
from quoting.setup import LoopSetup
from tests.support.alone import Counts, NoKillFile, OwnBoard, OwnLease, OwnLedger
from tests.venues.storm.harness import Gust, StormHarness

_BLOWS_S = 2.0
_GUSTINESS = 0.15
_CALM_S = 12.0
_LEASE_MS = 60_000
_NOTHING = LedgerFacts(
    fills=0, position=0, cash=Decimal(0), fees=Decimal(0), last_trade_ms=None, peak_pnl=None
)


@dataclass(slots=True, kw_only=True)
class Storm:
    """One seed's weather over one market, and what was seen in it."""

    harness: StormHarness
    seed: int
    parameters: QuoteParameters
    double: list[str] = field(default_factory=list)
    blown: list[str] = field(default_factory=list)
    ledger: OwnLedger = field(default_factory=OwnLedger)
    progress: SessionProgress | None = None

    async def run(self) -> SessionEnd:
        """Blow, calm down, compare, and leave; AssertionError says what was wrong, and the seed."""
        dice = random.Random(self.seed)
        self.harness.on_change(self._look)
        loop = await self._loop()
        session = self._session(loop)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(session.run())
            await self._until_quoting(loop)
            await self._blow(dice)
            self.harness.settle_down()
            await self._until_agreed(loop)
            # What trades while the session leaves is booked by the next opening, not by this one.
            await self.harness.quiet()
            await self._until_agreed(loop)
            await self._compare_fills()
            running.cancel()
            end = await running
        self._say(end.cleared, f"not cleared: {end.message}")
        self._say(not self.harness.resting_ids(), "orders rest after leaving")
        self._say(not self.double, f"two live orders in one slot: {self.double[:3]}")
        return end

    # --- the weather -------------------------------------------------------------------------

    async def _blow(self, dice: random.Random) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + _BLOWS_S
        while loop.time() < until:
            if dice.random() > _GUSTINESS:
                side = dice.choice((Side.BUY, Side.SELL))
                await self.harness.trade(side, dice.randint(1, 40) * self._unit())
            else:
                await self._gust(dice.choice(self.harness.gusts))
            await asyncio.sleep(dice.random() * 0.06)

    async def _gust(self, gust: Gust) -> None:
        self.blown.append(gust.kind)
        await self.harness.add_fault(gust.kind, target=gust.target, **gust.match)

    def _unit(self) -> int:
        return max(1, self.harness.instrument.min_lots)

    # --- what must hold ----------------------------------------------------------------------

    def _look(self) -> None:
        slots = Counter(
            (identity.slot.side, identity.slot.level)
            for one in self.harness.resting_ids()
            if (identity := OrderIdentity.decode(one)) is not None
        )
        if any(count > 1 for count in slots.values()):
            self.double.append(str(sorted(self.harness.resting_ids())))

    async def _until_quoting(self, loop: MarketLoop) -> None:
        await self._until(lambda: bool(self._resting(loop)), loop, "never quoted")

    async def _until_agreed(self, loop: MarketLoop) -> None:
        await self._until(lambda: self._agreed(loop), loop, "local and venue differ")

    def _agreed(self, loop: MarketLoop) -> bool:
        states = {one.state for one in loop.orders.open}
        return (
            states == {WorkingState.RESTING}
            and self._resting(loop) == sorted(self.harness.resting_ids())
            and loop.standing.in_step
        )

    def _resting(self, loop: MarketLoop) -> list[str]:
        return sorted(one.order.client_order_id for one in loop.orders.open)

    async def _until(self, holds: Callable[[], bool], loop: MarketLoop, what: str) -> None:
        clock = asyncio.get_running_loop()
        until = clock.time() + _CALM_S
        while not holds():
            if clock.time() > until:
                states = [(one.order.client_order_id, one.state.value) for one in loop.orders.open]
                self._say(
                    ok=False,
                    what=f"{what}: ours {states}, theirs {self.harness.resting_ids()}, "
                    f"in step {loop.standing.in_step}, {self.progress}",
                )
            await asyncio.sleep(0.005)

    async def _compare_fills(self) -> None:
        clock = asyncio.get_running_loop()
        until = clock.time() + _CALM_S
        while (wrong := await self._unlike_fills()) and clock.time() < until:
            await asyncio.sleep(0.02)
        self._say(not wrong, f"fills that only one side has: {wrong}")

    async def _unlike_fills(self) -> dict[object, int]:
        booked = [
            (one.fill.side, one.fill.price, one.fill.lots)
            for one in self.ledger.records
            if isinstance(one, FillSeen)
        ]
        theirs = [(one.side, one.price, one.lots) for one in await self.harness.fills()]
        missing = Counter(theirs)
        missing.subtract(booked)
        return {key: count for key, count in missing.items() if count}

    def _say(self, ok: bool, what: str) -> None:
        assert ok, f"seed {self.seed}, after {self.blown}: {what}"

    # --- the session -------------------------------------------------------------------------

    async def _loop(self) -> MarketLoop:
        harness = self.harness
        instrument, venue = harness.instrument, harness.venue
        timer = venue.dead_man
        market = MarketId(instrument.venue, "main", instrument.symbol)
        return MarketLoop(
            LoopSetup(
                market=market,
                instrument=instrument,
                epoch=1,
                parameters=self.parameters,
                limits=RiskLimits(
                    max_orders_per_minute=1_000_000,
                    max_drawdown=Decimal(10) ** 9,
                    reconcile_every_ms=1_000,
                    max_errors=1_000_000,
                    max_fill_burst=Decimal(10) ** 9,
                ),
                capabilities=venue.capabilities,
                facts=_NOTHING,
                known_since_ms=0,
                known=frozenset(),
            ),
            Permit(
                max_clock_offset_ms=60_000,
                max_ledger_behind_s=60.0,
                lease_until_ns=SystemClock().monotonic_ns() + _LEASE_MS * NS_PER_MS,
                board_until_ns=SystemClock().monotonic_ns() + _LEASE_MS * NS_PER_MS,
                clock_offset_ms=0,
                dead_man_until_ns=None if timer is None else await timer.keep(market.path),
            ),
        )

    def _session(self, loop: MarketLoop) -> Session:
        instrument = self.harness.instrument
        return Session(
            market=MarketId(instrument.venue, "main", instrument.symbol),
            instrument=instrument,
            epoch=1,
            owner="storm",
            lease_ttl_ms=_LEASE_MS,
            window_s=60.0,
            audit_s=1.0,
            loop=loop,
            ports=SessionPorts(
                venue=self.harness.venue,
                lease=OwnLease(),
                board=OwnBoard(),
                kill_file=NoKillFile(),
                ledger=self.ledger,
                clock=SystemClock(),
                meter=Counts(),
            ),
            report=self._report,
        )

    def _report(self, progress: SessionProgress) -> None:
        self.progress = progress


def seeds(count: int, first: int) -> Sequence[int]:
    """So many seeds from the first on."""
    return range(first, first + count)
