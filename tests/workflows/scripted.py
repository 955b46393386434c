"""Activities with the real names that answer from a script: what a workflow sees, nothing else."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

from temporalio import activity

from activities.flatten_messages import (
    FlattenEnd,
    FlattenEndInput,
    FlattenOpening,
    FlattenSliceInput,
    FlattenWord,
)
from activities.messages import (
    DecisionInput,
    PreflightInput,
    PreflightReport,
    SessionInput,
    SessionResult,
    StandDownInput,
    TakeOverInput,
    TakeOverReport,
)
from desk.identity import MarketId
from desk.lifecycle import SessionReason
from quoting.agreement import StandDownReport
from quoting.exit import FlattenSliceReport
from quoting.progress import SessionProgress

_LOOK = StandDownReport(
    venue_open_orders=0,
    venue_position=0,
    ledger_position=0,
    venue_fills=2,
    ledger_fills=2,
    ledger_equals_venue=True,
    difference="",
    pnl=Decimal("1.5"),
)


@dataclass
class Script:
    """Sessions end as listed; with none left they run until cancelled. Positions per slice."""

    sessions: deque[SessionReason] = field(default_factory=deque)
    positions: deque[int] = field(default_factory=deque)
    preflight_error: Exception | None = None
    preflight_goes_on: asyncio.Event | None = None
    session_error: Exception | None = None
    leaving_error: Exception | None = None
    session_failures: deque[Exception | None] = field(default_factory=deque)
    """What the next attempts of sessions die of; None is a worker that is heard of no more."""
    clear_failures: deque[Exception] = field(default_factory=deque)
    look_failures: deque[Exception] = field(default_factory=deque)
    """What the next last looks, of a stand-down or a flatten, die of."""
    usual_round_trip_ms: Decimal | None = None
    calls: list[str] = field(default_factory=list)
    inputs: list[object] = field(default_factory=list)
    epoch: int = 0
    held: bool = False
    """A flatten's order waits until it is let go."""
    flat: bool = False
    slice_errors: deque[Exception] = field(default_factory=deque)
    exit_error: Exception | None = None
    look: StandDownReport = field(default_factory=lambda: _LOOK)
    """What a market's last look sees."""
    ends: deque[int] = field(default_factory=deque)
    """Lots that the last looks of a flatten see; zero when none is left."""

    leaves_with: SessionReason | None = None
    leave_now: bool = False
    """The first session that runs on ends with `leaves_with` when it is told to leave now."""
    held_by: str = ""
    """What a look whether a break holds the market says."""

    def note(self, name: str, request: object) -> None:
        self.calls.append(name)
        self.inputs.append(request)

    def activities(self) -> list[object]:
        return [
            self.preflight,
            self.quote_session,
            self.take_over,
            self.stand_down,
            self.record_decision,
            self.break_holding,
        ]

    @activity.defn(name="preflight")
    async def preflight(self, request: PreflightInput) -> PreflightReport:
        self.note("preflight", request)
        if self.preflight_goes_on is not None:
            await self.preflight_goes_on.wait()
        if self.preflight_error is not None:
            raise self.preflight_error
        self.epoch += 1
        return PreflightReport(
            life_epoch=self.epoch,
            tick_size=Decimal("0.1"),
            lot_size=Decimal("0.001"),
            maker_fee_bps=Decimal(2),
            clock_offset_ms=3,
        )

    @activity.defn(name="quote_session")
    async def quote_session(self, request: SessionInput) -> SessionResult:
        self.note("quote_session", request)
        self.epoch += 1
        if self.session_failures:
            failure = self.session_failures.popleft()
            if failure is None:
                await asyncio.Event().wait()
            else:
                raise failure
        if self.session_error is not None:
            raise self.session_error
        if self.sessions:
            reason = self.sessions.popleft()
        else:
            reason = SessionReason.CANCELLED
            try:
                while not (self.leave_now and self.leaves_with):
                    activity.heartbeat()
                    await asyncio.sleep(0.05)
                reason, self.leaves_with = self.leaves_with, None
            except asyncio.CancelledError:
                self.note("cancelled", request)
                if self.leaving_error is not None:
                    raise self.leaving_error from None
        return SessionResult(
            reason=reason,
            message="",
            epoch=self.epoch,
            cleared=True,
            progress=SessionProgress(
                epoch=self.epoch,
                phase="leaving",
                cycles=10,
                requotes=7,
                usual_round_trip_ms=self.usual_round_trip_ms,
            ),
        )

    @activity.defn(name="take_over")
    async def take_over(self, request: TakeOverInput) -> TakeOverReport:
        self.note("take_over", request)
        if self.clear_failures:
            raise self.clear_failures.popleft()
        self.epoch += 1
        return TakeOverReport(epoch=self.epoch, attempts=1)

    def exit_activities(self) -> list[object]:
        """What a flatten asks, on the queue of the brakes."""
        return [
            self.flatten_take_over,
            self.flatten_slice,
            self.flatten_tell,
            self.flatten_end,
        ]

    @activity.defn(name="flatten_take_over")
    async def flatten_take_over(self, request: TakeOverInput) -> FlattenOpening:
        self.note("flatten_take_over", request)
        if self.exit_error is not None:
            raise self.exit_error
        self.epoch += 1
        position = 0 if self.flat else self.positions[0] + 1 if self.positions else 1
        return FlattenOpening(epoch=self.epoch, position=position)

    @activity.defn(name="flatten_slice")
    async def flatten_slice(self, request: FlattenSliceInput) -> FlattenSliceReport:
        self.note("flatten_slice", request)
        while self.held:
            activity.heartbeat()
            await asyncio.sleep(0.02)
        if self.slice_errors:
            raise self.slice_errors.popleft()
        after = self.positions.popleft() if self.positions else 0
        return FlattenSliceReport(
            step=request.step.step,
            position_before=after + 1,
            position_after=after,
            sent_lots=1,
            outcome="accepted",
        )

    @activity.defn(name="flatten_tell")
    async def flatten_tell(self, word: FlattenWord) -> None:
        self.note(f"told:{word.kind}", word)

    @activity.defn(name="flatten_end")
    async def flatten_end(self, request: FlattenEndInput) -> FlattenEnd:
        self.note("flatten_end", request)
        if self.look_failures:
            raise self.look_failures.popleft()
        left = self.ends.popleft() if self.ends else 0
        return FlattenEnd(position=left, look=None if left and not request.abandoned else _LOOK)

    @activity.defn(name="stand_down")
    async def stand_down(self, request: StandDownInput) -> StandDownReport:
        self.note("stand_down", request)
        if self.look_failures:
            raise self.look_failures.popleft()
        return self.look

    @activity.defn(name="break_holding")
    async def break_holding(self, market: MarketId) -> str:
        self.note("break_holding", market)
        return self.held_by

    @activity.defn(name="record_decision")
    async def record_decision(self, request: DecisionInput) -> None:
        self.note(f"decision:{request.kind}", request)
