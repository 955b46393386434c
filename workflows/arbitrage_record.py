"""What a set's workflow remembers: one value that survives continue-as-new whole.

The one rule: only a report says that nothing is owed; a set that begins, or whose run ended without
one, is unsure, which nothing but the next report ends.
"""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from activities.arbitrage_messages import RunSetResult, SetPlan
from desk.arbitrage_records import TradeKey
from quoting.arbitrage.report import DischargePhase, RunEnd, SetKind
from workflows import policies
from workflows.arbitrage_messages import (
    ArbitrageEvent,
    ArbitrageState,
    ArbitrageStatus,
    CarriedArbitrage,
    StartArbitrage,
)

_KEPT = 50
_TRADES_KEPT = 20


class ArbitrageRecord:
    """State and history of one set's life; no Temporal, and no decision but the next phase."""

    def __init__(self, start: StartArbitrage) -> None:
        # An earlier life of the set may have left a debt.
        carried = start.carried or CarriedArbitrage(state=ArbitrageState.STARTING, unsure=True)
        self._start = start
        self.state, self.reason, self.epoch = carried.state, carried.reason, carried.epoch
        self.standing, self.waived = carried.standing, carried.waived
        self.unsure, self.failures = carried.unsure, carried.failures
        self.hedges, self.reduces = carried.hedges, carried.reduces
        self.handed_over = carried.handed_over
        self.owed_since_ms, self.trouble_since_ms = carried.owed_since_ms, carried.trouble_since_ms
        self.alerts = carried.alerts
        self.locked, self.payout = carried.locked, carried.payout
        self.fired, self.trades = carried.fired, list(carried.trades)
        self.look = carried.look
        self.paused, self.stopping = carried.paused, carried.stopping
        self.history = list(carried.history)
        self.settled = False

    def plan(self, owner: str) -> SetPlan:
        """What every activity is told."""
        start = self._start
        return SetPlan(
            name=start.name,
            kind=start.kind,
            legs=start.markets,
            owner=owner,
            rules=start.rules,
            limits=start.limits,
            rounds=start.rounds,
        )

    # --- what is owed ------------------------------------------------------------------------

    @property
    def owes(self) -> bool:
        """Whether the last report said that something is owed."""
        return self.standing is not None and self.standing.owes

    @property
    def clear(self) -> bool:
        """Whether it is known that nothing is owed."""
        return not self.owes and not self.unsure

    @property
    def phase(self) -> DischargePhase:
        """How hard the next run works on what is owed."""
        if self.handed_over:
            return DischargePhase.WAIT
        if self.hedges >= policies.HEDGE_RUNS:
            return DischargePhase.REDUCE
        return DischargePhase.HEDGE

    @property
    def tried_out(self) -> bool:
        """Whether what is owed is a person's by now."""
        return self.hedges >= policies.HEDGE_RUNS and self.reduces >= policies.REDUCE_RUNS

    @property
    def owed_sentence(self) -> str:
        """What is owed, in words."""
        if self.standing is None:
            return "nothing is owed"
        owed = [
            f"{leg.owed:+d} lots of {leg.market.path}" for leg in self.standing.legs if leg.owed
        ]
        return "owed: " + ", ".join(owed) if owed else "nothing is owed"

    @property
    def waived_by_release(self) -> tuple[int, ...]:
        """All that is waived once what is owed now is released, signed lots per leg.

        What is over of each leg is the person's, not the orders that would have completed it: what
        a person then trades away shrinks it, leg by leg. Of a triangle no lots are ever waived.
        """
        if self.standing is None or self._start.kind is not SetKind.OUTCOME_SET:
            return ()
        before = self.waived or (0,) * len(self.standing.legs)
        legs = zip(before, self.standing.legs, strict=True)
        return tuple(lots - leg.excess for lots, leg in legs)

    @property
    def owing_trade(self) -> TradeKey | None:
        """The trade whose debt the last report told."""
        return None if self.standing is None else self.standing.trade

    @property
    def held_sentence(self) -> str:
        """What stays when the set is left, in words; empty for nothing."""
        if self.standing is None or not any(leg.position for leg in self.standing.legs):
            return ""
        parts = [
            f"{leg.position:+d} lots of {leg.market.path}"
            for leg in self.standing.legs
            if leg.position
        ]
        dust = f", {self.standing.dust:f} of it dust" if self.standing.dust else ""
        return (
            f"{self.standing.complete:f} complete sets stay held ({', '.join(parts)}{dust}), "
            f"{self.locked:f} locked"
        )

    # --- what happened -----------------------------------------------------------------------

    def took(self, result: RunSetResult, phase: DischargePhase, at: datetime) -> None:
        """What a run came to."""
        report = result.report
        self.unsure, self.waived = False, result.waived
        self.epoch, self.standing, self.look = report.epoch, report.standing, report.look
        self.locked, self.payout = report.locked, report.payout
        self.settled = report.end is RunEnd.SETTLED
        if report.trade is not None:
            self.fired += 1
            self.trades.append(report.trade)
            del self.trades[:-_TRADES_KEPT]
        blocked = report.end is RunEnd.BLOCKED
        # Blocked and owing nothing is no trouble: a decided event may take its time to pay.
        self.failures, self.trouble_since_ms = (self.failures + 1 if blocked else 0), None
        if not self.owes:
            self._nothing_owed()
            return
        self.owed_since_ms = self.owed_since_ms or _ms(at)
        if not blocked:
            self.hedges += phase is DischargePhase.HEDGE
            self.reduces += phase is DischargePhase.REDUCE

    def failed(self, at: datetime) -> None:
        """A run ended without a report: whatever it sent, the next one finds in the ledger."""
        self.unsure, self.failures = True, self.failures + 1
        self.trouble_since_ms = self.trouble_since_ms or _ms(at)

    def cut_short(self) -> None:
        """A run was ended by us; it may have been about to trade."""
        self.unsure = True

    def release(self) -> None:
        """A named decision: what is owed now is owed no longer."""
        if self.standing is None:
            return
        self.waived = self.waived_by_release
        legs = tuple(replace(leg, owed=0, excess=0) for leg in self.standing.legs)
        # Whether more became owed meanwhile, the next report says.
        self.standing, self.unsure = replace(self.standing, legs=legs, trade=None), True
        self._nothing_owed()

    def try_again(self) -> None:
        """A named decision: what is owed is hedged, then reduced, from the beginning."""
        self.hedges = self.reduces = self.failures = 0
        self.handed_over = False

    def _nothing_owed(self) -> None:
        self.owed_since_ms = None
        self.hedges = self.reduces = 0
        self.handed_over = False

    @property
    def rest_s(self) -> int:
        """How long to wait before the next run: longer each time one was no use."""
        if self.handed_over:
            return policies.HANDED_OVER_LOOK_S
        tries = self.hedges + self.reduces if self.owes else 0
        return policies.run_rest_s(max(tries, self.failures))

    @property
    def overdue_since_ms(self) -> int | None:
        """Since when something is owed, or no run comes to an end; None while all is well."""
        since = [one for one in (self.owed_since_ms, self.trouble_since_ms) if one is not None]
        return min(since, default=None)

    # --- telling -----------------------------------------------------------------------------

    def note(self, state: ArbitrageState, text: str, at: datetime) -> bool:
        """Where it is now, and why; True when that is another state than before."""
        changed = state is not self.state or not self.history
        self.state, self.reason = state, text
        if changed:
            self.add(text, at)
        return changed

    def add(self, text: str, at: datetime) -> None:
        """Something happened; what is said again and again is kept once."""
        last = self.history[-1] if self.history else None
        if last is None or (last.state, last.text) != (self.state, text):
            self.history.append(ArbitrageEvent(at=at.isoformat(), state=self.state, text=text))
            del self.history[:-_KEPT]

    def carried(self) -> CarriedArbitrage:
        """What the next run starts from."""
        return CarriedArbitrage(
            state=self.state,
            reason=self.reason,
            epoch=self.epoch,
            standing=self.standing,
            waived=self.waived,
            unsure=self.unsure,
            failures=self.failures,
            hedges=self.hedges,
            reduces=self.reduces,
            handed_over=self.handed_over,
            owed_since_ms=self.owed_since_ms,
            trouble_since_ms=self.trouble_since_ms,
            alerts=self.alerts,
            locked=self.locked,
            payout=self.payout,
            fired=self.fired,
            trades=tuple(self.trades),
            look=self.look,
            paused=self.paused,
            stopping=self.stopping,
            history=tuple(self.history),
        )

    def status(self) -> ArbitrageStatus:
        """Answer to the status query."""
        standing, start = self.standing, self._start
        legs = standing.legs if standing else ()
        complete = standing.complete if standing else Decimal(0)
        return ArbitrageStatus(
            name=start.name,
            kind=start.kind,
            legs=start.legs,
            state=self.state,
            reason=self.reason,
            epoch=self.epoch,
            positions=tuple(leg.position for leg in legs),
            owed=tuple(leg.owed for leg in legs),
            waived=self.waived,
            owed_since_ms=self.owed_since_ms,
            complete=complete,
            exposure=standing.exposure if standing else Decimal(0),
            dust=standing.dust if standing else Decimal(0),
            locked=self.locked,
            payout_expected=complete if start.kind is SetKind.OUTCOME_SET else None,
            payout=self.payout,
            fired=self.fired,
            trades=tuple(self.trades),
            look=self.look,
            waits_for_a_person=self.owed_sentence if self.handed_over else "",
            history=tuple(self.history),
        )


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1_000)
