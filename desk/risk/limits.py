"""Hard caps of one market. They live in the order path; nothing in a workflow can pass them."""

from dataclasses import dataclass
from decimal import Decimal

from desk.daily_loss import MARKET_NAMES, DayLimits
from desk.risk.headroom import HeadroomLimits

_FUNDS = (
    "min_margin_fraction",
    "min_free_collateral",
    "max_market_exposure",
    "max_total_exposure",
    "shrink_below_margin",
    "reduce_below_margin",
    "alarm_below_margin",
    "alarm_above_maintenance",
)
# An alarm refuses nothing, so it needs no fresh figure.
_ALARMS = frozenset({"alarm_below_margin", "alarm_above_maintenance"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """Limits the gate holds every batch to. Money is quote currency, ages are milliseconds.

    `max_position` bounds the position as if everything open and in flight on one side filled.
    `collar_bps` is the farthest a price may be from the mid. `max_drawdown` is the fall of the
    market's PnL below its peak that ends quoting. `reconcile_every_ms` is how often what rests is
    compared with what the venue lists.

    `max_daily_loss` (flatten, and refuse to start until the next trading day) and `soft_daily_loss`
    (no new risk until then) are falls of PnL below where the day began; off while None.

    Triggers: `max_errors` failed requests within `error_window_ms` end the session. More than
    `max_fill_burst` filled within `fill_burst_ms` freezes the market (None: twice `max_position`,
    the whole way from one limit to the other). Round trips under `latency_floor_ms` are never slow;
    twice the usual for longer than `latency_patience_ms` ends the session.

    Limits on the account's funds are off while None. `min_margin_fraction` is equity over the worth
    of all positions, the two `max_…_exposure` are shares of equity, `min_free_collateral` is quote
    currency. Where that fraction is below `shrink_below_margin` sizes that add risk shrink, to none
    at `reduce_below_margin`; the alarms call a person and change nothing (`desk/risk/headroom.py`).
    """

    max_order_notional: Decimal = Decimal(5_000)
    max_order_quantity: Decimal | None = None
    max_position: Decimal = Decimal(10_000)
    collar_bps: Decimal = Decimal(500)
    max_book_age_ms: int = 5_000
    max_account_age_ms: int = 40_000
    max_orders_per_minute: int = 1_200
    max_drawdown: Decimal = Decimal(100)
    max_daily_loss: Decimal | None = None
    soft_daily_loss: Decimal | None = None
    max_clock_offset_ms: int = 2_000
    reconcile_every_ms: int = 15_000
    min_margin_fraction: Decimal | None = None
    min_free_collateral: Decimal | None = None
    max_market_exposure: Decimal | None = None
    max_total_exposure: Decimal | None = None
    max_funds_age_ms: int = 15_000
    shrink_below_margin: Decimal | None = None
    reduce_below_margin: Decimal | None = None
    alarm_below_margin: Decimal | None = None
    alarm_above_maintenance: Decimal | None = Decimal("0.8")
    max_errors: int = 10
    error_window_ms: int = 60_000
    max_fill_burst: Decimal | None = None
    fill_burst_ms: int = 10_000
    latency_floor_ms: int = 100
    latency_patience_ms: int = 60_000

    def problems(self) -> tuple[str, ...]:
        """Contradictions, each a sentence naming the field and the remedy; empty when sound."""
        found = [
            f"{name}: {getattr(self, name)} is not above zero; give a positive limit"
            for name in (
                "max_order_notional",
                "max_position",
                "collar_bps",
                "max_book_age_ms",
                "max_account_age_ms",
                "max_orders_per_minute",
                "max_drawdown",
                "max_clock_offset_ms",
                "reconcile_every_ms",
                "max_funds_age_ms",
                "max_errors",
                "error_window_ms",
                "fill_burst_ms",
                "latency_floor_ms",
                "latency_patience_ms",
            )
            if getattr(self, name) <= 0
        ]
        if self.max_order_quantity is not None and self.max_order_quantity <= 0:
            found.append(
                f"max_order_quantity: {self.max_order_quantity} is not above zero; "
                "give a positive limit or leave it out"
            )
        if self.max_fill_burst is not None and self.max_fill_burst <= 0:
            found.append(
                f"max_fill_burst: {self.max_fill_burst} is not above zero; give a positive limit, "
                "or leave it out for twice max_position"
            )
        found.extend(
            f"{name}: {value} is negative; give zero or more, or leave it out"
            for name in _FUNDS
            if (value := getattr(self, name)) is not None and value < 0
        )
        return (*found, *self.daily_loss.problems(MARKET_NAMES), *self.headroom.problems())

    @property
    def daily_loss(self) -> DayLimits:
        """What one trading day may lose."""
        return DayLimits(soft=self.soft_daily_loss, hard=self.max_daily_loss)

    @property
    def fill_burst(self) -> Decimal:
        """Quote currency that may be filled within `fill_burst_ms`."""
        return 2 * self.max_position if self.max_fill_burst is None else self.max_fill_burst

    @property
    def headroom(self) -> HeadroomLimits:
        """Where the account's margin makes quotes smaller, and calls a person."""
        return HeadroomLimits(
            shrink_below=self.shrink_below_margin,
            reduce_below=self.reduce_below_margin,
            alarm_below=self.alarm_below_margin,
            alarm_above_maintenance=self.alarm_above_maintenance,
        )

    @property
    def needs_funds(self) -> bool:
        """Whether any limit asks for the account's funds."""
        return any(getattr(self, name) is not None for name in _FUNDS if name not in _ALARMS)
