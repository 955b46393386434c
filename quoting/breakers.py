"""The triggers of one session: what they are told of, and what they demand.

Each of them ends the session by a `Leave`, and leaving cancels everything first; only slow answers
slow the orders down before.
"""

from decimal import Decimal

from desk.identity import OrderIdentity
from desk.lifecycle import SessionReason
from desk.orders import Fill, NewOrder, OrderUpdate, OutcomeKind, RejectReason
from desk.triggers.error_rate import ErrorRate
from desk.triggers.fill_burst import FillBurst
from desk.triggers.latency import LatencyTrend
from desk.triggers.same_refusal import MOST, SameRefusal
from desk.units import NS_PER_MS
from quoting.actions import Leave
from quoting.inbox import Answered
from quoting.setup import LoopSetup

# What quoting brings about when all is well: the market moved while the order was on its way.
_ROUTINE = frozenset({RejectReason.POST_ONLY, RejectReason.UNKNOWN_ORDER})
# Answered by waiting or by reducing, or never seen by the venue; each has a rule of its own.
_NOT_A_REPEAT = _ROUTINE | {
    RejectReason.RATE_LIMITED,
    RejectReason.MARGIN,
    RejectReason.NOT_SENT,
}


class Breakers:
    """Error rate, repeated refusals, latency and fill bursts of one session."""

    def __init__(self, setup: LoopSetup) -> None:
        limits, usual_ms = setup.limits, setup.usual_latency_ms
        self._instrument = setup.instrument
        self._limits = limits
        # Where an accepted order is only acknowledged, it proves nothing until it rests.
        self._pushed = setup.capabilities.pushes_order_updates
        self._errors = ErrorRate(
            most=limits.max_errors, window_ns=limits.error_window_ms * NS_PER_MS
        )
        self._repeats = SameRefusal()
        self._latency = LatencyTrend(
            floor_ns=limits.latency_floor_ms * NS_PER_MS,
            patience_ns=limits.latency_patience_ms * NS_PER_MS,
            usual_ns=None if usual_ms is None else int(usual_ms * NS_PER_MS),
        )
        self._burst = FillBurst(most=limits.fill_burst, window_ms=limits.fill_burst_ms)
        self._repeated: Leave | None = None

    # --- what is heard -----------------------------------------------------------------------

    def hear(self, event: Answered, now_ns: int) -> None:
        """Take the answer of one batch."""
        outcome = event.outcome
        if event.round_trip_ns is not None:
            self._latency.answered(now_ns, event.round_trip_ns)
        if outcome.retry_after_s is not None:
            return  # told to wait, by the venue or by our own budget: no verdict on the request
        orders = {order.client_order_id: order for order in event.batch.orders}
        for told in outcome.orders:
            order = orders.get(told.client_order_id)
            if order is None:
                continue
            if told.kind is OutcomeKind.UNRESOLVED:
                self._errors.failed(now_ns, _request(order))
            elif told.kind is OutcomeKind.REJECTED:
                self.refused(order, told.reason, now_ns)
            elif not self._pushed:
                self._repeats.accepted(order)

    def hear_update(self, update: OrderUpdate, order: NewOrder | None, now_ns: int) -> None:
        """Take what the venue tells of an order of ours, None when it is not known here."""
        if order is None:
            return
        if update.resting:
            self._repeats.accepted(order)
        elif update.reason is not None:
            self.refused(order, update.reason, now_ns)

    def refused(self, order: NewOrder, reason: RejectReason | None, now_ns: int) -> None:
        """One order was refused, at once or after it had been acknowledged."""
        why = reason or RejectReason.OTHER
        if why not in _ROUTINE:
            self._errors.failed(now_ns, _request(order))
        if why in _NOT_A_REPEAT:
            return
        times = self._repeats.refused(order, why)
        if times >= MOST and self._repeated is None:
            price = self._instrument.price(order.price)
            self._repeated = Leave(
                SessionReason.SAME_REFUSAL,
                f"the same {order.side.value} of {self._instrument.quantity(order.lots)} at "
                f"{price} was refused {times} times with {why.value}",
            )

    def filled(self, fill: Fill) -> None:
        """A fill not heard before."""
        self._burst.filled(fill.traded_at_ms, self._instrument.notional(fill.price, fill.lots))

    # --- what follows ------------------------------------------------------------------------

    @property
    def slow(self) -> bool:
        """Whether orders should go out at half the rate."""
        return self._latency.slow

    @property
    def said(self) -> str:
        """Why orders go out at half the rate; empty while they do not."""
        return f"at half the order rate: {self._slow_sentence()}" if self._latency.slow else ""

    @property
    def p95_ms(self) -> Decimal | None:
        """The last round trips' 95th percentile, milliseconds."""
        return _ms(self._latency.p95_ns)

    @property
    def usual_ms(self) -> Decimal | None:
        """What is usual for it, for this session and the next."""
        return _ms(self._latency.usual_ns)

    def must_leave(self, now_ns: int) -> Leave | None:
        """The end of the session, if a trigger demands it."""
        limits = self._limits
        if self._burst.tripped:
            return Leave(
                SessionReason.FILL_BURST,
                f"{self._burst.largest:.2f} was filled within {limits.fill_burst_ms} ms, more "
                f"than max_fill_burst {limits.fill_burst}",
            )
        if self._errors.tripped(now_ns):
            return Leave(
                SessionReason.ERROR_RATE,
                f"{self._errors.count(now_ns)} requests failed within {limits.error_window_ms} "
                f"ms, max_errors is {limits.max_errors}",
            )
        if self._latency.lasting:
            return Leave(
                SessionReason.LATENCY,
                f"{self._slow_sentence()}, for longer than latency_patience_ms "
                f"{limits.latency_patience_ms}",
            )
        return self._repeated

    def _slow_sentence(self) -> str:
        return f"answers take {self.p95_ms} ms (p95), usual are {self.usual_ms} ms"


def _request(order: NewOrder) -> tuple[int, int] | str:
    """What the orders of one batch have in common."""
    identity = OrderIdentity.decode(order.client_order_id)
    return order.client_order_id if identity is None else (identity.epoch, identity.cycle)


def _ms(nanoseconds: int | None) -> Decimal | None:
    if nanoseconds is None:
        return None
    return (Decimal(nanoseconds) / NS_PER_MS).quantize(Decimal("0.001"))
