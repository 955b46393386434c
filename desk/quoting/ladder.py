"""One side of the quotes, level by level: sizes inside the room there is, nothing unacceptable.

Outer levels give way first: room is spent from the innermost level outward.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from desk.identity import Slot
from desk.instrument import Instrument
from desk.units import Level, Lots, Side, Ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLevel:
    """One order we would like to have resting."""

    slot: Slot
    price: Ticks
    lots: Lots


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRule:
    """What the venue accepts on one side of one market, in integers.

    `least_value` is the least notional in tick-lots (price in ticks times lots), `highest` None
    when prices have no upper limit. `slots` are the side's places, innermost first.
    """

    slots: tuple[Slot, ...]
    outward: int
    min_lots: Lots
    least_value: int
    lowest: Ticks
    highest: Ticks | None

    @classmethod
    def prepare(cls, side: Side, levels: int, instrument: Instrument) -> "SideRule":
        """Limits of an instrument; no price under one tick, no size under one lot."""
        return cls(
            slots=tuple(Slot(side, level) for level in range(levels)),
            outward=-side.sign,
            min_lots=max(1, instrument.min_lots),
            least_value=ceil(
                Fraction(instrument.min_notional) / Fraction(instrument.notional(1, 1))
            ),
            lowest=max(1, instrument.band_low or 1),
            highest=instrument.band_high,
        )

    def place(self, rungs: Iterable[Level], room: Lots, dropped: list[str]) -> list[TargetLevel]:
        """Levels at these places (innermost first), together no more than `room` lots.

        Each has its full size until the room ends; the level it ends in gets the rest. A level no
        further out than the one inside it, unacceptable to the venue or left without room is
        left out, and `dropped` gains a phrase that says so.
        """
        placed: list[TargetLevel] = []
        inner: Ticks | None = None
        for slot, (price, full) in zip(self.slots, rungs, strict=True):
            lots = min(full, room)
            if inner is not None and (price - inner) * self.outward <= 0:
                problem = "no further out than the level inside it"
            elif price < self.lowest or (self.highest is not None and price > self.highest):
                problem = "outside the price band"
            elif lots < self.min_lots or lots * price < self.least_value:
                problem = "no room under the inventory cap" if lots < full else "under minimum size"
            else:
                placed.append(TargetLevel(slot=slot, price=price, lots=lots))
                room -= lots
                inner = price
                continue
            dropped.append(f"{slot.side.value} {slot.level}: {problem}")
        return placed
