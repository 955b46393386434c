"""What our holding does to quotes: long leans both sides down, and each side has room to the cap.

Everything is integers, exact: a holding against its cap is a fraction `lean / whole`.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from desk.instrument import Instrument
from desk.quoting.parameters import QuoteParameters, QuoteStyle
from desk.units import Lots


@dataclass(frozen=True, slots=True, kw_only=True)
class Notional:
    """An amount of quote currency, to be had in lots at a price: `over / (under * price_x2)`."""

    over: int
    under: int

    @classmethod
    def of(cls, amount: Decimal, instrument: Instrument) -> "Notional":
        """The amount as a fraction of the value of one lot at one half tick."""
        half_tick_lot = Fraction(instrument.notional(1, 1)) / 2
        fraction = Fraction(amount) / half_tick_lot
        return cls(over=fraction.numerator, under=fraction.denominator)

    def lots(self, price_x2: int) -> Lots:
        """Whole lots the amount buys at a price in half ticks (above zero), rounded down."""
        return self.over // (self.under * price_x2)


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryRule:
    """Skew and room of one market against its inventory cap, valued at the mid.

    Beyond the cap (the mid moved, or a position was taken over) the skew stays what it is at the
    cap: quotes lean, they do not run away. `calm` is the share of the cap up to which nothing is
    moved, in units of `cap.over`.
    """

    cap: Notional
    strength: int
    whole: int
    calm: int

    @classmethod
    def prepare(cls, parameters: QuoteParameters, instrument: Instrument) -> "InventoryRule":
        """`strength / whole` is the skew at the cap over the cap.

        It is a fraction of the spread, in the imbalance style of the price.
        """
        cap = Notional.of(parameters.inventory_cap, instrument)
        of_price = parameters.style is QuoteStyle.IMBALANCE
        skew = Fraction(parameters.skew_factor if of_price else parameters.skew)
        calm = Fraction(parameters.skew_dead_band if of_price else 0)
        return cls(
            cap=cap,
            strength=skew.numerator,
            whole=skew.denominator * cap.over,
            calm=int(calm * cap.over),
        )

    def lean(self, inventory: Lots, mid_x2: int) -> int:
        """Skew as `lean / whole`: above zero when long, which lowers both sides."""
        cap = self.cap
        share = inventory * mid_x2 * cap.under
        if abs(share) <= self.calm:
            return 0
        return self.strength * max(-cap.over, min(cap.over, share))

    def room(self, inventory: Lots, mid_x2: int) -> tuple[Lots, Lots]:
        """Lots that may be bought and sold before the holding passes its cap on that side."""
        cap = self.cap.lots(mid_x2)
        return max(0, cap - inventory), max(0, cap + inventory)
