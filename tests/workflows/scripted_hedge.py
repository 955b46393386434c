"""A hedge's activities that answer from a script: what its workflow sees, nothing else."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field, replace
from decimal import Decimal

from temporalio import activity

from activities.hedge_messages import (
    HedgeLook,
    HedgeSliceInput,
    LeaveHedgeInput,
    OpenHedgeInput,
    OpenHedgeReport,
    ReleaseHedgeInput,
    WatchHedgeInput,
)
from activities.messages import DecisionInput
from desk.hedging import HedgeReceipt, HedgeState
from quoting.hedge import HedgeSliceReport

IDLE = HedgeLook(state=HedgeState.WATCHING, reason="nothing is owed", epoch=1)
NUMBER = 7


def owing(owed: int, *, position: int = 0, opened_at_ms: int | None = None) -> HedgeLook:
    """A look that asks for one order."""
    return HedgeLook(
        state=HedgeState.OWING,
        reason="inventory is over",
        epoch=1,
        source=Decimal("0.6"),
        position=position,
        target=position + owed,
        owed=owed,
        part_lots=owed,
        obligation=NUMBER,
        opened_at_ms=time.time_ns() // 1_000_000 if opened_at_ms is None else opened_at_ms,
    )


@dataclass
class HedgeScript:
    """Watches answer as listed; with none left they go on until cancelled. Fills per order."""

    looks: deque[HedgeLook | Exception] = field(default_factory=deque)
    fills: deque[int | Exception] = field(default_factory=deque)
    spent: bool = True
    receipt: HedgeReceipt | None = None
    open_error: Exception | None = None
    calls: list[str] = field(default_factory=list)
    inputs: list[object] = field(default_factory=list)

    def note(self, name: str, request: object) -> None:
        self.calls.append(name)
        self.inputs.append(request)

    def activities(self) -> list[object]:
        return [
            self.open_hedge,
            self.watch_hedge,
            self.send_hedge_slice,
            self.release_hedge,
            self.leave_hedge,
            self.record_decision,
        ]

    def watches(self) -> list[WatchHedgeInput]:
        return [one for one in self.inputs if isinstance(one, WatchHedgeInput)]

    def orders(self) -> list[HedgeSliceInput]:
        return [one for one in self.inputs if isinstance(one, HedgeSliceInput)]

    @activity.defn(name="open_hedge")
    async def open_hedge(self, request: OpenHedgeInput) -> OpenHedgeReport:
        self.note("open", request)
        if self.open_error is not None:
            raise self.open_error
        return OpenHedgeReport(epoch=1)

    @activity.defn(name="watch_hedge")
    async def watch_hedge(self, request: WatchHedgeInput) -> HedgeLook:
        self.note("watch", request)
        if self.looks:
            look = self.looks.popleft()
            if isinstance(look, Exception):
                raise look
            return replace(look, waived=request.waived if look.waived == 0 else look.waived)
        try:
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            self.note("cancelled", request)
            raise

    @activity.defn(name="send_hedge_slice")
    async def send_hedge_slice(self, request: HedgeSliceInput) -> HedgeSliceReport:
        self.note("order", request)
        filled = self.fills.popleft() if self.fills else request.lots
        if isinstance(filled, Exception):
            raise filled
        return HedgeSliceReport(
            step=request.step,
            position_before=request.position,
            position_after=request.position + filled,
            sent_lots=request.lots,
            outcome="accepted",
            spent=self.spent,
            receipt=self.receipt,
        )

    @activity.defn(name="release_hedge")
    async def release_hedge(self, request: ReleaseHedgeInput) -> bool:
        self.note("release", request)
        return True

    @activity.defn(name="leave_hedge")
    async def leave_hedge(self, request: LeaveHedgeInput) -> None:
        self.note("leave", request)

    @activity.defn(name="record_decision")
    async def record_decision(self, request: DecisionInput) -> None:
        self.note(f"decision:{request.kind}{'!' if request.alert else ''}", request)
