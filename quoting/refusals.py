"""What refusals mean for the next cycles: wait, only reduce, rest a slot, or leave.

A margin refusal is a signal to de-risk, never one to retry (ocx.md section 6.3).
"""

from dataclasses import dataclass, replace
from math import ceil

from desk.identity import OrderIdentity, Slot
from desk.instrument import Instrument
from desk.lifecycle import SessionReason
from desk.orders import Batch, BatchOutcome, OrderUpdate, OutcomeKind, RejectReason
from desk.quoting.decide import QuoteTarget, TargetLevel
from desk.risk.gate import DenialReason, Denied
from desk.units import NS_PER_S, Lots, Ticks
from quoting.actions import Leave

_MARGIN_REST_NS = 30 * NS_PER_S
_FUNDS_REST_NS = 5 * NS_PER_S
_DENIED_REST_NS = NS_PER_S
_REPRICE_WAIT_NS = NS_PER_S
_IN_A_ROW = 5
_VANISHED_IN_A_ROW = 3
_SLOT_IN_A_ROW = 3
_UNSENT_IN_A_ROW = 5
_SLOT_REST_NS = 30 * NS_PER_S

_LEAVE_AT_ONCE = {
    RejectReason.AUTH: SessionReason.REFUSED,
    RejectReason.FORBIDDEN: SessionReason.REFUSED,
    RejectReason.UNKNOWN_MARKET: SessionReason.REFUSED,
    RejectReason.HALTED: SessionReason.HALTED,
}
_ROUTINE = frozenset(
    {
        RejectReason.POST_ONLY,
        RejectReason.RATE_LIMITED,
        RejectReason.MARGIN,
        RejectReason.UNKNOWN_ORDER,  # what was to be replaced is gone: settled, then placed anew
        RejectReason.NOT_SENT,  # no word of the venue's at all; counted by itself
    }
)


class Refusals:
    """Counts refusals of one session and draws the consequences."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self.rejects = 0
        self.denials = 0
        self.unresolved = 0
        self._row = 0
        self._vanished = 0
        self._unsent = 0
        self._rest_until_ns = 0
        self._reduce_until_ns = 0
        self._reprice_after_ns: int | None = None
        self._leave: Leave | None = None
        self._slots = SlotRests()

    def hear(self, outcome: BatchOutcome, now_ns: int) -> None:
        """Take the answer of one batch."""
        if outcome.retry_after_s is not None:
            self._rest_until_ns = now_ns + int(outcome.retry_after_s * NS_PER_S)
        if outcome.unresolved:
            self.unresolved += 1
        vanished = any(order.reason is RejectReason.UNKNOWN_ORDER for order in outcome.orders)
        self._vanished = self._vanished + 1 if vanished else 0
        refused = [order for order in outcome.orders if order.kind is OutcomeKind.REJECTED]
        self.rejects += len(refused)
        for order in outcome.orders:
            if order.kind is OutcomeKind.ACCEPTED:
                self._slots.acknowledged(order.client_order_id)
            elif order.kind is OutcomeKind.REJECTED and outcome.retry_after_s is None:
                self._slots.refused(order.client_order_id, order.reason, now_ns)
        if not refused:
            self._row = self._unsent = 0
            return
        if len(refused) < len(outcome.orders):
            self._unsent = 0  # some of it went: the venue can be reached
        first = refused[0]
        if first.reason is RejectReason.NOT_SENT and outcome.retry_after_s is None:
            self._unsent += 1
            if self._unsent >= _UNSENT_IN_A_ROW:
                said = f"{self._unsent} batches could not be sent, the last: {first.message}"
                self._leave = Leave(SessionReason.FEED, said)
        self._consider(
            first.reason or RejectReason.OTHER,
            first.message,
            now_ns,
            counts=outcome.retry_after_s is None,
        )

    @property
    def lost_track(self) -> bool:
        """Whether what we wanted to replace was gone so often that our picture must be wrong."""
        return self._vanished >= _VANISHED_IN_A_ROW

    def start_over(self) -> None:
        """Everything is being cleared: vanished orders are counted anew."""
        self._vanished = 0

    def hear_update(self, update: OrderUpdate, now_ns: int) -> None:
        """Take the end of an order that the venue had acknowledged before."""
        if update.resting:
            self._slots.rests(update.client_order_id)
        if update.resting or update.reason is None:
            return
        self._slots.refused(update.client_order_id, update.reason, now_ns, late=True)
        self.rejects += 1
        if update.reason is RejectReason.POST_ONLY:
            self._reprice_after_ns = update.received_ns
        self._consider(update.reason, "after it was acknowledged", now_ns, counts=True)

    def _consider(self, reason: RejectReason, message: str, now_ns: int, *, counts: bool) -> None:
        if reason is RejectReason.MARGIN:
            self._reduce_until_ns = now_ns + _MARGIN_REST_NS
        if reason in _LEAVE_AT_ONCE:
            self._leave = Leave(_LEAVE_AT_ONCE[reason], message or reason.value)
        if counts and reason not in _ROUTINE:
            self._row += 1
        if self._row >= _IN_A_ROW and self._leave is None:
            self._leave = Leave(
                SessionReason.REFUSED,
                f"{self._row} refusals in a row, the last: {reason.value} {message}",
            )

    def stale_view(self, book_told_ns: int, now_ns: int) -> bool:
        """Whether a post-only order met a quote that our book has not shown yet.

        The same price again would be a retry, not a new price: wait for the book, a second at most.
        """
        after_ns = self._reprice_after_ns
        if after_ns is None:
            return False
        if book_told_ns > after_ns or now_ns > after_ns + _REPRICE_WAIT_NS:
            self._reprice_after_ns = None
            return False
        return True

    def denied(self, verdict: Denied, now_ns: int) -> None:
        """Our own gate refused; look again in a moment.

        Too little in the account is no reason against what reduces.
        """
        self.denials += 1
        if verdict.reason is DenialReason.FUNDS:
            self._reduce_until_ns = now_ns + _FUNDS_REST_NS
        else:
            self._rest_until_ns = now_ns + _DENIED_REST_NS

    def resting(self, now_ns: int) -> bool:
        """Whether nothing should be sent just now."""
        return now_ns < self._rest_until_ns

    def rest_left_ns(self, now_ns: int) -> int:
        """How long that lasts."""
        return max(0, self._rest_until_ns - now_ns)

    def must_leave(self) -> Leave | None:
        """The end of the session, if refusals demand it."""
        return self._leave

    def allowed(
        self, target: QuoteTarget, inventory: Lots, now_ns: int, forbidden: str = ""
    ) -> QuoteTarget:
        """What of a target may be sent just now: without slots at rest, perhaps only reducing.

        `forbidden` says why no new risk may be taken at all, empty when it may.
        """
        if forbidden:
            target = self._no_new_risk(target, inventory, forbidden)
        elif now_ns < self._reduce_until_ns:
            said = "only reducing after a refusal for margin or funds"
            target = replace(target, levels=_reducing(target, inventory), reason=said)
        return self._slots.without_resting(target, now_ns)

    def _no_new_risk(self, target: QuoteTarget, inventory: Lots, why: str) -> QuoteTarget:
        """The side that reduces, and all of it together no more than there is to reduce."""
        left, levels = abs(inventory), list[TargetLevel]()
        for level in _reducing(target, inventory):
            lots = min(level.lots, left)
            if lots < self._least(level.price):
                break
            levels.append(replace(level, lots=lots))
            left -= lots
        return replace(target, levels=tuple(levels), reason=why)

    def _least(self, price: Ticks) -> Lots:
        """Fewest lots the venue takes at a price."""
        one = self._instrument.notional(price, 1)
        return max(1, self._instrument.min_lots, ceil(self._instrument.min_notional / one))


@dataclass(slots=True, kw_only=True)
class _Refused:
    """How often one slot was refused in a row, and the last of it."""

    times: int
    order: tuple[int, int]
    late: bool
    reason: str
    until_ns: int


class SlotRests:
    """Places of the ladder that are refused again and again: three times in a row, then a rest.

    That is the gentle answer to prices a venue will not have just now; the very same request
    refused three times with the same word ends the session (`quoting/breakers.py`).

    After 30 s the place is tried once; if it is refused again it rests again. Routine refusals do
    not count. Orders are told apart by epoch and cycle: one order counts once, and what is heard of
    an older one says nothing about the place now.
    """

    def __init__(self) -> None:
        self._slots: dict[Slot, _Refused] = {}

    def refused(
        self, client_id: str, reason: RejectReason | None, now_ns: int, *, late: bool = False
    ) -> None:
        """One order was refused; `late`: after it had been acknowledged."""
        identity = OrderIdentity.decode(client_id)
        if reason in _ROUTINE or identity is None:
            return
        order = (identity.epoch, identity.cycle)
        before = self._slots.get(identity.slot)
        if before is not None and before.order >= order:
            return
        times = 1 if before is None else before.times + 1
        self._slots[identity.slot] = _Refused(
            times=times,
            order=order,
            late=late,
            reason=(reason or RejectReason.OTHER).value,
            until_ns=now_ns + _SLOT_REST_NS if times >= _SLOT_IN_A_ROW else 0,
        )

    def acknowledged(self, client_id: str) -> None:
        """An order was accepted: no proof where the last was refused after the same word."""
        self._forget(client_id, late=False)

    def rests(self, client_id: str) -> None:
        """An order stands in the venue's book."""
        self._forget(client_id, late=True)

    def _forget(self, client_id: str, *, late: bool) -> None:
        # Hardly ever is anything remembered, and reading an id takes longer than asking.
        if not self._slots or (identity := OrderIdentity.decode(client_id)) is None:
            return
        before = self._slots.get(identity.slot)
        if before is None or before.order >= (identity.epoch, identity.cycle):
            return
        if late or not before.late:
            del self._slots[identity.slot]

    def without_resting(self, target: QuoteTarget, now_ns: int) -> QuoteTarget:
        """The target without the slots at rest; its reason says which, and what refused them."""
        resting = {slot for slot, one in self._slots.items() if now_ns < one.until_ns}
        if not resting:
            return target
        levels = tuple(level for level in target.levels if level.slot not in resting)
        said = [
            f"{level.slot.side.value} {level.slot.level}: rests, refused "
            f"{self._slots[level.slot].times} times in a row ({self._slots[level.slot].reason})"
            for level in target.levels
            if level.slot in resting
        ]
        reason = "; ".join([*filter(None, [target.reason]), *said])
        return replace(target, levels=levels, reason=reason)


def _reducing(target: QuoteTarget, inventory: Lots) -> tuple[TargetLevel, ...]:
    return tuple(level for level in target.levels if level.slot.side.sign * inventory < 0)


def left_stale(batch: Batch, outcome: BatchOutcome) -> bool:
    """Whether a replace was refused for what will not pass by itself, and the old order rests.

    So it is with a named cancel that was not carried out, whatever the reason.
    """
    vanished = any(order.reason is RejectReason.UNKNOWN_ORDER for order in outcome.orders)
    if batch.cancels and outcome.old_gone is False and not vanished:
        return True
    return any(
        order.replaced_gone is False and order.reason is not RejectReason.RATE_LIMITED
        for order in outcome.orders
    )
