"""One outcome set at the simulated OCX, and runs over it as an activity would host them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage_ports import CapitalCap, StandingClaim
from desk.arbitrage_records import ArbitrageTrade, SetLeg
from desk.identity import MarketId
from desk.instrument import Settlement
from desk.permit import Permit
from desk.risk.limits import RiskLimits
from desk.units import Side
from quoting.arbitrage.ports import LegMarket, SetPorts
from quoting.arbitrage.report import RunEnd, RunOrder, RunReport, SetKind
from quoting.arbitrage.run import SetRun
from tests.activities.conftest import Desk
from tests.activities.hedge_venue import Parts
from venues.ocx.simulator.settings import FlowKind, SimMarket
from venues.simulation.faults import Fault, FaultKind
from venues.simulation.hand import CROWD

NAMES = ("A", "B", "C")
BULK = "*/quotes/bulk"
_WIDE = Decimal(100_000)
_FIRST_LEASE_MS = 10_000  # until the run keeps it: preparing three legs takes a while on a busy day
RULES = ArbitrageRules(
    max_units=Decimal(10),
    max_capital=Decimal(1_000),
    max_exposure=Decimal(1_000),
    max_age_ms=60_000,
    max_skew_ms=60_000,
)
LIMITS = RiskLimits(
    max_order_notional=_WIDE,
    max_position=_WIDE,
    collar_bps=Decimal(9_000),
    max_book_age_ms=60_000,
)


def outcome(name: str, price: str, min_lots: int = 1) -> SimMarket:
    return SimMarket(
        symbol=f"CUP-{name}",
        price=Decimal(price),
        tick=Decimal("0.01"),
        lot=Decimal(1),
        min_lots=min_lots,
        flow=FlowKind.NONE,
        settlement=Settlement(event="CUP", outcome=name, outcomes=3),
    )


SET = (outcome("A", "0.2"), outcome("B", "0.3"), outcome("C", "0.5"))
ASKS = {"A": ("0.18", 20), "B": ("0.28", 20), "C": ("0.48", 20)}
BIDS = {"A": ("0.16", 50), "B": ("0.26", 50), "C": ("0.46", 50)}
CAPS = tuple(
    CapitalCap(scope=scope, quote="USDC", amount=Decimal(10_000))
    for scope in ("fleet", "account:ocx/main", "account:ocx/second", "set:cup", "set:cup2")
)


@dataclass
class SetDesk:
    """A set of one account. `part` lets the run see a leg's venue through it."""

    desk: Desk
    name: str = "cup"
    account: str = "main"
    rules: ArbitrageRules = RULES
    limits: RiskLimits = LIMITS
    kind: SetKind = SetKind.OUTCOME_SET
    symbols: tuple[str, ...] = tuple(f"CUP-{name}" for name in NAMES)
    part: Callable[[MarketId, Any], Any] = lambda _, venue: venue
    ports: dict[str, Any] = field(default_factory=dict)
    run_now: SetRun | None = None

    @property
    def legs(self) -> tuple[MarketId, ...]:
        return tuple(MarketId("ocx", self.account, symbol) for symbol in self.symbols)

    @property
    def owner(self) -> str:
        return f"arbitrage/{self.name}/test"

    # --- the venue's side --------------------------------------------------------------------

    def rest(self, symbol: str, side: Side, *levels: tuple[str, int]) -> None:
        """What the crowd rests at these prices from now on."""
        engine = self.desk.venue.engine
        instrument = engine.market_rules(symbol).instrument
        engine.set_levels(
            CROWD,
            symbol,
            [(side, instrument.exact_ticks(Decimal(price)), lots) for price, lots in levels],
        )

    def show(
        self,
        asks: dict[str, tuple[str, int]] = ASKS,
        bids: dict[str, tuple[str, int]] = BIDS,
    ) -> None:
        """Two-sided books with an edge, unless others are given."""
        for name in NAMES:
            self.rest(f"CUP-{name}", Side.BUY, bids[name])
            self.rest(f"CUP-{name}", Side.SELL, asks[name])

    def arm(self, kind: FaultKind, name: str | None = None, **more: Any) -> int:
        market = None if name is None else f"CUP-{name}"
        return self.desk.venue.faults.add(Fault(kind=kind, market=market, **more))

    @property
    def held(self) -> tuple[int, ...]:
        """Lots of each leg, by the venue itself."""
        engine = self.desk.venue.engine
        return tuple(engine.position(self.account, symbol).lots for symbol in self.symbols)

    def orders(self, symbol: str | None = None) -> list[dict[str, Any]]:
        """Orders of ours that the venue took, by its own log."""
        return [
            dict(event)
            for event in self.desk.venue.engine.events(0)
            if event["event"] == "OrderAccepted"
            and event["account"] == self.account
            and symbol in {None, event["symbol"]}
        ]

    # --- our side ----------------------------------------------------------------------------

    async def arm_claims(self) -> None:
        ports = self.desk.ports
        memory = await ports.claims.memory()
        assert await ports.claims.rearm(await ports.trades.standing(), CAPS, memory)

    def order(self, **changes: Any) -> RunOrder:
        given: dict[str, Any] = {
            "name": self.name,
            "kind": self.kind,
            "legs": self.legs,
            "owner": self.owner,
            "run_id": "run",
            "rules": self.rules,
            "limits": self.limits,
            "lease_ttl_ms": 3_000,
            "window_s": 15.0,
            "rounds": 4,
        }
        return RunOrder(**{**given, **changes})

    async def made(self, **changes: Any) -> tuple[SetRun, list[LegMarket]]:
        """A run with fresh epochs, and the legs whose leases it holds."""
        ports = self.desk.ports
        legs = []
        for market in self.legs:
            venue = await ports.venues.venue("ocx", self.account)
            listed = {one.symbol: one for one in await venue.instruments()}
            await ports.ledger.remember_instrument(listed[market.symbol])
            epoch = await ports.ledger.open_epoch(market, self.owner, "run")
            async with asyncio.timeout(10):
                while not await ports.lease.acquire(market, epoch, self.owner, _FIRST_LEASE_MS):
                    await asyncio.sleep(0.1)
            legs.append(
                LegMarket(
                    market=market,
                    venue=self.part(market, venue),
                    instrument=listed[market.symbol],
                    epoch=epoch,
                    permit=Permit(max_clock_offset_ms=60_000, max_ledger_behind_s=10.0),
                )
            )
        kept = [SetLeg(market=leg.market, side=Side.BUY, epoch=leg.epoch) for leg in legs]
        epoch = await ports.trades.open_set(
            self.name, self.kind.value, kept, self.owner, "run", beyond=0
        )
        assert await ports.claims.fence(self.name, epoch)
        found = SetPorts(
            lease=ports.lease,
            board=ports.board,
            kill_file=ports.kill_file,
            writer=ports.writer,
            ledger=ports.ledger,
            claims=ports.claims,
            trades=ports.trades,
            waivers=ports.waivers,
            clock=ports.clock,
            gates=ports.gates,
        )
        order = self.order(**changes)
        self.run_now = SetRun(order, epoch=epoch, legs=legs, ports=replace(found, **self.ports))
        return self.run_now, legs

    async def run(self, **changes: Any) -> RunReport:
        """One whole run, as the activity hosts it."""
        async with self.running(**changes) as task:
            return await task

    @asynccontextmanager
    async def running(self, **changes: Any) -> AsyncIterator[asyncio.Task[RunReport]]:
        run, legs = await self.made(**changes)
        task = asyncio.create_task(run.run())
        try:
            async with asyncio.timeout(60):
                yield task
        except TimeoutError:
            raise AssertionError(f"it took too long: {task}, {run.look}") from None
        finally:
            task.cancel()
            await asyncio.wait({task})
            for leg in legs:
                await self.desk.ports.lease.release(leg.market, leg.epoch, self.owner)

    async def trades(self) -> Sequence[ArbitrageTrade]:
        """On record, newest first."""
        return await self.desk.ports.trades.recent(10, self.name)

    async def claims(self) -> Sequence[StandingClaim]:
        claims = await self.desk.ports.claims.open()
        return [one for one in claims if one.key.set_name == self.name]

    def after_claim(self, act: Callable[[], Any]) -> None:
        """Have something happen between a granted claim and the fire that follows it."""
        real = self.desk.ports.claims

        async def claim(asked: Any) -> Any:
            answer = await real.claim(asked)
            if type(answer).__name__ == "ClaimGranted":
                done = act()
                if done is not None:
                    await done
            return answer

        self.ports["claims"] = Parts(real, claim=claim)


@asynccontextmanager
async def set_desk(open_desk: Any, **changes: Any) -> AsyncIterator[SetDesk]:
    """A set with an edge shown, claims armed, and no kill on the board."""
    settings = {key: changes.pop(key) for key in ("markets", "others", "spot") if key in changes}
    async with open_desk(**{"markets": SET, **settings}) as desk:
        await desk.ports.board.rearm([])
        found = SetDesk(desk, **changes)
        await found.arm_claims()
        yield found


async def owing_b(cup: SetDesk) -> RunReport:
    """A and C are held, B missed."""
    cup.show()
    cup.rest("CUP-B", Side.SELL, ("0.80", 50))
    cup.arm(FaultKind.LEG_VANISHES, "B")
    owing = await cup.run(rounds=0)
    assert (owing.end, cup.held) == (RunEnd.OWED, (10, 0, 10)), owing
    return owing


async def until(happened: Callable[[], bool], within_s: float = 10) -> None:
    """Wait for something that will be so."""
    async with asyncio.timeout(within_s):
        while not happened():
            await asyncio.sleep(0.01)
