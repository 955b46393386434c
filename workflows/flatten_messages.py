"""What people and programs say to a flatten's workflow, and what it answers.

One JSON value each; unknown fields are refused, decimals are strings, only the market is required.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, model_validator

from desk.flattening import FlattenPlan, FlattenProgress, Regime
from desk.risk.limits import RiskLimits
from quoting.agreement import StandDownReport
from workflows.messages import AboutMarket, FinalFacts, FlattenStep, Message, Money, not_positive

LONGEST_REASON: Final = 400
LONGEST_NAME: Final = 64

Said = Annotated[str, Field(min_length=1, max_length=LONGEST_REASON)]


class FlattenOutcome(StrEnum):
    """How a flatten ended."""

    FLAT = "flat"
    ABANDONED = "abandoned"


class StopFlatten(Message):
    """Abandon a flatten, whatever is left: who says so, and why."""

    by: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    reason: Said


class CarriedFlatten(Message):
    """What one run hands to the next at continue-as-new. Not for people.

    `repeated`: the next order is the same step again. Times are unix milliseconds; `moved_ms` is
    when lots were last taken away, or the beginning.
    """

    owner: str
    started_ms: int
    moved_ms: int
    alarmed_ms: int
    opened: bool = False
    alarms: int = 0
    failures: int = 0
    takes: int = 0
    epoch: int | None = None
    step: int = 0
    repeated: bool = False
    progress: FlattenProgress | None = None
    phase: str = "taking over"
    note: str = ""
    regime: Regime = Regime.CALM
    mid: Money | None = None
    mid_ms: int | None = None
    traded: Money = Decimal(0)
    cost: Money = Decimal(0)
    steps: tuple[FlattenStep, ...] = ()
    stop: StopFlatten | None = None


class StartFlatten(AboutMarket):
    """Input of FlattenWorkflow: `{"venue": "ocx", "symbol": "BTC-PERP"}` is enough.

    `slippage_bps` is the budget of an order beyond the best price in a calm market,
    `fast_slippage_bps` in a fast one and after `deadline_s`. `maker_s` above zero lets a part of
    each slice rest at our touch for so long first. The caps on one order make it smaller.
    """

    reason: Said = "asked by the operator"
    by: str = "operator"
    slices: Annotated[int, Field(ge=1, le=50)] = 5
    interval_s: Annotated[int, Field(ge=1, le=600)] = 1
    maker_s: Annotated[int, Field(ge=0, le=600)] = 0
    slippage_bps: Money = Decimal(100)
    fast_slippage_bps: Money = Decimal(200)
    deadline_s: Annotated[int, Field(ge=0, le=86_400)] = 300
    max_order_notional: Money = RiskLimits().max_order_notional
    max_order_quantity: Money | None = None
    collar_bps: Money = RiskLimits().collar_bps
    carried: CarriedFlatten | None = None

    @model_validator(mode="after")
    def _sound(self) -> "StartFlatten":
        problems = list(self.limits.problems())
        problems += not_positive(self, "slippage_bps", "fast_slippage_bps")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def plan(self) -> FlattenPlan:
        """How the position is to be left."""
        return FlattenPlan(
            slices=self.slices,
            interval_s=self.interval_s,
            maker_s=self.maker_s,
            slippage_bps=self.slippage_bps,
            fast_slippage_bps=self.fast_slippage_bps,
        )

    @property
    def limits(self) -> RiskLimits:
        """The caps an exit is held to."""
        return RiskLimits(
            max_order_notional=self.max_order_notional,
            max_order_quantity=self.max_order_quantity,
            collar_bps=self.collar_bps,
        )


class FlattenStatus(Message):
    """Answer to the `status` query. `remaining` are signed lots, None before the first look.

    `cost` is how much worse than the mid all fills were, `traded` their worth at the mid, both in
    quote currency; `used_bps` is the one over the other. `deadline` is ISO-8601, UTC.
    """

    market: str
    phase: str
    note: str
    reason: str
    by: str
    remaining: int | None
    attempts: int
    next_step: int
    epoch: int | None
    regime: Regime
    deadline: str
    seconds_left: int
    traded: Money
    cost: Money
    used_bps: Money | None
    alarms: int
    stopping: StopFlatten | None
    steps: tuple[FlattenStep, ...]


class FlattenResult(Message):
    """Result of FlattenWorkflow: facts. `final` is None when the market was never taken over."""

    market: str
    outcome: FlattenOutcome
    reason: str
    by: str
    remaining: int | None
    attempts: int
    epoch: int | None
    seconds: int
    traded: Money
    cost: Money
    steps: tuple[FlattenStep, ...]
    final: FinalFacts | None


def final_facts(look: StandDownReport) -> FinalFacts:
    """What the last look verified, as a message."""
    return FinalFacts(
        venue_open_orders=look.venue_open_orders,
        venue_position=look.venue_position,
        ledger_position=look.ledger_position,
        venue_fills=look.venue_fills,
        ledger_fills=look.ledger_fills,
        ledger_equals_venue=look.ledger_equals_venue,
        difference=look.difference,
        pnl=look.pnl,
    )
