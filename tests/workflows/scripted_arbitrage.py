"""A set's activities that answer from a script: what its workflow sees, nothing else."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.arbitrage_messages import (
    LeaveSetInput,
    OpenSetInput,
    OpenSetReport,
    ReleaseSetInput,
    RunSetInput,
    RunSetResult,
    TellSetInput,
)
from desk.arbitrage_records import TradeKey
from desk.identity import MarketId
from quoting.arbitrage.report import (
    LegStanding,
    RunEnd,
    RunLook,
    RunReport,
    SetStanding,
    TradeReport,
)

UP, DOWN = MarketId("ocx", "main", "UP"), MarketId("ocx", "main", "DOWN")
FORM = {
    "name": "btc-15m",
    "kind": "outcome_set",
    "legs": ["ocx/UP", "ocx/DOWN"],
    "max_units": "100",
    "max_capital": "500",
    "max_exposure": "20",
}


def standing(owed: Sequence[int] = (0, 0), held: Sequence[int] = (0, 0)) -> SetStanding:
    legs = zip((UP, DOWN), held, owed, strict=True)
    return SetStanding(
        legs=tuple(
            LegStanding(market=leg, position=have, owed=debt, excess=-debt)
            for leg, have, debt in legs
        ),
        complete=Decimal(min(held)),
    )


def ended(
    end: RunEnd = RunEnd.WINDOW,
    owed: Sequence[int] = (0, 0),
    held: Sequence[int] = (0, 0),
    *,
    reason: str = "",
    waived: tuple[int, ...] | None = None,
    trade: int = 0,
    epoch: int = 1,
) -> RunSetResult:
    """A run's end; None for `waived` gives back what the run was told."""
    key = TradeKey("btc-15m", epoch, trade)
    report = RunReport(
        end=end,
        reason=reason,
        epoch=epoch,
        standing=standing(owed, held),
        trade=_trade(key) if trade else None,
        locked=Decimal(min(held)),
        look=RunLook(epoch=epoch, looks=3, gate="killed at scope fleet" if reason else ""),
    )
    return RunSetResult(report=report, waived=(-1,) if waived is None else waived)


def owing(*owed: int, reason: str = "no bids", held: Sequence[int] = (3, 0)) -> RunSetResult:
    """A run that could not discharge all of it."""
    return ended(RunEnd.OWED, owed, held, reason=reason)


def _trade(key: TradeKey) -> TradeReport:
    return TradeReport(
        key=key,
        aim="take",
        units=Decimal(5),
        edge_expected=Decimal("0.2"),
        outcome="taken whole",
        fired_at_ms=1_700_000_000_000,
        sent_us=410,
    )


@dataclass
class ArbitrageScript:
    """Runs answer as listed; with none left, nothing is owed and a watch lasts until cancelled."""

    runs: deque[RunSetResult | Exception] = field(default_factory=deque)
    open_error: Exception | None = None
    open_goes_on: asyncio.Event | None = None
    held: str = ""
    released: tuple[int, ...] = ()
    calls: list[str] = field(default_factory=list)
    inputs: list[object] = field(default_factory=list)

    def note(self, name: str, request: object) -> None:
        self.calls.append(name)
        self.inputs.append(request)

    def activities(self) -> list[object]:
        return [self.open_set, self.run_set, self.release_set, self.tell_set, self.leave_set]

    def asked(self) -> list[RunSetInput]:
        return [one for one in self.inputs if isinstance(one, RunSetInput)]

    def told(self) -> list[TellSetInput]:
        return [one for one in self.inputs if isinstance(one, TellSetInput)]

    @activity.defn(name="open_set")
    async def open_set(self, request: OpenSetInput) -> OpenSetReport:
        self.note("open", request)
        if self.open_error is not None:
            raise self.open_error
        if self.open_goes_on is not None:
            await self.open_goes_on.wait()
        return OpenSetReport(standing=self.held, waived=self.released)

    @activity.defn(name="run_set")
    async def run_set(self, request: RunSetInput) -> RunSetResult:
        self.note("watch" if request.watch else request.phase.value, request)
        if self.runs:
            result = self.runs.popleft()
            if isinstance(result, Exception):
                raise ApplicationError(str(result), type="Unavailable")  # one of its own
            return replace(result, waived=request.waived) if result.waived == (-1,) else result
        if not request.watch:
            return ended(RunEnd.BALANCED, waived=request.waived)
        try:
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            self.note("cancelled", None)
            raise

    @activity.defn(name="release_set")
    async def release_set(self, request: ReleaseSetInput) -> int:
        self.note("release", request)
        return 1

    @activity.defn(name="tell_set")
    async def tell_set(self, request: TellSetInput) -> None:
        self.note(f"tell:{request.kind}{'!' if request.severity else ''}", request)

    @activity.defn(name="leave_set")
    async def leave_set(self, request: LeaveSetInput) -> None:
        self.note("leave", request)
