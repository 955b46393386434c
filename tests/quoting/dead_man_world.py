"""A fleet's leases and venues in memory, and a loop whose time passes without waiting.

The leases keep what Redis promises: one claimer at a time, none while somebody holds the lease.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from desk.errors import ConfigurationFault, Unavailable
from desk.identity import MarketId, OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import CancelOutcome, VenueOrder
from desk.ports import Capabilities
from desk.records import ControlDecision, LostLease
from desk.units import Side
from quoting.dead_man import DeadMan
from tests.quoting.builders import CAPABILITIES, INSTRUMENT
from tests.support.alone import OwnLedger

START_MS = 1_800_000_000_000


class _Selector(selectors.DefaultSelector):
    """Instead of waiting, moves the loop's time to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.now_s += timeout or 0.0
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._swift = _Selector()
        super().__init__(self._swift)

    def time(self) -> float:
        return self._swift.now_s


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test whose seconds cost nothing."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(scene())


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def until(holds: Callable[[], bool], *, within_s: float = 60.0) -> None:
    """Let time pass until it holds."""
    end_s = now_s() + within_s
    while not holds():
        assert now_s() < end_s, f"not within {within_s} s"
        await asyncio.sleep(0.01)


class LoopClock:
    """Both clocks are the loop's time."""

    def monotonic_ns(self) -> int:
        return int(now_s() * 1e9)

    def wall_ns(self) -> int:
        return START_MS * 1_000_000 + self.monotonic_ns()


@dataclass(slots=True)
class Leases:
    """LostLeases of a fleet; `events` is what was asked and answered, in order."""

    lost: dict[MarketId, LostLease] = field(default_factory=dict)
    claims: dict[MarketId, tuple[str, float]] = field(default_factory=dict)
    events: list[tuple[str, str, bool]] = field(default_factory=list)
    away: bool = False
    refuses: bool = False
    settle_answers_lost: int = 0

    def lose(self, market: MarketId, *, epoch: int = 7) -> LostLease:
        lost = LostLease(market=market, epoch=epoch, owner="dead/1", expired_at_ms=START_MS)
        self.lost[market] = lost
        return lost

    def take_over(self, market: MarketId) -> None:
        """A new session holds it."""
        del self.lost[market]

    async def expired(self, grace_ms: int = 0) -> Sequence[LostLease]:
        self._answer()
        return tuple(self.lost.values())

    async def claim(self, lost: LostLease, claimer: str, ttl_ms: int) -> bool:
        self._answer()
        holder, until_s = self.claims.get(lost.market, ("", 0.0))
        free = holder == claimer or now_s() >= until_s
        granted = free and self._stands(lost) and not self.refuses
        if granted:
            self.claims[lost.market] = (claimer, now_s() + ttl_ms / 1_000)
        self.events.append(("claim", lost.market.path, granted))
        return granted

    async def yield_claim(self, lost: LostLease, claimer: str) -> None:
        self._answer()
        if self.claims.get(lost.market, ("", 0.0))[0] == claimer:
            del self.claims[lost.market]
            self.events.append(("yield", lost.market.path, True))

    async def settle(self, lost: LostLease) -> bool:
        self._answer()
        settled = self._stands(lost)
        if settled:
            del self.lost[lost.market]
        self.events.append(("settle", lost.market.path, settled))
        if self.settle_answers_lost:
            self.settle_answers_lost -= 1
            raise Unavailable("redis: no answer")
        return settled

    def _stands(self, lost: LostLease) -> bool:
        return self.lost.get(lost.market) == lost

    def _answer(self) -> None:
        if self.away:
            raise Unavailable("redis: away")


@dataclass(slots=True)
class Market:
    """What rests in one market, and how its venue treats what is asked."""

    orders: int = 3
    cancels: int = 0
    listings: int = 0


@dataclass(slots=True)
class OneVenue:
    """Venue, account and execution of one account, in one."""

    name: str
    account_name: str
    leases: Leases
    markets: dict[str, Market]
    trouble: Exception | None = None
    slow_s: float = 0.01
    listed: int = 0
    opened: int = 0
    troubles: list[Exception | None] = field(default_factory=list)

    @property
    def capabilities(self) -> Capabilities:
        return replace(CAPABILITIES, settling_ms=500)

    @property
    def execution(self) -> "OneVenue":
        return self

    @property
    def account(self) -> "OneVenue":
        return self

    async def instruments(self) -> Sequence[Instrument]:
        await self._answer(self.trouble)
        self.listed += 1
        return [replace(INSTRUMENT, venue=self.name, symbol=symbol) for symbol in self.markets]

    async def cancel_all(self, instrument: Instrument) -> Any:
        self.markets[instrument.symbol].cancels += 1
        path = MarketId(self.name, self.account_name, instrument.symbol).path
        self.leases.events.append(("cancel", path, True))
        await self._answer(self.troubles.pop(0) if self.troubles else self.trouble)
        taken, self.markets[instrument.symbol].orders = self.markets[instrument.symbol].orders, 0
        return CancelOutcome(confirmed=True, cancelled=taken)

    async def open_orders(self, instrument: Instrument) -> Sequence[VenueOrder]:
        resting = self.markets[instrument.symbol].orders
        await self._answer(self.trouble)
        self.markets[instrument.symbol].listings += 1
        market = MarketId(self.name, self.account_name, instrument.symbol)
        return [_order(market, number) for number in range(resting)]

    async def _answer(self, trouble: Exception | None) -> None:
        await asyncio.sleep(self.slow_s)
        if trouble is not None:
            raise trouble


def _order(market: MarketId, number: int) -> VenueOrder:
    slot = Slot(Side.BUY, number)
    identity = OrderIdentity(tag=market.tag, epoch=7, cycle=1, slot=slot)
    return VenueOrder(
        symbol=market.symbol,
        side=Side.BUY,
        price=600_000,
        remaining=10,
        venue_order_id=str(number),
        client_order_id=identity.encode(),
    )


@dataclass(slots=True)
class Alerts:
    """Who was told what, and when."""

    told: list[tuple[float, str, str]] = field(default_factory=list)
    away: bool = False
    tries: int = 0

    async def alert(self, market: MarketId | None, severity: str, text: str) -> None:
        self.tries += 1
        if self.away:
            raise Unavailable("postgres: away")
        self.told.append((now_s(), severity, text))


@dataclass(slots=True)
class World:
    """Everything that guardians of one fleet share."""

    leases: Leases = field(default_factory=Leases)
    ledger: OwnLedger = field(default_factory=OwnLedger)
    alerts: Alerts = field(default_factory=Alerts)
    venues: dict[tuple[str, str], OneVenue] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    ended: list[tuple[MarketId, int]] = field(default_factory=list)

    def venue(self, name: str, *symbols: str, account: str = "main") -> OneVenue:
        markets = {symbol: Market() for symbol in symbols}
        venue = OneVenue(name, account, self.leases, markets)
        self.venues[(name, account)] = venue
        return venue

    def guardian(self, name: str = "guardian-1") -> DeadMan:
        return DeadMan(_Ports(self, name), poll_s=0.25, tell=self.said.append)  # type: ignore[arg-type]

    async def end_orders(self, market: MarketId, epoch: int, how: str, at_ms: int) -> int:
        self.ended.append((market, epoch))
        return 0

    def decisions(self) -> list[ControlDecision]:
        return [record for record in self.ledger.records if isinstance(record, ControlDecision)]


class _Ports:
    """What one guardian process is given."""

    def __init__(self, world: World, worker: str) -> None:
        self.worker = worker
        self.lost = world.leases
        self.writer = world.ledger
        self.ledger = world
        self.alerts = world.alerts
        self.clock = LoopClock()
        self.venues = _Directory(world)


class _Directory:
    def __init__(self, world: World) -> None:
        self._world = world

    async def venue(self, name: str, account: str) -> OneVenue:
        found = self._world.venues.get((name, account))
        if found is None:
            raise ConfigurationFault(f"base_url: {name} is not set; give its URL")
        found.opened += 1
        return found
