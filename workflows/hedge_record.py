"""What a hedge's workflow remembers: one value that survives continue-as-new whole."""

from datetime import datetime

from activities.hedge_messages import HedgeLook, HedgePlan
from desk.hedging import HedgeState
from quoting.hedge import HedgeSliceReport
from workflows.hedge_messages import CarriedHedge, HedgeEvent, HedgeStatus, StartHedge

_KEPT = 50
_LONGEST_REST_S = 60
_LEAST_LEASE_MS = 15_000


class HedgeRecord:
    """State and history of one hedge's life; no decisions, no Temporal."""

    def __init__(self, start: StartHedge) -> None:
        carried = start.carried or CarriedHedge(epoch=0, state=HedgeState.STARTING)
        self._start = start
        self.epoch, self.state, self.reason = carried.epoch, carried.state, carried.reason
        self.step, self.orders = carried.step, carried.orders
        self.waived, self.stuck = carried.waived, carried.stuck
        self.source_quantity = carried.source_quantity
        self.position, self.owed = carried.position, carried.owed
        self.obligation, self.opened_at_ms = carried.obligation, carried.opened_at_ms
        self.blocked_at_ms, self.alerts = carried.blocked_at_ms, carried.alerts
        self.history = list(carried.history)
        self.outcome = carried.outcome
        self.id_epoch, self.receipt = carried.id_epoch, carried.receipt

    def plan(self, owner: str) -> HedgePlan:
        """What every activity is told."""
        start = self._start
        return HedgePlan(
            source=start.source,
            hedge=start.hedge,
            owner=owner,
            rule=start.rule,
            slice_notional=start.slice_notional,
            max_slippage_bps=start.max_slippage_bps,
            limits=start.limits,
            check_every_s=start.check_every_s,
            lease_ttl_ms=max(_LEAST_LEASE_MS, 4_000 * start.check_every_s),
        )

    def note(self, state: HedgeState, text: str, at: datetime) -> bool:
        """Where it is now, and why; True when that is another state than before."""
        changed = state is not self.state or not self.history
        if changed:
            self.history.append(HedgeEvent(at=at.isoformat(), state=state, text=text))
            del self.history[:-_KEPT]
            blocked = state is HedgeState.BLOCKED
            self.blocked_at_ms = round(at.timestamp() * 1_000) if blocked else None
        self.state, self.reason = state, text
        return changed

    def add(self, text: str, at: datetime) -> None:
        """Something happened that is no change of state."""
        self.history.append(HedgeEvent(at=at.isoformat(), state=self.state, text=text))
        del self.history[:-_KEPT]

    def took_look(self, look: HedgeLook) -> None:
        """What a watch saw last."""
        self.epoch, self.waived, self.receipt = look.epoch, look.waived, look.receipt
        self.source_quantity, self.position, self.owed = look.source, look.position, look.owed
        if look.obligation != self.obligation:
            self.alerts = self.stuck = 0
        self.obligation, self.opened_at_ms = look.obligation, look.opened_at_ms

    def id_epoch_under(self, epoch: int) -> int:
        """Epoch of the next order's id: the lease's, or that of an attempt not accounted for."""
        self.id_epoch = self.id_epoch or epoch
        return self.id_epoch

    def took_slice(self, report: HedgeSliceReport) -> None:
        """What became of an order. An order without a trace keeps its step, and so its id."""
        if report.spent:
            self.step, self.id_epoch = self.step + 1, 0
        if report.sent_lots:
            self.orders += 1
        self.outcome, self.receipt = report.outcome, report.receipt
        moved = report.position_after != report.position_before
        self.stuck = 0 if moved else self.stuck + 1
        self.owed -= report.position_after - report.position_before
        self.position = report.position_after

    def waive(self) -> None:
        """A named decision: what is owed now is owed no longer."""
        self.waived += self.owed
        self.owed, self.obligation, self.opened_at_ms = 0, None, None
        self.receipt = None
        self.alerts = self.stuck = 0

    @property
    def rest_s(self) -> int:
        """How long to wait before the next order: longer each time nothing was filled."""
        start_s = self._start.slice_interval_s
        if not self.stuck:
            return start_s
        return min(max(start_s, _LONGEST_REST_S), max(1, start_s) << min(self.stuck, 6))

    @property
    def trouble_since_ms(self) -> int | None:
        """Since when a hedge is owed or cannot be judged; None while all is well."""
        return self.opened_at_ms if self.obligation is not None else self.blocked_at_ms

    def carried(self) -> CarriedHedge:
        """What the next run starts from."""
        return CarriedHedge(
            epoch=self.epoch,
            state=self.state,
            reason=self.reason,
            step=self.step,
            orders=self.orders,
            waived=self.waived,
            stuck=self.stuck,
            source_quantity=self.source_quantity,
            position=self.position,
            owed=self.owed,
            obligation=self.obligation,
            opened_at_ms=self.opened_at_ms,
            blocked_at_ms=self.blocked_at_ms,
            alerts=self.alerts,
            outcome=self.outcome,
            id_epoch=self.id_epoch,
            receipt=self.receipt,
            history=tuple(self.history),
        )

    def status(self) -> HedgeStatus:
        """Answer to the status query."""
        return HedgeStatus(
            source=self._start.source.path,
            hedge=self._start.hedge.path,
            state=self.state,
            reason=self.reason,
            epoch=self.epoch,
            source_quantity=self.source_quantity,
            position=self.position,
            owed=self.owed,
            waived=self.waived,
            obligation=self.obligation,
            opened_at_ms=self.opened_at_ms,
            orders=self.orders,
            history=tuple(self.history),
        )
