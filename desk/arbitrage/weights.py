"""An outcome set's prices and costs in one integer unit, so that its edge is a sum, and exact.

`edge = 1 - sum(ask) - round_trip_cost` becomes `worth - sum(weight * ticks)`: the weight of a leg
holds its tick size, its fee and the slippage budget.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import lcm

from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage.sets import OutcomeSet
from desk.arbitrage.values import decimal
from desk.flattening import Regime
from desk.instrument import Instrument
from desk.units import BPS, Lots, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Of one unit, in parts of `scale` to one quote unit.

    For a side, what is left of it is `worth - sum(weight * ticks)`: buying costs positive weights
    of a positive worth, selling earns negative weights against a negative one. `least` is the
    smallest edge worth taking.
    """

    scale: int
    worth: int
    per_tick: tuple[int, ...]
    least: int

    @classmethod
    def of(
        cls, outcomes: OutcomeSet, rules: ArbitrageRules, regime: Regime, side: Side
    ) -> "Weights":
        """Buying takes the set, selling unwinds it.

        A set sold early saves what its payout would have cost.
        """
        slippage = rules.slippage(regime)
        worth = 1 - Fraction(rules.settlement_cost)
        ticks = [_per_tick(leg.instrument, slippage, side) for leg in outcomes.legs]
        least = Fraction(rules.min_edge)
        scale = lcm(*(one.denominator for one in (worth, least, *ticks)))
        return cls(
            scale=scale,
            worth=int(worth * scale) * side.sign,
            per_tick=tuple(int(one * scale) * side.sign for one in ticks),
            least=int(least * scale),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The smallest amount that is whole lots on every leg: base units, and lots of each leg."""

    units: Fraction
    lots: tuple[Lots, ...]

    @classmethod
    def of(cls, outcomes: OutcomeSet) -> "Steps":
        """Least common multiple of the lot sizes."""
        sizes = [Fraction(leg.instrument.lot_size) for leg in outcomes.legs]
        whole = lcm(*(size.denominator for size in sizes))
        units = Fraction(lcm(*(int(size * whole) for size in sizes)), whole)
        return cls(units=units, lots=tuple(int(units / size) for size in sizes))

    def quantity(self, steps: int) -> Decimal:
        """Base units of so many steps."""
        return decimal(self.units * steps)


def _per_tick(instrument: Instrument, slippage: Decimal, side: Side) -> Fraction:
    """Quote currency one tick of one base unit costs or earns, at the worst price taken."""
    fee = Fraction(instrument.taker_fee_bps / BPS)
    factor = (1 + side.sign * Fraction(slippage)) * (1 + side.sign * fee)
    return Fraction(instrument.tick_size) * factor
