"""What a drill's workflow sends to activities and gets back. Messages only grow, with defaults."""

from dataclasses import dataclass
from decimal import Decimal

from desk.drills import DrillKind
from desk.identity import MarketId


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillInput:
    """Which brake at which market; `within_s` is how long it may take.

    `kill_at_ms` names the drill's own kill, 0 before it is given.
    """

    kind: DrillKind
    market: MarketId
    fleet: str
    run_id: str
    within_s: int
    max_notional: Decimal
    kill_at_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillReady:
    """The market may be drilled; `level_notional` is the least it can be quoted with."""

    level_notional: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillSeen:
    """What one step proved, one fact a line."""

    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillDone:
    """How it ended, for the record."""

    kind: DrillKind
    market: MarketId
    run_id: str
    began_at_ms: int
    ended_at_ms: int
    passed: bool
    message: str
    evidence: str
