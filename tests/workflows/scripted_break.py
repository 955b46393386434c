"""A break's activities with the real names, on a record in memory: what its workflow sees."""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from temporalio import activity

from activities.breaks_messages import (
    BreakLook,
    BreakSettled,
    LookBreakInput,
    MarketsTold,
    SettleBreakInput,
    TellBreakInput,
    TellMarketsInput,
)
from desk.break_rules import BreakRule
from desk.breaks import Break, BreakDecision, BreakKind, FoundBreak

FOUND = FoundBreak(
    venue="ocx",
    account="main",
    symbol="BTC-PERP",
    kind=BreakKind.POSITION,
    text="ledger has 0 lots, the venue 5",
    ours='{"position": "0"}',
    theirs='{"position": "0.0005"}',
    found_by="a test",
    found_at_ms=0,
)


@dataclass
class Books:
    """One break; decisions are refused as listed, then settle it.

    Runs after the first one find that the number stands for `continued`, if it is given.
    """

    known: Break
    rule: BreakRule | None = None
    continued: FoundBreak | None = None
    runs: set[str] = field(default_factory=set)
    refusals: deque[str | Exception] = field(default_factory=deque)
    looks: int = 0
    asked: list[SettleBreakInput] = field(default_factory=list)
    told: list[TellBreakInput] = field(default_factory=list)
    markets: list[TellMarketsInput] = field(default_factory=list)

    @classmethod
    def at(cls, now_ms: int, **given: Any) -> "Books":
        """A break that was found at this moment."""
        found = replace(FOUND, found_at_ms=now_ms)
        return cls(known=Break(number=7, found=found, last_seen_ms=now_ms), **given)

    def settled(self, by: str, reason: str, decision: BreakDecision) -> None:
        """Somebody settled it."""
        self.known = replace(
            self.known, settled_by=by, reason=reason, decision=decision, settled_at_ms=1
        )

    def activities(self) -> list[Any]:
        return [self.look_at_break, self.tell_break, self.settle_named, self.tell_markets]

    @activity.defn(name="look_at_break")
    async def look_at_break(self, request: LookBreakInput) -> BreakLook:
        self.looks += 1
        assert request.number == self.known.number
        self.runs.add(str(activity.info().workflow_run_id))
        if self.continued is not None and len(self.runs) > 1:
            self.known = replace(self.known, found=self.continued)
        return BreakLook(known=self.known, rule=self.rule)

    @activity.defn(name="tell_break")
    async def tell_break(self, request: TellBreakInput) -> None:
        self.told.append(request)

    @activity.defn(name="settle_named")
    async def settle_named(self, request: SettleBreakInput) -> BreakSettled:
        self.asked.append(request)
        if request.found != self.known.found:
            return BreakSettled(refused=f"break: {self.known.number} is another difference by now")
        if self.refusals:
            refusal = self.refusals.popleft()
            if isinstance(refusal, Exception):
                raise refusal
            return BreakSettled(refused=refusal)
        self.settled(request.by, request.reason, request.decision)
        return BreakSettled(booked="+0.0005 BTC-PERP was booked at 60000")

    @activity.defn(name="tell_markets")
    async def tell_markets(self, request: TellMarketsInput) -> MarketsTold:
        self.markets.append(request)
        return MarketsTold(told=1, still_held=0)
