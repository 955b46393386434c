"""What people say to a break's workflow, and what it answers.

One JSON value each; unknown fields are refused, decimals are strings, times are unix milliseconds.
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from desk.breaks import BreakDecision, FoundBreak
from workflows.messages import Message, Money, Name


def _person(value: str) -> str:
    if not value.strip() or value.startswith("rule "):
        raise ValueError(f"'{value}' is not a person's name")
    return value


def _words(value: str) -> str:
    if not value.strip():
        raise ValueError("it is empty; say why, for the record")
    return value


def _priced(value: Decimal | None) -> Decimal | None:
    if value is not None and not (value.is_finite() and value > 0):
        raise ValueError(f"{value} is not above zero; give a price in quote currency")
    return value


Person = Annotated[str, Field(max_length=64), AfterValidator(_person)]
Why = Annotated[str, Field(max_length=500), AfterValidator(_words)]
Number = Annotated[int, Field(ge=1)]


class SettleBreak(Message):
    """Signal `settle`: `{"decision": "venue", "by": "ana", "reason": "why"}`, all three.

    `venue` books what our side lacks; `recheck` books nothing. `price`, quote currency, is for a
    position whose price nobody knows.
    """

    decision: Literal["venue", "recheck"]
    by: Person
    reason: Why
    price: Annotated[Money | None, AfterValidator(_priced)] = None

    @property
    def chosen(self) -> BreakDecision:
        """The decision it names."""
        return BreakDecision(self.decision)


class BreakEvent(Message):
    """One step of a break's life. `at` is ISO-8601, UTC."""

    at: str
    text: str


class CarriedBreak(Message):
    """What one run hands to the next at continue-as-new. Not for people.

    `found` is what the number stood for: a record that was set back gives it to something else.
    """

    told: bool = False
    alarms: int = 0
    refused: int = 0
    rule_tried: bool = False
    found: FoundBreak | None = None
    history: tuple[BreakEvent, ...] = ()


class StartBreak(Message):
    """Input of BreakWorkflow: the number that `flotilla breaks list` shows is enough."""

    number: Number
    fleet: Name = "main"
    carried: CarriedBreak | None = None


class BreakStatus(Message):
    """Answer to the `status` query, and the workflow's result.

    `refused` counts decisions that settled nothing; the last event says why.
    """

    number: int
    open: bool
    kind: str = ""
    scope: str = ""
    text: str = ""
    ours: str = ""
    theirs: str = ""
    found_by: str = ""
    found_at_ms: int = 0
    last_seen_ms: int = 0
    decision: str = ""
    settled_by: str = ""
    reason: str = ""
    rule: str = ""
    refused: int = 0
    alarms: int = 0
    history: tuple[BreakEvent, ...] = ()
