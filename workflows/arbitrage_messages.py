"""What people say to a set's workflow, and what it answers.

One JSON value each; unknown fields are refused, decimals are strings.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from desk.arbitrage.rules import ArbitrageRules
from desk.identity import MarketId
from desk.risk.limits import RiskLimits
from quoting.arbitrage.report import RunLook, SetKind, SetStanding, TradeReport
from workflows.hedge_messages import Person
from workflows.messages import Message, Money, Name, Request

_RULES = ArbitrageRules(
    max_units=Decimal(1), max_capital=Decimal(1), max_exposure=Decimal(1)
)  # for what has a default there
_TRIANGLE_LEGS = 3
_MOST_LEGS = 30
# Of a share that costs 0.02 the next tick is half its price away.
_OUTCOME_COLLAR_BPS = Decimal(5_000)


class ArbitrageState(StrEnum):
    """What a set is doing."""

    STARTING = "starting"
    WATCHING = "watching"
    DISCHARGING = "discharging"
    HANDED_OVER = "handed_over"
    PAUSED = "paused"
    SETTLED = "settled"
    STOPPED = "stopped"


def _path(value: str) -> str:
    return MarketId.parse(value).path


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Legs = Annotated[
    tuple[Annotated[str, AfterValidator(_path)], ...],
    BeforeValidator(_split),
    Field(min_length=2, max_length=_MOST_LEGS),
]


class ArbitrageEvent(Message):
    """One step of a set's life. `at` is ISO-8601, UTC."""

    at: str
    state: ArbitrageState
    text: str


class CarriedArbitrage(Message):
    """What one run hands to the next at continue-as-new. Not for people."""

    state: ArbitrageState
    reason: str = ""
    epoch: int = 0
    standing: SetStanding | None = None
    waived: tuple[int, ...] = ()
    unsure: bool = False
    failures: int = 0
    hedges: int = 0
    reduces: int = 0
    handed_over: bool = False
    owed_since_ms: int | None = None
    trouble_since_ms: int | None = None
    alerts: int = 0
    locked: Money = Decimal(0)
    payout: Money | None = None
    fired: int = 0
    trades: tuple[TradeReport, ...] = ()
    look: RunLook = RunLook()
    paused: Request | None = None
    stopping: Request | None = None
    history: tuple[ArbitrageEvent, ...] = ()


class StartArbitrage(Message):
    """Watch one set of legs and take it when it pays: `venue/account/symbol` each, all bought.

    Of a triangle the three pairs in any order. What the fields of rules mean is in
    `ArbitrageRules`; `max_capital` is what all open trades of the set may lock together.
    `max_order_notional` (one order, its leg's quote currency; null: twice `max_capital`),
    `max_position` and `collar_bps` (null: 5000 for outcomes, 500 for triangles) hold in the order
    path. `rounds` are orders per leg in one run; `overdue_s` is how long something may stay owed
    before a person is told.
    """

    name: Name
    kind: SetKind
    legs: Legs
    fleet: Name = "main"
    max_units: Money
    max_capital: Money
    max_exposure: Money
    min_edge: Money = _RULES.min_edge
    slippage_bps: Money = _RULES.slippage_bps
    fast_slippage_bps: Money = _RULES.fast_slippage_bps
    settlement_cost: Money = _RULES.settlement_cost
    max_age_ms: int = _RULES.max_age_ms
    max_skew_ms: int = _RULES.max_skew_ms
    depth: int = _RULES.depth
    max_order_notional: Money | None = None
    max_position: Money = RiskLimits().max_position
    collar_bps: Money | None = None
    rounds: Annotated[int, Field(ge=1, le=20)] = 4
    overdue_s: Annotated[int, Field(ge=1, le=86_400)] = 30
    window_s: Annotated[int, Field(ge=5, le=3_600)] = 600
    carried: CarriedArbitrage | None = None

    @model_validator(mode="after")
    def _sound(self) -> "StartArbitrage":
        problems = [*self.rules.problems()]
        if len(set(self.legs)) < len(self.legs):
            problems.append("legs: one is given twice; name each market once")
        if self.kind is SetKind.TRIANGLE and len(self.legs) != _TRIANGLE_LEGS:
            problems.append(f"legs: {len(self.legs)} are given; a triangle has three pairs")
        if not self.rules.worst_bps < self.limits.collar_bps:
            problems.append(
                f"fast_slippage_bps: {self.rules.worst_bps} is not below collar_bps "
                f"{self.limits.collar_bps}; lower the one or raise the other"
            )
        problems += self.limits.problems()
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def markets(self) -> tuple[MarketId, ...]:
        """The legs."""
        return tuple(map(MarketId.parse, self.legs))

    @property
    def rules(self) -> ArbitrageRules:
        """When the set is worth taking, and how much of it may be."""
        return ArbitrageRules(
            max_units=self.max_units,
            max_capital=self.max_capital,
            max_exposure=self.max_exposure,
            min_edge=self.min_edge,
            slippage_bps=self.slippage_bps,
            fast_slippage_bps=self.fast_slippage_bps,
            settlement_cost=self.settlement_cost,
            max_age_ms=self.max_age_ms,
            max_skew_ms=self.max_skew_ms,
            depth=self.depth,
        )

    @property
    def limits(self) -> RiskLimits:
        """Hard caps of each leg's market, in the order path."""
        usual = RiskLimits().collar_bps
        outcomes = self.kind is SetKind.OUTCOME_SET
        return RiskLimits(
            max_order_notional=self.max_order_notional or 2 * self.max_capital,
            max_position=self.max_position,
            collar_bps=self.collar_bps or (_OUTCOME_COLLAR_BPS if outcomes else usual),
            max_book_age_ms=max(RiskLimits().max_book_age_ms, self.max_age_ms),
        )


class DecideArbitrage(Message):
    """A named decision about what is owed: release it, or have it tried again."""

    by: Person
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class ArbitrageStatus(Message):
    """Answer to the `status` query, and the workflow's result. Lots are signed, per leg.

    `complete` are units of whole sets held; `locked`, `payout`, `exposure` and `dust` are quote
    currency, `payout_expected` what the complete sets pay in the end.
    """

    name: str
    kind: SetKind
    legs: tuple[str, ...]
    state: ArbitrageState
    reason: str
    epoch: int
    positions: tuple[int, ...] = ()
    owed: tuple[int, ...] = ()
    waived: tuple[int, ...] = ()
    owed_since_ms: int | None = None
    complete: Money = Decimal(0)
    exposure: Money = Decimal(0)
    dust: Money = Decimal(0)
    locked: Money = Decimal(0)
    payout_expected: Money | None = None
    payout: Money | None = None
    fired: int = 0
    trades: tuple[TradeReport, ...] = ()
    look: RunLook = RunLook()
    waits_for_a_person: str = ""
    history: tuple[ArbitrageEvent, ...] = ()
