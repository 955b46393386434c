"""The guardian's activities with the real names that answer from a script, and a flatten to start.

Each look gives the next of `looks`, the last one again and again; an exception is raised.
"""

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

from activities.guardian_messages import LookInput, LookReport, TellInput
from desk.identity import MarketId
from desk.ownership import Finding, FindingKind
from workflows import names

MARKET = MarketId("ocx", "main", "BTC-PERP")


@dataclass
class Watched:
    """What the guardian sees, and what it said."""

    looks: deque[LookReport | Exception] = field(default_factory=lambda: deque([look()]))
    deaf: bool = False
    asked: list[LookInput] = field(default_factory=list)
    told: list[TellInput] = field(default_factory=list)

    def activities(self) -> list[Any]:
        return [self.look_for_unowned, self.tell_findings]

    @activity.defn(name="look_for_unowned")
    async def look_for_unowned(self, request: LookInput) -> LookReport:
        self.asked.append(request)
        answer = self.looks.popleft() if len(self.looks) > 1 else self.looks[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @activity.defn(name="tell_findings")
    async def tell_findings(self, request: TellInput) -> None:
        self.told.append(request)
        if self.deaf:
            raise ApplicationError("postgres: away", type="Unavailable")


@workflow.defn(name=names.FLATTEN_WORKFLOW)
class FlattenForEver:
    """Stands in for the flatten: takes its input, and goes on until it is told to end."""

    def __init__(self) -> None:
        self._end = False

    @workflow.run
    async def run(self, start: dict[str, str]) -> dict[str, str]:
        """Wait for `end`, and give the input back."""
        await workflow.wait_condition(lambda: self._end)
        return start

    @workflow.signal
    def end(self) -> None:
        """End."""
        self._end = True


def look(*findings: Finding, cleared: int = 0, trouble: str = "") -> LookReport:
    """A look that saw these."""
    return LookReport(
        at_ms=1_700_000_000_000,
        ours=4,
        foreign=0,
        owned=2,
        cleared=cleared,
        findings=findings,
        judged=tuple(FindingKind),
        trouble=trouble,
    )


def found(kind: FindingKind, *, since_ms: int = 0, held: str = "0") -> Finding:
    """One finding at the market of these tests."""
    return Finding(
        kind=kind, market=MARKET, text=f"{kind.value} seen", since_ms=since_ms, held=Decimal(held)
    )
