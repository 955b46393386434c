"""What refusals mean for the next cycles: wait, only reduce, or leave.

A margin refusal is a signal to de-risk, never one to retry (ocx.md section 6.3).
"""

from dataclasses import replace

from desk.lifecycle import SessionReason
from desk.orders import BatchOutcome, OutcomeKind, RejectReason
from desk.quoting.decide import QuoteTarget
from desk.risk.gate import Denied
from desk.units import NS_PER_S, Lots
from quoting.actions import Leave

_MARGIN_REST_NS = 30 * NS_PER_S
_DENIED_REST_NS = NS_PER_S
_IN_A_ROW = 5

_LEAVE_AT_ONCE = {
    RejectReason.AUTH: SessionReason.REFUSED,
    RejectReason.FORBIDDEN: SessionReason.REFUSED,
    RejectReason.UNKNOWN_MARKET: SessionReason.REFUSED,
    RejectReason.HALTED: SessionReason.HALTED,
}
_ROUTINE = frozenset({RejectReason.POST_ONLY, RejectReason.RATE_LIMITED, RejectReason.MARGIN})


class Refusals:
    """Counts refusals of one session and draws the consequences."""

    def __init__(self) -> None:
        self.rejects = 0
        self.denials = 0
        self.unresolved = 0
        self._row = 0
        self._rest_until_ns = 0
        self._reduce_until_ns = 0
        self._leave: Leave | None = None

    def hear(self, outcome: BatchOutcome, now_ns: int) -> None:
        """Take the answer of one batch."""
        if outcome.retry_after_s is not None:
            self._rest_until_ns = now_ns + int(outcome.retry_after_s * NS_PER_S)
        if outcome.unresolved:
            self.unresolved += 1
        refused = [order for order in outcome.orders if order.kind is OutcomeKind.REJECTED]
        self.rejects += len(refused)
        if not refused:
            self._row = 0
            return
        first = refused[0]
        reason = first.reason or RejectReason.OTHER
        if reason is RejectReason.MARGIN:
            self._reduce_until_ns = now_ns + _MARGIN_REST_NS
        if reason in _LEAVE_AT_ONCE:
            self._leave = Leave(_LEAVE_AT_ONCE[reason], first.message or reason.value)
        if reason not in _ROUTINE and outcome.retry_after_s is None:
            self._row += 1
        if self._row >= _IN_A_ROW and self._leave is None:
            self._leave = Leave(
                SessionReason.REFUSED,
                f"{self._row} refusals in a row, the last: {reason.value} {first.message}",
            )

    def denied(self, verdict: Denied, now_ns: int) -> None:
        """Our own gate refused; look again in a moment."""
        del verdict
        self.denials += 1
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

    def only_reducing(self, target: QuoteTarget, inventory: Lots, now_ns: int) -> QuoteTarget:
        """After a margin refusal: keep only the side that reduces the inventory."""
        if now_ns >= self._reduce_until_ns:
            return target
        levels = tuple(level for level in target.levels if level.slot.side.sign * inventory < 0)
        return replace(target, levels=levels, reason="only reducing after a margin refusal")
