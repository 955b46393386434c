"""Drills: rehearsals of the brakes on a market that is marked for them, and what they proved.

The one rule: a drill that failed forbids new starts until somebody acknowledges it by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from desk.identity import MarketId


class DrillKind(StrEnum):
    """Which brake is pulled."""

    KILL = "kill"
    DEAD_MAN = "deadman"
    PANIC = "panic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One drill that was run. `evidence` is what was seen, one fact a line; times in unix ms.

    `number` is given by the record, 0 before that. `run_id` makes recording it twice one drill.
    """

    kind: DrillKind
    market: MarketId
    run_id: str
    began_at_ms: int
    ended_at_ms: int
    passed: bool
    message: str
    evidence: str
    number: int = 0
    acknowledged_by: str | None = None


def why_blocked(failed: Sequence[Drill]) -> str:
    """Why nothing may be started, empty when no failed drill waits for a name."""
    if not failed:
        return ""
    drill = failed[0]
    return (
        f"drill {drill.number} ({drill.kind.value} at {drill.market.path}) failed: "
        f"{drill.message}; find out why, then 'flotilla drill acknowledge {drill.number} "
        "--by NAME --reason WHY'"
    )
