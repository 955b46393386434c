"""What the currencies of a triangle are worth in the one it starts from, by its own books."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from desk.arbitrage.freshness import LegBook
from desk.arbitrage.sets import Triangle
from desk.instrument import Instrument


def decimal(value: Fraction) -> Decimal:
    """For telling, and for amounts that are estimates: rounded only where it does not end."""
    return Decimal(value.numerator) / value.denominator


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """Start currency for one unit: what it brings (`low`) and what it costs (`high`)."""

    low: Fraction
    high: Fraction

    @property
    def middle(self) -> Fraction:
        """Halfway between the two."""
        return (self.low + self.high) / 2


def values_in_start(triangle: Triangle, books: Sequence[LegBook]) -> dict[str, Worth]:
    """Each currency's worth; one whose pair with the start lacks a side is left out."""
    one = Fraction(1)
    found = {triangle.start: Worth(low=one, high=one)}
    for leg, seen in zip(triangle.legs, books, strict=True):
        worth = _against(leg.instrument, triangle.start, seen)
        if worth is not None:
            found[worth[0]] = worth[1]
    return found


def _against(instrument: Instrument, start: str, seen: LegBook) -> tuple[str, Worth] | None:
    bid, ask = seen.book.best_bid, seen.book.best_ask
    if start not in {instrument.base, instrument.quote} or bid is None or ask is None:
        return None
    tick = Fraction(instrument.tick_size)
    if instrument.quote == start:
        return instrument.base, Worth(low=tick * bid, high=tick * ask)
    return instrument.quote, Worth(low=1 / (tick * ask), high=1 / (tick * bid))
