"""When a session must end: no permit, refusals, a trigger, a loss limit, books in doubt.

The permit comes first, and the first reason found ends the session. A loss counts at a mid that
stood; what only this moment's mid shows is a doubt, in which nothing is quoted.
"""

from collections.abc import Sequence
from decimal import Decimal

from desk.daily_loss import Finding, LossVerdict, MarketDay
from desk.lifecycle import SessionReason
from desk.permit import Permit, Refusal
from desk.records import Kill, KillEffect
from desk.units import NS_PER_S
from quoting.actions import Leave
from quoting.breakers import Breakers
from quoting.refusals import Refusals
from quoting.standing import Equity, Standing

_OUT_OF_STEP_NS = 5 * NS_PER_S

_LEAVE_FOR = {
    Refusal.LEASE: SessionReason.LEASE,
    Refusal.KILL_FILE: SessionReason.KILLED,
    Refusal.KILLED: SessionReason.KILLED,
    Refusal.BOARD: SessionReason.BOARD,
    Refusal.LEDGER: SessionReason.LEDGER,
    Refusal.INTENTS: SessionReason.LEDGER,
    Refusal.CLOCK: SessionReason.CLOCK,
    Refusal.DEAD_MAN: SessionReason.DEAD_MAN,
}


class Leaving:
    """Asks one after the other; the first that says so ends the session."""

    def __init__(
        self,
        standing: Standing,
        refusals: Refusals,
        breakers: Breakers,
        max_drawdown: Decimal,
        day: MarketDay | None = None,
    ) -> None:
        self._standing = standing
        self._refusals = refusals
        self._breakers = breakers
        self._max_drawdown = max_drawdown
        self._day = day
        self._out_of_step_since_ns: int | None = None
        self.doubt = ""
        """The limit that is passed at this moment's mid, if that mid should stand."""

    def due(
        self,
        permit: Permit,
        mid_x2: int | None,
        stood_x2: int | None,
        now_ns: int,
        failed_clear: str,
    ) -> Leave | None:
        """Why to end now, None to stay.

        `mid_x2` is the mid in half ticks, `stood_x2` the one that stood; None while unknown.
        """
        refusal = permit.refusal(now_ns)
        if refusal is not None:
            return Leave(_why(permit, refusal), permit.explain(refusal))
        if lost := self._loss(permit, mid_x2, stood_x2):
            return lost
        if failed_clear:
            return Leave(SessionReason.NOT_CLEARED, failed_clear)
        return (
            self._refusals.must_leave()
            or self._breakers.must_leave(now_ns)
            or self._out_of_step(now_ns)
        )

    def _loss(self, permit: Permit, mid_x2: int | None, stood_x2: int | None) -> Leave | None:
        if not self._standing.folded:
            stood_x2 = mid_x2  # what is not held needs no price
        self.doubt = ""
        if stood_x2 is not None:
            equity = self._standing.equity(stood_x2)
            if lost := self._daily_loss(permit, equity) or self._drawdown(equity):
                return lost
        if mid_x2 is not None and mid_x2 != stood_x2:
            self.doubt = self._doubted(self._standing.seen(mid_x2))
        return None

    def _doubted(self, equity: Equity) -> str:
        day = self._day
        finding = Finding() if day is None else day.would(equity.pnl)
        if finding.verdict is LossVerdict.HARD or (
            finding.verdict is LossVerdict.SOFT and day is not None and day.reduction is None
        ):
            return f"waiting whether this price stands: {finding.sentence}"
        fallen = self._drawdown(equity)
        return f"waiting whether this price stands: {fallen.message}" if fallen else ""

    def _daily_loss(self, permit: Permit, equity: Equity) -> Leave | None:
        if self._day is None:
            return None
        finding = self._day.saw(equity.pnl)
        permit.own_reduction = self._day.reduction
        if finding.verdict is LossVerdict.HARD:
            return Leave(SessionReason.DAILY_LOSS, finding.sentence)
        return None

    def _drawdown(self, equity: Equity) -> Leave | None:
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


def killed(permit: Permit) -> Leave | None:
    """The end that a kill in force asks for, whatever else the permit holds."""
    if permit.kill_file:
        return Leave(SessionReason.KILLED, permit.explain(Refusal.KILL_FILE))
    if permit.stopping:
        return Leave(_why(permit, Refusal.KILLED), permit.explain(Refusal.KILLED))
    return None


def reduction(kill: Kill) -> str:
    """Why nothing but reducing is quoted, in words."""
    return f"only reducing, by {kill.scope}, set by {kill.by}: {kill.reason}"


def reason_of(kills: Sequence[Kill]) -> SessionReason:
    """How a session ends that these kills end."""
    effects = {kill.effect for kill in kills}
    if KillEffect.FLATTEN in effects:
        return SessionReason.KILLED_FLATTEN
    # A kill stands down for good; a break only waits until it is settled.
    return SessionReason.BREAK if effects == {KillEffect.HOLD} else SessionReason.KILLED


def _why(permit: Permit, refusal: Refusal) -> SessionReason:
    return reason_of(permit.stopping) if refusal is Refusal.KILLED else _LEAVE_FOR[refusal]
