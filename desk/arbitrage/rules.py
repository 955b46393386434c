"""When a set is worth taking, and how much of it may be: costs, guards and caps."""

from dataclasses import dataclass
from decimal import Decimal

from desk.flattening import Regime
from desk.units import BPS

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArbitrageRules:
    """Settings of one set. Amounts are quote currency of an outcome set, `start` of a triangle.

    `max_units` are base units of each outcome, or the start currency spent in one round. The caps
    have no default: somebody has to say them. `min_edge` is per unit, after all costs with the
    slippage budget spent. The budget is basis points from the price walked to, by regime; what
    must be traded back is counted with the larger one. `settlement_cost` is what the payout of one
    unit costs. `max_age_ms` is since a leg's book last changed, `max_skew_ms` between the first
    and the last word heard of the legs. `depth` levels of a book are looked at.
    """

    max_units: Decimal
    max_capital: Decimal
    max_exposure: Decimal
    min_edge: Decimal = Decimal("0.005")
    slippage_bps: Decimal = Decimal(20)
    fast_slippage_bps: Decimal = Decimal(50)
    settlement_cost: Decimal = _ZERO
    max_age_ms: int = 5_000
    max_skew_ms: int = 500
    depth: int = 20

    def slippage(self, regime: Regime) -> Decimal:
        """Share of the price an order may go beyond what was walked to."""
        return (self.worst_bps if regime is Regime.FAST else self.slippage_bps) / BPS

    @property
    def worst_bps(self) -> Decimal:
        """The larger of the two budgets."""
        return max(self.slippage_bps, self.fast_slippage_bps)

    def problems(self) -> tuple[str, ...]:
        """Contradictions, each a sentence naming the field and the remedy; empty when sound."""
        found = [
            f"{name}: {value} is not above zero; give what may be used at most"
            for name, value in (
                ("max_units", self.max_units),
                ("max_capital", self.max_capital),
                ("max_exposure", self.max_exposure),
                ("max_age_ms", self.max_age_ms),
                ("max_skew_ms", self.max_skew_ms),
                ("depth", self.depth),
            )
            if not (Decimal(value).is_finite() and value > 0)
        ]
        found.extend(
            f"{name}: {value} is not from zero to below 10000; give basis points"
            for name, value in (
                ("slippage_bps", self.slippage_bps),
                ("fast_slippage_bps", self.fast_slippage_bps),
            )
            if not (value.is_finite() and 0 <= value < BPS)
        )
        if not (self.settlement_cost.is_finite() and 0 <= self.settlement_cost < 1):
            found.append(
                f"settlement_cost: {self.settlement_cost} is not from zero to below one; "
                "give what the payout of one unit costs"
            )
        if not (self.min_edge.is_finite() and 0 <= self.min_edge < 1):
            found.append(
                f"min_edge: {self.min_edge} is not from zero to below one; "
                "give what one unit must bring at least"
            )
        return tuple(found)
