"""When a session must end: no permit, a loss limit, refusals that will not pass, books in doubt."""

from decimal import Decimal

from desk.lifecycle import SessionReason
from desk.permit import Permit, Refusal
from desk.records import KillEffect
from desk.units import NS_PER_S
from quoting.actions import Leave
from quoting.refusals import Refusals
from quoting.standing import Standing

_OUT_OF_STEP_NS = 5 * NS_PER_S

_LEAVE_FOR = {
    Refusal.LEASE: SessionReason.LEASE,
    Refusal.KILL_FILE: SessionReason.KILLED,
    Refusal.KILLED: SessionReason.KILLED,
    Refusal.BOARD: SessionReason.BOARD,
    Refusal.LEDGER: SessionReason.LEDGER,
    Refusal.CLOCK: SessionReason.CLOCK,
    Refusal.DEAD_MAN: SessionReason.DEAD_MAN,
}


class Leaving:
    """Asks one after the other; the first that says so ends the session."""

    def __init__(self, standing: Standing, refusals: Refusals, max_drawdown: Decimal) -> None:
        self._standing = standing
        self._refusals = refusals
        self._max_drawdown = max_drawdown
        self._out_of_step_since_ns: int | None = None

    def due(
        self, permit: Permit, mid_x2: int | None, now_ns: int, failed_clear: str
    ) -> Leave | None:
        """Why to end now, None to stay. `mid_x2` is the mid in half ticks, None when unknown."""
        refusal = permit.refusal(now_ns)
        if refusal is not None:
            return Leave(_why(permit, refusal), permit.explain(refusal))
        if failed_clear:
            return Leave(SessionReason.NOT_CLEARED, failed_clear)
        if leaving := self._refusals.must_leave():
            return leaving
        return self._drawdown(mid_x2) or self._out_of_step(now_ns)

    def _drawdown(self, mid_x2: int | None) -> Leave | None:
        if mid_x2 is None:
            return None
        equity = self._standing.equity(mid_x2)
        fall = equity.peak - equity.pnl
        if fall <= self._max_drawdown:
            return None
        return Leave(
            SessionReason.DRAWDOWN,
            f"PnL {equity.pnl:.2f} is {fall:.2f} below its peak {equity.peak:.2f}, "
            f"more than max_drawdown {self._max_drawdown}",
        )

    def _out_of_step(self, now_ns: int) -> Leave | None:
        if self._standing.in_step:
            self._out_of_step_since_ns = None
        elif self._out_of_step_since_ns is None:
            self._out_of_step_since_ns = now_ns
        elif now_ns - self._out_of_step_since_ns > _OUT_OF_STEP_NS:
            return Leave(
                SessionReason.RESYNC,
                f"fills add up to {self._standing.folded} lots, the venue says "
                f"{self._standing.position}",
            )
        return None


def _why(permit: Permit, refusal: Refusal) -> SessionReason:
    flatten = any(kill.effect is KillEffect.FLATTEN for kill in permit.stopping)
    if refusal is Refusal.KILLED and flatten:
        return SessionReason.KILLED_FLATTEN
    return _LEAVE_FOR[refusal]
