"""What a flatten's workflow remembers: one value that survives continue-as-new whole.

No decisions, no Temporal; times are unix milliseconds and come from the caller.
"""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from activities.flatten_messages import FlattenEnd, FlattenEndInput, FlattenOpening
from desk.flattening import FlattenProgress, Move, advanced, alarm_after_s
from desk.units import BPS
from quoting.exit import ExitStep, FlattenSliceReport
from workflows.flatten_messages import (
    CarriedFlatten,
    FlattenOutcome,
    FlattenResult,
    FlattenStatus,
    StartFlatten,
    final_facts,
)
from workflows.messages import FlattenStep

_KEPT = 100
_CENT = Decimal("0.01")


class FlattenRecord:
    """State and history of one flatten."""

    def __init__(self, start: StartFlatten, run_id: str, now_ms: int) -> None:
        self.start = start
        self.state = start.carried or CarriedFlatten(
            owner=f"flatten/{run_id}", started_ms=now_ms, moved_ms=now_ms, alarmed_ms=now_ms
        )

    def put(self, **changes: object) -> None:
        """Remember something else than before."""
        self.state = self.state.model_copy(update=changes)

    @property
    def remaining(self) -> int | None:
        """Signed lots as last seen, None before the first look."""
        return self.state.progress.remaining if self.state.progress else None

    @property
    def attempts(self) -> int:
        """Moves made."""
        return self.state.progress.attempts if self.state.progress else 0

    @property
    def reason(self) -> str:
        """Why it is as it is: of whoever abandoned it, else of whoever asked for it."""
        return self.state.stop.reason if self.state.stop else self.start.reason

    @property
    def by(self) -> str:
        """Who abandoned it, or else asked for it."""
        return self.state.stop.by if self.state.stop else self.start.by

    def seconds_left(self, now_ms: int) -> int:
        """Until the deadline; negative afterwards."""
        return self.start.deadline_s - (now_ms - self.state.started_ms) // 1_000

    def alarm_due_ms(self) -> int:
        """When a person has to hear that it does not get on."""
        return self.state.alarmed_ms + alarm_after_s(self.state.alarms) * 1_000

    def took_over(self, taken: FlattenOpening) -> None:
        """The market is ours under a new epoch."""
        self.put(
            epoch=taken.epoch,
            takes=self.state.takes + 1,
            repeated=False,
            failures=0,
            progress=self._seen(taken.position),
        )

    def took(
        self, progress: FlattenProgress, move: Move, report: FlattenSliceReport, now_ms: int
    ) -> None:
        """An order was tried."""
        state, start = self.state, self.start
        moved = abs(report.position_after) < abs(progress.remaining)
        step = FlattenStep(
            step=report.step,
            before=report.position_before,
            after=report.position_after,
            outcome=report.outcome,
            phase=move.phase.value,
        )
        self.put(
            progress=advanced(
                start.plan,
                progress,
                move,
                report.position_after,
                maker_refused=report.maker_refused,
            ),
            step=state.step + report.spent,
            repeated=not report.spent,
            failures=0,
            regime=report.regime,
            mid=state.mid if report.mid is None else report.mid,
            mid_ms=state.mid_ms if report.mid is None else report.at_ms,
            traded=state.traded + report.traded,
            cost=state.cost + report.cost,
            steps=(*state.steps, step)[-_KEPT:],
            moved_ms=now_ms if moved else state.moved_ms,
            alarmed_ms=now_ms if moved else state.alarmed_ms,
            alarms=0 if moved else state.alarms,
        )

    def goes_on(self, end: FlattenEnd) -> None:
        """The last look saw lots; where it let go of the market, that is taken over anew."""
        epoch = self.state.epoch if end.look is None else None
        self.put(progress=self._seen(end.position), epoch=epoch)

    def step(self, epoch: int, progress: FlattenProgress, move: Move) -> ExitStep:
        """The move as an order."""
        start, state = self.start, self.state
        return ExitStep(
            market=start.market,
            epoch=epoch,
            step=state.step,
            phase=move.phase,
            position=progress.remaining,
            lots=move.lots,
            slippage_bps=start.slippage_bps,
            fast_slippage_bps=start.fast_slippage_bps,
            limits=start.limits,
            wait_s=move.wait_s,
            by_venue=move.by_venue,
            repeated=state.repeated,
            last_mid=state.mid,
            last_mid_ms=state.mid_ms,
        )

    def last_look(self, epoch: int, *, abandoned: bool) -> FlattenEndInput:
        """What the last look is asked."""
        return FlattenEndInput(
            market=self.start.market,
            epoch=epoch,
            owner=self.state.owner,
            reason=self.reason,
            abandoned=abandoned,
        )

    def status(self, now_ms: int) -> FlattenStatus:
        """Answer to the status query."""
        state, start = self.state, self.start
        deadline_ms = state.started_ms + start.deadline_s * 1_000
        return FlattenStatus(
            market=start.market.path,
            phase=state.phase,
            note=state.note,
            reason=start.reason,
            by=start.by,
            remaining=self.remaining,
            attempts=self.attempts,
            next_step=state.step,
            epoch=state.epoch,
            regime=state.regime,
            deadline=datetime.fromtimestamp(deadline_ms / 1_000, UTC).isoformat(),
            seconds_left=self.seconds_left(now_ms),
            traded=state.traded,
            cost=state.cost,
            used_bps=(state.cost / state.traded * BPS).quantize(_CENT) if state.traded else None,
            alarms=state.alarms,
            stopping=state.stop,
            steps=state.steps,
        )

    def result(self, outcome: FlattenOutcome, end: FlattenEnd | None, now_ms: int) -> FlattenResult:
        """The workflow's result."""
        state = self.state
        return FlattenResult(
            market=self.start.market.path,
            outcome=outcome,
            reason=self.reason,
            by=self.by,
            remaining=self.remaining if end is None else end.position,
            attempts=self.attempts,
            epoch=state.epoch,
            seconds=(now_ms - state.started_ms) // 1_000,
            traded=state.traded,
            cost=state.cost,
            steps=state.steps,
            final=final_facts(end.look) if end is not None and end.look is not None else None,
        )

    def _seen(self, position: int) -> FlattenProgress:
        """The progress with what the venue states now; a slice that was open is begun anew."""
        before = self.state.progress or FlattenProgress(remaining=position)
        return replace(before, remaining=position, goal=None)
