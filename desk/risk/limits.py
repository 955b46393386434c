"""Hard caps of one market. They live in the order path; nothing in a workflow can pass them."""

from dataclasses import dataclass
from decimal import Decimal

_FUNDS = (
    "min_margin_fraction",
    "min_free_collateral",
    "max_market_exposure",
    "max_total_exposure",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """Limits the gate holds every batch to. Money is quote currency, ages are milliseconds.

    `max_position` bounds the position as if everything open and in flight on one side filled.
    `collar_bps` is the farthest a price may be from the mid. `max_drawdown` is the fall of the
    market's PnL below its peak that ends quoting. `reconcile_every_ms` is how often what rests is
    compared with what the venue lists.

    Limits on the account's funds are off while None. `min_margin_fraction` is equity over the worth
    of all positions, the two `max_…_exposure` are shares of equity, `min_free_collateral` is quote
    currency.
    """

    max_order_notional: Decimal = Decimal(5_000)
    max_order_quantity: Decimal | None = None
    max_position: Decimal = Decimal(10_000)
    collar_bps: Decimal = Decimal(500)
    max_book_age_ms: int = 5_000
    max_account_age_ms: int = 40_000
    max_orders_per_minute: int = 1_200
    max_drawdown: Decimal = Decimal(100)
    max_clock_offset_ms: int = 2_000
    reconcile_every_ms: int = 15_000
    min_margin_fraction: Decimal | None = None
    min_free_collateral: Decimal | None = None
    max_market_exposure: Decimal | None = None
    max_total_exposure: Decimal | None = None
    max_funds_age_ms: int = 15_000

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
            )
            if getattr(self, name) <= 0
        ]
        if self.max_order_quantity is not None and self.max_order_quantity <= 0:
            found.append(
                f"max_order_quantity: {self.max_order_quantity} is not above zero; "
                "give a positive limit or leave it out"
            )
        found.extend(
            f"{name}: {value} is negative; give zero or more, or leave it out"
            for name in _FUNDS
            if (value := getattr(self, name)) is not None and value < 0
        )
        return tuple(found)

    @property
    def needs_funds(self) -> bool:
        """Whether any limit asks for the account's funds."""
        return any(getattr(self, name) is not None for name in _FUNDS)
