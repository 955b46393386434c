"""A venue for exits, with a script of what goes wrong: parts, refusals, lost answers, deaths.

It judges while it acts: an order that would go past zero, or an id it took before, is a failure.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self, cast

from desk.errors import NotSent, Refused, Unresolved
from desk.instrument import Instrument
from desk.market import BookSnapshot, FeedEvent
from desk.orders import (
    Batch,
    BatchOutcome,
    CancelOutcome,
    Fill,
    NewOrder,
    OrderOutcome,
    OutcomeKind,
    RejectReason,
    TimeInForce,
    VenueOrder,
    VenuePosition,
)
from desk.ports import Capabilities, Venue
from desk.risk.approval import Approved
from desk.units import Lots, Side
from tests.quoting.builders import CAPABILITIES, INSTRUMENT, fill

_CAPABILITIES = replace(CAPABILITIES, settling_ms=0, ids_refused_for_good=True)


class Died(BaseException):
    """The worker is gone at this very point."""


class Fate(StrEnum):
    """What becomes of one call."""

    WELL = "well"
    PART = "part"
    NOTHING = "nothing"
    REFUSED = "refused"
    LOST_BEFORE = "lost before it was applied"
    LOST_AFTER = "lost after it was applied"
    LATE = "applied only after everybody gave up on it"
    DIED_BEFORE = "worker died before it was applied"
    DIED_AFTER = "worker died after it was applied"


class RealClock:
    """Time as it is."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        return time.time_ns()


@dataclass
class ExitVenue:
    """One market. Fates are used up by orders, reading fates by positions; then all goes well."""

    lots: Lots
    fates: deque[Fate] = field(default_factory=deque)
    reads: deque[Fate] = field(default_factory=deque)
    capabilities: Capabilities = _CAPABILITIES
    dead_man: None = None
    rests_meet: bool = False
    sent: list[NewOrder] = field(default_factory=list)
    closed: list[NewOrder] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    positions: list[Lots] = field(default_factory=list)
    trades: list[Fill] = field(default_factory=list)
    resting: dict[str, NewOrder] = field(default_factory=dict)
    late: list[NewOrder] = field(default_factory=list)
    cancels: int = 0
    spread: int = 2

    def __post_init__(self) -> None:
        self.positions.append(self.lots)

    @property
    def port(self) -> Venue:
        """As its callers see it: what an exit does not use is left out."""
        return cast("Venue", self)

    @property
    def feed(self) -> Self:
        return self

    @property
    def account(self) -> Self:
        return self

    @property
    def execution(self) -> Self:
        return self

    async def run(self, instrument: Instrument, sink: Callable[[FeedEvent], None]) -> None:
        bid = 600_000 - self.spread // 2
        sink(
            BookSnapshot(
                bids=[(bid, 50_000)],
                asks=[(bid + self.spread, 50_000)],
                sequence=None,
                received_ns=time.monotonic_ns(),
            )
        )

    async def position(self, instrument: Instrument) -> VenuePosition:
        self._arrive()
        match self.reads.popleft() if self.reads else Fate.WELL:
            case Fate.LOST_BEFORE:
                raise NotSent("no connection")
            case Fate.LOST_AFTER:
                raise Unresolved("no answer")
            case Fate.REFUSED:
                raise Refused(RejectReason.RATE_LIMITED, "too many")
            case Fate.DIED_BEFORE | Fate.DIED_AFTER:
                raise Died
            case _:
                return VenuePosition(symbol=instrument.symbol, lots=self.lots)

    async def fills(self, instrument: Instrument, since_ms: int) -> Sequence[Fill]:
        return list(self.trades)

    async def open_orders(self, instrument: Instrument | None) -> Sequence[VenueOrder]:
        return [
            VenueOrder(
                symbol=INSTRUMENT.symbol,
                side=order.side,
                price=order.price,
                remaining=order.lots,
                venue_order_id=name,
                client_order_id=name,
                reduce_only=True,
            )
            for name, order in self.resting.items()
        ]

    async def find(self, instrument: Instrument, client_order_id: str) -> VenueOrder | None:
        """Also says None of what rests: listings may lag."""
        order = self.resting.get(client_order_id)
        if order is not None and self.rests_meet:
            self._trade(order, max(1, order.lots // 2))
        return None

    async def cancel_all(self, instrument: Instrument | None) -> CancelOutcome:
        self.cancels += 1
        self.resting.clear()
        return CancelOutcome(confirmed=True)

    async def send(self, batch: Approved[Batch], instrument: Instrument) -> BatchOutcome:
        (order,) = batch.value.orders
        self.sent.append(order)
        return self._meet(batch.value, order)

    async def close(self, batch: Approved[Batch], instrument: Instrument) -> BatchOutcome:
        assert self.capabilities.closes_positions
        (order,) = batch.value.orders
        self.closed.append(order)
        return self._meet(batch.value, order)

    def _meet(self, batch: Batch, order: NewOrder) -> BatchOutcome:
        assert order.reduce_only
        assert not self.resting, "another order of ours may still trade"
        fate = self.fates.popleft() if self.fates else Fate.WELL
        if fate is Fate.DIED_BEFORE:
            raise Died
        if fate is Fate.LOST_BEFORE:
            return _answer(batch, OutcomeKind.UNRESOLVED)
        if fate is Fate.REFUSED:
            return _answer(batch, OutcomeKind.REJECTED, reason=RejectReason.MARGIN)
        if order.client_order_id in self.taken:
            assert self.capabilities.ids_refused_for_good, "an id was accepted twice"
            return _answer(batch, OutcomeKind.UNRESOLVED, reason=RejectReason.DUPLICATE)
        if fate is Fate.LATE:
            self.late.append(order)
            return _answer(batch, OutcomeKind.UNRESOLVED)
        filled = self._take(order, fate)
        if fate is Fate.DIED_AFTER:
            raise Died
        if fate is Fate.LOST_AFTER:
            return _answer(batch, OutcomeKind.UNRESOLVED)
        return _answer(batch, OutcomeKind.ACCEPTED, filled=filled)

    def _take(self, order: NewOrder, fate: Fate) -> Lots:
        """Not trimmed here, so that nothing but our own care keeps it from going past zero."""
        assert order.side is (Side.SELL if self.lots > 0 else Side.BUY)
        assert 0 < order.lots <= abs(self.lots), "more than the position was sent"
        self.taken.append(order.client_order_id)
        if order.time_in_force is TimeInForce.GTC:
            self.resting[order.client_order_id] = order
            return 0
        if fate is Fate.NOTHING:
            return 0
        return self._trade(order, max(1, order.lots // 3) if fate is Fate.PART else order.lots)

    def _arrive(self) -> None:
        """What was late arrives; the venue itself keeps it from going past zero."""
        while self.late:
            order = self.late.pop()
            wanted = Side.SELL if self.lots > 0 else Side.BUY
            if self.lots and order.side is wanted and order.client_order_id not in self.taken:
                self.taken.append(order.client_order_id)
                self._trade(order, min(order.lots, abs(self.lots)))

    def _trade(self, order: NewOrder, lots: Lots) -> Lots:
        self.lots += order.side.sign * lots
        self.positions.append(self.lots)
        name = f"t{len(self.trades)}"
        self.trades.append(fill(name, order.side, order.price, lots, order.client_order_id))
        return lots


def _answer(
    batch: Batch,
    kind: OutcomeKind,
    *,
    reason: RejectReason | None = None,
    filled: Lots | None = None,
) -> BatchOutcome:
    (order,) = batch.orders
    told = OrderOutcome(
        client_order_id=order.client_order_id, kind=kind, reason=reason, filled=filled
    )
    return BatchOutcome(batch_id=batch.batch_id, orders=(told,), old_gone=False, sent_ns=0)
