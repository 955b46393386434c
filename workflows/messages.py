"""What people and programs say to a market's workflow, and what it answers.

One JSON value each; unknown fields are refused, decimals are strings, only the market is required.
"""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from desk.identity import MarketId
from desk.lifecycle import Command, MarketState, OnWorkerDeath, SessionReason
from desk.quoting.parameters import QuoteParameters, QuoteStyle, Sizing
from desk.risk.limits import RiskLimits
from quoting.progress import SessionProgress


def _no_float(value: object) -> object:
    if isinstance(value, float):
        raise ValueError(f'{value} is a binary fraction; write it as a string, like "{value}"')  # noqa: TRY004
    return value


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Money = Annotated[Decimal, BeforeValidator(_no_float)]
Tiers = Annotated[tuple[Money, ...], BeforeValidator(_split)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]


class Message(BaseModel):
    """Frozen, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def not_positive(message: Message, *names: str) -> list[str]:
    """A sentence for each of these fields that is not above zero."""
    return [
        f"{name}: {value} is not above zero; give a positive number"
        for name in names
        if (value := getattr(message, name)) <= 0
    ]


class AboutMarket(Message):
    """A form that names one market."""

    venue: Name
    symbol: Name
    account: Name = "main"
    fleet: Name = "main"

    @property
    def market(self) -> MarketId:
        """The market this is about."""
        return MarketId(self.venue, self.account, self.symbol)


class ParameterChange(Message):
    """New values for some parameters and limits; what is left out stays as it is."""

    style: QuoteStyle | None = None
    levels: int | None = None
    sizing: Sizing | None = None
    level_notional: Money | None = None
    level_percent: Money | None = None
    level_tiers: Tiers | None = None
    level_spacing_bps: Money | None = None
    offset_divisor: int | None = None
    spread_bps: Money | None = None
    min_spread_bps: Money | None = None
    max_spread_bps: Money | None = None
    imbalance_levels: int | None = None
    min_book_levels: int | None = None
    max_book_spread_bps: Money | None = None
    skew: Money | None = None
    skew_factor: Money | None = None
    skew_dead_band: Money | None = None
    inventory_cap: Money | None = None
    requote_tolerance_bps: Money | None = None
    debounce_ms: int | None = None
    by: str = "operator"

    def applied_to(self, parameters: QuoteParameters) -> QuoteParameters:
        """The next version of the parameters; ValueError naming what contradicts what."""
        values = {name: getattr(parameters, name) for name in QuoteParameters.__dataclass_fields__}
        values.update(self.model_dump(exclude_none=True, exclude={"by"}))
        changed = QuoteParameters(**{**values, "version": parameters.version + 1})
        if problems := changed.problems():
            raise ValueError("; ".join(problems))
        return changed


class StateChange(Message):
    """One step of a market's life. `at` is ISO-8601, UTC."""

    state: MarketState
    at: str
    reason: str


class FlattenStep(Message):
    """One order of a flatten, signed lots."""

    step: int
    before: int
    after: int
    outcome: str
    phase: str = ""


class CarriedState(Message):
    """What one run hands to the next at continue-as-new. Not for people."""

    state: MarketState
    life_epoch: int
    parameters: QuoteParameters
    sessions: int = 0
    holds: int = 0
    command: Command = Command.NONE
    reason: str = ""
    by: str = ""
    cycles: int = 0
    requotes: int = 0
    fills: int = 0
    exit_steps: int = 0
    sigma_bps: Decimal | None = None
    usual_latency_ms: Decimal | None = None
    held_for: SessionReason | None = None
    troubles_ms: tuple[int, ...] = ()
    latched: str = ""
    by_name: bool = False
    uncleared: bool = False
    exit_abandoned: bool = False
    history: tuple[StateChange, ...] = ()
    flatten_steps: tuple[FlattenStep, ...] = ()


class StartMarket(AboutMarket):
    """Input of MarketWorkflow: `{"venue": "ocx", "symbol": "BTC-PERP"}` is enough."""

    style: QuoteStyle = QuoteParameters().style
    levels: int = QuoteParameters().levels
    sizing: Sizing = QuoteParameters().sizing
    level_notional: Money = QuoteParameters().level_notional
    level_percent: Money = QuoteParameters().level_percent
    level_tiers: Tiers = QuoteParameters().level_tiers
    level_spacing_bps: Money = QuoteParameters().level_spacing_bps
    offset_divisor: int = QuoteParameters().offset_divisor
    spread_bps: Money | None = None
    min_spread_bps: Money = QuoteParameters().min_spread_bps
    max_spread_bps: Money = QuoteParameters().max_spread_bps
    imbalance_levels: int = QuoteParameters().imbalance_levels
    min_book_levels: int = QuoteParameters().min_book_levels
    max_book_spread_bps: Money = QuoteParameters().max_book_spread_bps
    skew: Money = QuoteParameters().skew
    skew_factor: Money = QuoteParameters().skew_factor
    skew_dead_band: Money = QuoteParameters().skew_dead_band
    inventory_cap: Money = QuoteParameters().inventory_cap
    requote_tolerance_bps: Money = QuoteParameters().requote_tolerance_bps
    debounce_ms: int = QuoteParameters().debounce_ms
    max_order_notional: Money = RiskLimits().max_order_notional
    max_order_quantity: Money | None = None
    max_position: Money = RiskLimits().max_position
    collar_bps: Money = RiskLimits().collar_bps
    max_book_age_ms: int = RiskLimits().max_book_age_ms
    max_account_age_ms: int = RiskLimits().max_account_age_ms
    max_orders_per_minute: int = RiskLimits().max_orders_per_minute
    max_drawdown: Money = RiskLimits().max_drawdown
    max_daily_loss: Money | None = None
    soft_daily_loss: Money | None = None
    max_clock_offset_ms: int = RiskLimits().max_clock_offset_ms
    reconcile_every_ms: int = RiskLimits().reconcile_every_ms
    min_margin_fraction: Money | None = None
    min_free_collateral: Money | None = None
    max_market_exposure: Money | None = None
    max_total_exposure: Money | None = None
    max_funds_age_ms: int = RiskLimits().max_funds_age_ms
    shrink_below_margin: Money | None = None
    reduce_below_margin: Money | None = None
    alarm_below_margin: Money | None = None
    alarm_above_maintenance: Money | None = RiskLimits().alarm_above_maintenance
    max_errors: int = RiskLimits().max_errors
    error_window_ms: int = RiskLimits().error_window_ms
    max_fill_burst: Money | None = None
    fill_burst_ms: int = RiskLimits().fill_burst_ms
    fill_freeze_ms: Annotated[int, Field(ge=1_000, le=86_400_000)] = 60_000
    fill_reset_by_hand: bool = False
    latency_floor_ms: int = RiskLimits().latency_floor_ms
    latency_patience_ms: int = RiskLimits().latency_patience_ms
    max_restarts: Annotated[int, Field(ge=1, le=1_000)] = 20
    restart_window_s: Annotated[int, Field(ge=10, le=86_400)] = 1_800
    on_worker_death: OnWorkerDeath = OnWorkerDeath.RESUME
    flatten_on_stop: bool = False
    flatten_slices: Annotated[int, Field(ge=1, le=50)] = 5
    flatten_interval_s: Annotated[int, Field(ge=1, le=600)] = 1
    flatten_slippage_bps: Money = Decimal(100)
    flatten_fast_slippage_bps: Money = Decimal(200)
    flatten_maker_s: Annotated[int, Field(ge=0, le=600)] = 0
    flatten_deadline_s: Annotated[int, Field(ge=0, le=86_400)] = 300
    window_s: Annotated[int, Field(ge=5, le=3600)] = 600
    carried: CarriedState | None = None

    @model_validator(mode="after")
    def _sound(self) -> "StartMarket":
        problems = list(self.parameters.problems()) + list(self.limits.problems())
        problems += not_positive(self, "flatten_slippage_bps", "flatten_fast_slippage_bps")
        if self.inventory_cap > self.max_position:
            problems.append(
                f"inventory_cap: {self.inventory_cap} exceeds max_position {self.max_position}; "
                "lower inventory_cap or raise max_position"
            )
        largest = max(self.parameters.level_worths, default=Decimal(0))
        if largest > self.max_order_notional:
            problems.append(
                f"{self.parameters.size_field}: {largest} exceeds max_order_notional "
                f"{self.max_order_notional}; lower the one or raise the other"
            )
        if self.parameters.least_reach_bps >= self.collar_bps > 0:
            problems.append(
                f"levels: the outermost is {self.parameters.least_reach_bps:.1f} bps or more "
                f"from the mid, not within collar_bps {self.collar_bps}; lower levels, raise "
                "offset_divisor or raise collar_bps"
            )
        if self.parameters.most_reach_bps >= self.collar_bps > 0:
            problems.append(
                f"max_spread_bps: the outermost level can be {self.parameters.most_reach_bps:.1f} "
                f"bps from the mid, not within collar_bps {self.collar_bps}; lower max_spread_bps "
                "or levels, or raise collar_bps"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def parameters(self) -> QuoteParameters:
        """The quote parameters of the form."""
        return QuoteParameters(
            style=self.style,
            levels=self.levels,
            sizing=self.sizing,
            level_notional=self.level_notional,
            level_percent=self.level_percent,
            level_tiers=self.level_tiers,
            level_spacing_bps=self.level_spacing_bps,
            offset_divisor=self.offset_divisor,
            spread_bps=self.spread_bps,
            min_spread_bps=self.min_spread_bps,
            max_spread_bps=self.max_spread_bps,
            imbalance_levels=self.imbalance_levels,
            min_book_levels=self.min_book_levels,
            max_book_spread_bps=self.max_book_spread_bps,
            skew=self.skew,
            skew_factor=self.skew_factor,
            skew_dead_band=self.skew_dead_band,
            inventory_cap=self.inventory_cap,
            requote_tolerance_bps=self.requote_tolerance_bps,
            debounce_ms=self.debounce_ms,
        )

    @property
    def limits(self) -> RiskLimits:
        """The hard caps of the form."""
        return RiskLimits(
            max_order_notional=self.max_order_notional,
            max_order_quantity=self.max_order_quantity,
            max_position=self.max_position,
            collar_bps=self.collar_bps,
            max_book_age_ms=self.max_book_age_ms,
            max_account_age_ms=self.max_account_age_ms,
            max_orders_per_minute=self.max_orders_per_minute,
            max_drawdown=self.max_drawdown,
            max_daily_loss=self.max_daily_loss,
            soft_daily_loss=self.soft_daily_loss,
            max_clock_offset_ms=self.max_clock_offset_ms,
            reconcile_every_ms=self.reconcile_every_ms,
            min_margin_fraction=self.min_margin_fraction,
            min_free_collateral=self.min_free_collateral,
            max_market_exposure=self.max_market_exposure,
            max_total_exposure=self.max_total_exposure,
            max_funds_age_ms=self.max_funds_age_ms,
            shrink_below_margin=self.shrink_below_margin,
            reduce_below_margin=self.reduce_below_margin,
            alarm_below_margin=self.alarm_below_margin,
            alarm_above_maintenance=self.alarm_above_maintenance,
            max_errors=self.max_errors,
            error_window_ms=self.error_window_ms,
            max_fill_burst=self.max_fill_burst,
            fill_burst_ms=self.fill_burst_ms,
            latency_floor_ms=self.latency_floor_ms,
            latency_patience_ms=self.latency_patience_ms,
        )


class Request(Message):
    """A person's request: who asks, and why."""

    reason: str = "asked by the operator"
    by: str = "operator"


class StopMarket(Request):
    """Stand down; with `flatten` the position is traded to zero first (null: as started).

    A flatten that was begun or asked for goes on, unless `flatten` is false without `keep_exit`,
    which is for kills.
    """

    flatten: bool | None = None
    keep_exit: bool = False


class FinalFacts(Message):
    """What was verified when a market stood down; positions in signed lots."""

    venue_open_orders: int
    venue_position: int
    ledger_position: int
    venue_fills: int
    ledger_fills: int
    ledger_equals_venue: bool
    difference: str = ""
    pnl: Money | None = None


class MarketStatus(Message):
    """Answer to the `status` query."""

    market: str
    state: MarketState
    reason: str
    epoch: int | None
    sessions: int
    parameters: QuoteParameters
    cycles: int
    requotes: int
    fills: int
    troubles: int = 0
    waits_for_a_person: str = ""
    progress: SessionProgress | None = None
    history: tuple[StateChange, ...]
    flatten_steps: tuple[FlattenStep, ...]


class MarketResult(Message):
    """Result of MarketWorkflow: how the life ended and what was verified."""

    market: str
    reason: str
    states: tuple[StateChange, ...]
    flatten_steps: tuple[FlattenStep, ...]
    sessions: int
    cycles: int
    requotes: int
    fills: int
    final: FinalFacts
    progress: SessionProgress | None = None
