"""One market quoted by a real session at the simulated X10, over a book that only the test moves.

What is asserted comes from the engine's own log; what we sent is overheard where it is decided.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypeAlias

from desk.book import Book
from desk.identity import MarketId, OrderIdentity
from desk.market import BookDelta, BookSnapshot
from desk.orders import Fill, NewOrder, VenueOrder
from desk.permit import Permit
from desk.quoting.parameters import QuoteParameters, QuoteStyle
from desk.records import FillSeen, LedgerFacts, OrderAnswered
from desk.risk.limits import RiskLimits
from desk.units import NS_PER_MS, NS_PER_S, Side, Ticks
from desk.working import WorkingState
from infra.clock import SystemClock
from quoting.actions import Action, SendBatch
from quoting.clearing import clear
from quoting.inbox import InboxEvent
from quoting.loop import MarketLoop
from quoting.progress import LatencySamples
from quoting.session import Session, SessionPorts
from quoting.setup import LoopSetup
from tests.support.alone import Counts, NoKillFile, OwnBoard, OwnLease, OwnLedger
from tests.venues.x10.harness import ACCOUNT, MARKET, X10Harness, settings, x10_harness
from venues.simulation.counterflow import FlowKind
from venues.simulation.events import Event, OrderAccepted, OrderCancelled, OrderRejected, Trade
from venues.simulation.faults import Fault, FaultKind
from venues.simulation.hand import CROWD, fill_first
from venues.x10.simulator.numbers import trade_number

SYMBOL = MARKET.symbol
TOUCH = (60_000, 60_010)
ONE_LEVEL = QuoteParameters(
    style=QuoteStyle.TOUCH,
    offset_divisor=8_000,
    levels=1,
    level_notional=Decimal(300),
    inventory_cap=Decimal(3_000),
    requote_tolerance_bps=Decimal(0),
    debounce_ms=100,
)
LIMITS = RiskLimits(
    max_orders_per_minute=1_000_000,
    max_drawdown=Decimal(10) ** 9,
    reconcile_every_ms=1_000,
)
_AFAR = ((Side.BUY, 59_000, 100_000), (Side.SELL, 61_000, 100_000))
_AT_TOUCH = 40
_LEASE_MS = 60_000
_NOTHING = LedgerFacts(
    fills=0, position=0, cash=Decimal(0), fees=Decimal(0), last_trade_ms=None, peak_pnl=None
)
Ours: TypeAlias = OrderAccepted | OrderRejected | OrderCancelled | Trade


class OverheardLoop(MarketLoop):
    """The product's loop; `actions` is everything it decided, `sent` the orders among it.

    `touch` is the best bid and ask heard so far, ours included.
    """

    def __init__(self, setup: LoopSetup, permit: Permit) -> None:
        super().__init__(setup, permit)
        self.actions: list[Action] = []
        self.sent: list[NewOrder] = []
        self._heard = Book()

    @property
    def touch(self) -> tuple[Ticks | None, Ticks | None]:
        return self._heard.best_bid, self._heard.best_ask

    def apply(self, event: InboxEvent) -> tuple[Fill, ...]:
        if isinstance(event, BookSnapshot | BookDelta):
            self._heard.apply(event)
        return super().apply(event)

    def decide(self, now_ns: int) -> list[Action]:
        actions = super().decide(now_ns)
        self.actions += actions
        for action in actions:
            if isinstance(action, SendBatch):
                self.sent += action.approved.value.orders
        return actions


@dataclass(slots=True, kw_only=True)
class QuotingStage:
    """Levers over the venue, and what was seen of the session.

    `worst_lots` is the largest position there would have been, had a side filled at once.
    """

    harness: X10Harness
    loop: OverheardLoop
    ledger: OwnLedger
    log: list[Ours] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    shown: list[tuple[Side, Ticks, int]] = field(default_factory=list)
    worst_lots: int = 0

    # --- the venue's side --------------------------------------------------------------------

    def show(self, bid: Ticks, ask: Ticks) -> None:
        """Make this the touch that others show, in one step."""
        engine = self.harness.sim.engine
        for side, price, _ in self.shown:
            engine.set_levels(CROWD, SYMBOL, [(side, price, 0)])
        self.shown = [*_AFAR, (Side.BUY, bid, _AT_TOUCH), (Side.SELL, ask, _AT_TOUCH)]
        engine.set_levels(CROWD, SYMBOL, self.shown)

    async def moved(self, by: int) -> None:
        """Show a touch elsewhere and wait until the session has seen it."""
        bid, ask = TOUCH[0] + by, TOUCH[1] + by
        self.show(bid, ask)
        await until(lambda: self.loop.touch == (bid, ask), "the book stood still")

    def arm(self, kind: FaultKind, **more: object) -> None:
        """Have a fault strike the next order request."""
        fault = Fault(kind=kind, method="POST", path="*/user/order", **more)  # type: ignore[arg-type]
        self.harness.sim.faults.add(fault)

    def fill(self, side: Side) -> None:
        """Have the crowd fill our order of a side, whole."""
        engine = self.harness.sim.engine
        fill_first(engine, ACCOUNT, [o for o in engine.open_orders(ACCOUNT) if o.side is side], 1.0)

    def hush(self, seconds: float) -> None:
        """Keep back what the account stream tells."""
        self.harness.sim.world.outbox.hold(ACCOUNT, seconds)

    def resting(self, side: Side) -> VenueOrder | None:
        """Our one order of a side, straight from the engine."""
        found = [one for one in self._open() if one.side is side]
        assert len(found) < 2, found
        return found[0] if found else None

    def watch(self, event: Event) -> None:
        """Note what concerns us; hold every state of the book to one order a slot."""
        if isinstance(event, Trade):
            mine = ACCOUNT in (event.maker, event.taker)
        else:
            mine = getattr(event, "account", None) == ACCOUNT
        if mine and isinstance(event, OrderAccepted | OrderRejected | OrderCancelled | Trade):
            self.log.append(event)
        held, resting = self.harness.sim.engine.position(ACCOUNT, SYMBOL).lots, self._open()
        for side in Side:
            open_lots = sum(one.remaining for one in resting if one.side is side)
            self.worst_lots = max(self.worst_lots, side.sign * held + open_lots)
        slots = Counter(
            identity.slot
            for one in resting
            if (identity := OrderIdentity.decode(one.client_order_id or "")) is not None
        )
        if any(count > 1 for count in slots.values()):
            self.double.append(str([one.client_order_id for one in resting]))

    # --- what was seen -----------------------------------------------------------------------

    def told(self, name: str) -> list[Ours]:
        """What the engine logged of one order, trades apart."""
        return [
            one for one in self.log if not isinstance(one, Trade) and one.client_order_id == name
        ]

    def accepted_at(self, side: Side, after_ns: int) -> int | None:
        """When the engine next took an order of ours on a side, venue nanoseconds."""
        for one in self.log:
            if isinstance(one, OrderAccepted) and one.side is side and one.at_ns > after_ns:
                return one.at_ns
        return None

    def answers(self) -> list[OrderAnswered]:
        """How our sends ended, oldest first."""
        return [one for one in self.ledger.records if isinstance(one, OrderAnswered)]

    def booked(self) -> list[str]:
        """Trade ids in our ledger, doubles included."""
        return [one.fill.trade_id for one in self.ledger.records if isinstance(one, FillSeen)]

    def buys(self) -> list[NewOrder]:
        """Bids sent so far."""
        return [one for one in self.loop.sent if one.side is Side.BUY]

    def denials(self) -> int:
        """How often our own gate refused a batch."""
        return self.loop.progress(LatencySamples()).denials

    async def next_bid(self) -> NewOrder:
        """The next bid that is sent from now on."""
        count = len(self.buys())
        await until(lambda: len(self.buys()) > count, "no bid was sent")
        return self.buys()[count]

    async def agreed(self) -> None:
        """Wait until both sides rest, and what we think rests is what rests."""
        await until(self._agreed, "ours and theirs differ", self._differences)

    async def cycle_s(self) -> float:
        """Seconds of an undisturbed requote, from the moving of the book to the new bid."""
        await self.agreed()
        moved_ns = SystemClock().wall_ns()
        self.show(TOUCH[0] + 3, TOUCH[1] + 3)
        await until(lambda: self.accepted_at(Side.BUY, moved_ns) is not None, "no requote")
        took_ns = (self.accepted_at(Side.BUY, moved_ns) or 0) - moved_ns
        await self.agreed()
        return took_ns / NS_PER_S

    def _agreed(self) -> bool:
        ours = sorted(one.order.client_order_id for one in self.loop.orders.open)
        return (
            {one.state for one in self.loop.orders.open} == {WorkingState.RESTING}
            and len(ours) == 2
            and ours == sorted(one.client_order_id or "" for one in self._open())
            and self.loop.standing.in_step
        )

    def _differences(self) -> str:
        ours = [(one.order.client_order_id, one.state.value) for one in self.loop.orders.open]
        theirs = [one.client_order_id for one in self._open()]
        return f"ours {ours}, theirs {theirs}, {self.loop.actions[-3:]}"

    def _open(self) -> list[VenueOrder]:
        return [
            VenueOrder(
                symbol=one.symbol,
                side=one.side,
                price=one.price,
                remaining=one.remaining,
                venue_order_id=one.order_id,
                client_order_id=one.client_order_id,
            )
            for one in self.harness.sim.engine.open_orders(ACCOUNT, SYMBOL)
        ]


@asynccontextmanager
async def quoting(
    *,
    parameters: QuoteParameters = ONE_LEVEL,
    limits: RiskLimits = LIMITS,
    epoch: int = 1,
    before: Callable[[X10Harness], Awaitable[None]] | None = None,
    **changes: object,
) -> AsyncIterator[QuotingStage]:
    """A session that quotes; `changes` are simulator settings, `before` runs on the empty venue.

    On the way out the session leaves, and must have cleared the market, booked every fill once,
    and never have had two live orders in a slot.
    """
    market = replace(MARKET, flow=FlowKind.NONE)
    async with x10_harness(settings(markets=(market,), **changes), settling_ms=100) as harness:
        if before is not None:
            await before(harness)
        loop = await _loop(harness, parameters, limits, epoch)
        stage = QuotingStage(harness=harness, loop=loop, ledger=OwnLedger())
        harness.sim.engine.subscribe(stage.watch)
        stage.show(*TOUCH)
        opened = await clear(harness.venue, harness.instrument, SystemClock(), give_up_s=5)
        assert opened.verified, opened
        session = _session(harness, loop, stage.ledger, epoch)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(session.run())
            await stage.agreed()
            yield stage
            running.cancel()
            end = await running
    assert end.cleared, end.message
    names = [one.client_order_id for one in loop.sent]
    assert len(names) == len(set(names)), "an order was sent twice"
    assert not stage.double, f"two live orders in one slot: {stage.double[:3]}"
    theirs = [_trade_of(one) for one in stage.log if isinstance(one, Trade)]
    assert sorted(stage.booked()) == sorted(theirs), "every fill is booked, and once"


async def until(
    holds: Callable[[], bool], what: str, more: Callable[[], str] = str, within_s: float = 5.0
) -> None:
    """Wait for a condition; AssertionError says what did not come about."""
    clock = asyncio.get_running_loop()
    give_up = clock.time() + within_s
    while not holds():
        assert clock.time() < give_up, f"{what}: {more()}"
        await asyncio.sleep(0.002)


def fills_of(log: Sequence[Ours]) -> list[Trade]:
    """Our trades in a log."""
    return [one for one in log if isinstance(one, Trade)]


def _trade_of(trade: Trade) -> str:
    own = trade.maker_trade_id if trade.maker == ACCOUNT else trade.taker_trade_id
    return str(trade_number(own))


async def _loop(
    harness: X10Harness, parameters: QuoteParameters, limits: RiskLimits, epoch: int
) -> OverheardLoop:
    timer, market = harness.venue.dead_man, MarketId("x10", ACCOUNT, SYMBOL)
    assert timer is not None
    until_ns = SystemClock().monotonic_ns() + _LEASE_MS * NS_PER_MS
    setup = LoopSetup(
        market=market,
        instrument=harness.instrument,
        epoch=epoch,
        parameters=parameters,
        limits=limits,
        capabilities=harness.venue.capabilities,
        facts=_NOTHING,
        known_since_ms=0,
        known=frozenset(),
    )
    permit = Permit(
        max_clock_offset_ms=60_000,
        max_ledger_behind_s=60.0,
        lease_until_ns=until_ns,
        board_until_ns=until_ns,
        clock_offset_ms=0,
        dead_man_until_ns=await timer.keep(market.path),
    )
    return OverheardLoop(setup, permit)


def _session(harness: X10Harness, loop: OverheardLoop, ledger: OwnLedger, epoch: int) -> Session:
    return Session(
        market=MarketId("x10", ACCOUNT, SYMBOL),
        instrument=harness.instrument,
        epoch=epoch,
        owner="stage",
        lease_ttl_ms=_LEASE_MS,
        window_s=60.0,
        audit_s=1.0,
        loop=loop,
        ports=SessionPorts(
            venue=harness.venue,
            lease=OwnLease(epoch),
            board=OwnBoard(),
            kill_file=NoKillFile(),
            ledger=ledger,
            clock=SystemClock(),
            meter=Counts(),
        ),
        report=lambda _: None,
    )
