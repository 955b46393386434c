"""How a market is quoted. Versioned: a change is applied as a whole, at a cycle boundary."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteParameters:
    """Parameters of the quote model; `problems` says what contradicts what.

    `spread_bps` None means the production card's default, two maker fees plus one standard
    deviation of one-minute returns, never under `min_spread_bps`. `skew` is the fraction of the
    spread both sides move against the inventory when the inventory is at its cap (k of the card).
    `level_notional` and `inventory_cap` are quote currency; `level_spacing_bps` is the distance
    between levels. `requote_tolerance_bps`: a level is left alone while its target stays this
    near; `debounce_ms` is the least time between two requotes.
    """

    version: int = 1
    levels: int = 3
    level_notional: Decimal = Decimal(500)
    level_spacing_bps: Decimal = Decimal(2)
    spread_bps: Decimal | None = None
    min_spread_bps: Decimal = Decimal(1)
    skew: Decimal = Decimal("0.3")
    inventory_cap: Decimal = Decimal(5000)
    requote_tolerance_bps: Decimal = Decimal("0.5")
    debounce_ms: int = 500

    def problems(self) -> tuple[str, ...]:
        """Contradictions, each a sentence naming the field and the remedy; empty when sound."""
        found = [
            f"{name}: {getattr(self, name)} is not above zero; give quote currency"
            for name in ("level_notional", "inventory_cap")
            if getattr(self, name) <= 0
        ]
        if not 1 <= self.levels <= 20:
            found.append(f"levels: {self.levels} is outside 1 to 20; choose a number between")
        found.extend(
            f"{name}: {getattr(self, name)} is negative; give zero or more"
            for name in ("level_spacing_bps", "min_spread_bps", "requote_tolerance_bps", "skew")
            if getattr(self, name) < 0
        )
        if self.spread_bps is not None and self.spread_bps < self.min_spread_bps:
            found.append(
                f"spread_bps: {self.spread_bps} is below min_spread_bps {self.min_spread_bps}; "
                "raise the one or lower the other"
            )
        if self.skew > 1:
            found.append(f"skew: {self.skew} moves quotes by more than the spread; use 0 to 1")
        if self.level_notional > self.inventory_cap:
            found.append(
                f"level_notional: {self.level_notional} exceeds inventory_cap "
                f"{self.inventory_cap}; one fill would break the cap, lower level_notional"
            )
        if self.debounce_ms < 100:
            found.append(f"debounce_ms: {self.debounce_ms} is below 100; use 100 or more")
        return tuple(found)
