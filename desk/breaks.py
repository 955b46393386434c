"""Breaks: differences between our books and the venue's that a person or a rule must settle.

The rule: nothing is invented to make books agree. A break closes the gate of its market or account
until it is settled; what settles it is a named decision, and what that decision books is on record.
"""

from dataclasses import dataclass
from enum import StrEnum

from desk.records import BREAK


class BreakKind(StrEnum):
    """What differs."""

    GHOST = "ghost"
    ORPHAN = "orphan"
    MISSED_FILL = "missed_fill"
    POSITION = "position"
    BALANCE = "balance"
    SOURCES = "sources"
    SAVED_STATE = "saved_state"
    TRACE = "trace"

    @property
    def closes_gate(self) -> bool:
        """Whether nothing is quoted while it is open: all but what is cured as it is found."""
        return self not in {BreakKind.GHOST, BreakKind.ORPHAN, BreakKind.MISSED_FILL}


class BreakDecision(StrEnum):
    """How a break is settled.

    VENUE: the venue is right, and an adjustment is booked by the decider's name. RECHECK: nothing
    is booked; the difference is gone, or the next reconciliation finds it again. RULE: a written
    rule settled it (freed, cancelled, booked from the venue's history, agreed again).
    """

    VENUE = "venue"
    RECHECK = "recheck"
    RULE = "rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBreak:
    """A difference somebody found; `symbol` is None when the whole account is concerned.

    `text` is one sentence with both figures; `ours` and `theirs` are the two sides as they were
    read (JSON text), kept for ever. `found_by` names the run or session.
    """

    venue: str
    account: str
    symbol: str | None
    kind: BreakKind
    text: str
    ours: str
    theirs: str
    found_by: str
    found_at_ms: int

    @property
    def scope(self) -> str:
        """Scope of the kill that keeps the gate closed."""
        account = f"{self.venue}/{self.account}"
        if self.symbol is None:
            return f"{BREAK}account:{account}"
        return f"{BREAK}market:{account}/{self.symbol}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A break on record. `settled_by` is None while it is open; `last_seen_ms` only grows."""

    number: int
    found: FoundBreak
    last_seen_ms: int
    settled_by: str | None = None
    decision: BreakDecision | None = None
    reason: str = ""
    settled_at_ms: int | None = None

    @property
    def open(self) -> bool:
        """Whether nobody has settled it yet."""
        return self.settled_by is None
