"""What a break's workflow sends to its activities and gets back. Times in unix milliseconds."""

from dataclasses import dataclass
from decimal import Decimal

from desk.break_rules import BreakRule
from desk.breaks import Break, BreakDecision, FoundBreak


@dataclass(frozen=True, slots=True, kw_only=True)
class LookBreakInput:
    """Which break to look at."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakLook:
    """A break as the record has it, and the written rule that may settle it."""

    known: Break
    rule: BreakRule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TellBreakInput:
    """What is to be recorded as a decision and told a person; `severity` empty tells nobody."""

    known: Break
    kind: str
    text: str
    by: str
    severity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleBreakInput:
    """A decision on a break. `price` in quote currency, None for the newest known one.

    `found` is what was decided on; refused where the number stands for something else. A difference
    above `largest` (see `BreakRule`) is refused.
    """

    number: int
    decision: BreakDecision
    by: str
    reason: str
    found: FoundBreak | None = None
    price: Decimal | None = None
    largest: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakSettled:
    """What became of a decision: `refused` says why nothing was settled, `booked` what was."""

    refused: str = ""
    booked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TellMarketsInput:
    """Which markets may go on, as `known` is settled.

    `beginning` is what comes before a market's path in its workflow's id.
    """

    known: Break
    beginning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketsTold:
    """How many workflows were told, and how many markets another break still holds."""

    told: int
    still_held: int
