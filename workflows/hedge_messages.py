"""What people say to a hedge's workflow, and what it answers.

One JSON value each; unknown fields are refused, decimals are strings, quantities are base units.
"""

from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from desk.hedging import HedgeReceipt, HedgeRule, HedgeState
from desk.identity import MarketId
from desk.risk.limits import RiskLimits
from workflows.messages import Message, Money, Name


def _person(value: str) -> str:
    if not value.strip() or value == "fills":
        raise ValueError(f"'{value}' is not a person's name")
    return value


Person = Annotated[str, Field(max_length=64), AfterValidator(_person)]


class HedgeEvent(Message):
    """One step of a hedge's life. `at` is ISO-8601, UTC."""

    at: str
    state: HedgeState
    text: str


class CarriedHedge(Message):
    """What one run hands to the next at continue-as-new. Not for people."""

    epoch: int
    state: HedgeState
    reason: str = ""
    step: int = 0
    orders: int = 0
    waived: int = 0
    stuck: int = 0
    source_quantity: Money = Decimal(0)
    position: int = 0
    owed: int = 0
    obligation: int | None = None
    opened_at_ms: int | None = None
    blocked_at_ms: int | None = None
    alerts: int = 0
    outcome: str = ""
    id_epoch: int = 0
    receipt: HedgeReceipt | None = None
    history: tuple[HedgeEvent, ...] = ()


class StartHedge(Message):
    """Hedge the inventory of one market at another one, which nobody quotes meanwhile.

    `threshold` and `release` are base units of the source market, see `HedgeRule`. Notionals are
    quote currency. `overdue_s` is how long a hedge may stay owed before a person is told.
    """

    source_venue: Name
    source_symbol: Name
    source_account: Name = "main"
    hedge_venue: Name
    hedge_symbol: Name
    hedge_account: Name = "main"
    fleet: Name = "main"
    threshold: Money
    release: Money = Decimal(0)
    ratio: Money = Decimal(1)
    slice_notional: Money = Decimal(1_000)
    max_slippage_bps: Money = Decimal(50)
    max_position: Money = RiskLimits().max_position
    collar_bps: Money = RiskLimits().collar_bps
    check_every_s: Annotated[int, Field(ge=1, le=30)] = 2
    slice_interval_s: Annotated[int, Field(ge=0, le=600)] = 1
    overdue_s: Annotated[int, Field(ge=1, le=86_400)] = 60
    window_s: Annotated[int, Field(ge=5, le=3_600)] = 600
    carried: CarriedHedge | None = None

    @model_validator(mode="after")
    def _sound(self) -> "StartHedge":
        problems = list(self.rule.problems())
        if self.source == self.hedge:
            problems.append(
                f"hedge_symbol: {self.hedge.path} is the source itself; name another market"
            )
        if self.slice_notional <= 0:
            problems.append(f"slice_notional: {self.slice_notional} is not above zero; raise it")
        if not 0 <= self.max_slippage_bps < self.collar_bps:
            problems.append(
                f"max_slippage_bps: {self.max_slippage_bps} is not from zero to below collar_bps "
                f"{self.collar_bps}; lower the one or raise the other"
            )
        problems += self.limits.problems()
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def source(self) -> MarketId:
        """The market whose inventory is hedged."""
        return MarketId(self.source_venue, self.source_account, self.source_symbol)

    @property
    def hedge(self) -> MarketId:
        """The market where the hedge stands."""
        return MarketId(self.hedge_venue, self.hedge_account, self.hedge_symbol)

    @property
    def rule(self) -> HedgeRule:
        """When a hedge is owed."""
        return HedgeRule(threshold=self.threshold, release=self.release, ratio=self.ratio)

    @property
    def limits(self) -> RiskLimits:
        """Hard caps of the hedge market; an order may be a slice and a rest that is too small."""
        return RiskLimits(
            max_order_notional=3 * self.slice_notional,
            max_position=self.max_position,
            collar_bps=self.collar_bps,
        )


class ReleaseHedge(Message):
    """A named decision: what is owed now is owed no longer."""

    by: Person
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class HedgeStatus(Message):
    """Answer to the `status` query, and the workflow's result. Lots of the hedge market, signed."""

    source: str
    hedge: str
    state: HedgeState
    reason: str
    epoch: int
    source_quantity: Money
    position: int
    owed: int
    waived: int
    obligation: int | None
    opened_at_ms: int | None
    orders: int
    history: tuple[HedgeEvent, ...]
