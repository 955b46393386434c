"""When a hedge is owed, how much of it, and the next order towards it: pure, in whole lots.

The one rule: an order either only reduces the hedge market's position or only adds to it.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from desk.instrument import Instrument
from desk.units import Lots, Ticks


class HedgeState(StrEnum):
    """What a hedge is doing."""

    STARTING = "starting"
    WATCHING = "watching"
    OWING = "owing"
    BLOCKED = "blocked"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeRule:
    """When a hedge is owed; `threshold` and `release` are unsigned base units of the source market.

    From `threshold` on, `ratio` base units of the hedge market stand against each one of the
    source. At `release` or below, no hedge is wanted. Between the two a hedge may only shrink, and
    a hedge that stands is not touched for less than the band between the two.
    """

    threshold: Decimal
    release: Decimal
    ratio: Decimal = Decimal(1)

    def problems(self) -> tuple[str, ...]:
        """Contradictions, each a sentence naming the field and the remedy; empty when sound."""
        found = []
        if self.threshold <= 0:
            found.append(f"threshold: {self.threshold} is not above zero; give base units")
        if not 0 <= self.release < self.threshold:
            found.append(
                f"release: {self.release} is not from zero to below threshold {self.threshold}; "
                "give the inventory at which the hedge is taken off"
            )
        if self.ratio <= 0:
            found.append(f"ratio: {self.ratio} is not above zero; give 1 for an equal hedge")
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeNeed:
    """Signed lots of the hedge market: the position wanted next, and what is owed towards it.

    `waived` is what is left of a waiver. `reason` is a sentence for people.
    """

    target: Lots
    owed: Lots
    waived: Lots
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgePart:
    """One order towards the target, signed lots."""

    lots: Lots
    reduce_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeReceipt:
    """What the venue said was filled of an order: signed lots, from signed `position` on."""

    position: Lots
    filled: Lots

    def shown_at(self, position: Lots) -> bool:
        """Whether a ledger at this position holds at least what was filled."""
        moved = position - self.position
        return moved >= self.filled if self.filled > 0 else moved <= self.filled

    def sentence(self, position: Lots) -> str:
        """For people, about a position that does not show it."""
        return (
            f"the venue said that {self.filled} lots were filled from {self.position} on, "
            f"but the books show a position of {position}; nothing is sent until they show it"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TooSmall:
    """What is owed cannot be sent yet: lots that are there, and lots the venue takes at least."""

    lots: Lots
    least: Lots

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"{self.lots} lots are below the venue's minimum of {self.least}; nothing is sent yet"
        )


def weigh(
    rule: HedgeRule,
    instrument: Instrument,
    source: Decimal,
    position: Lots,
    *,
    owing: bool,
    waived: Lots = 0,
) -> HedgeNeed:
    """What is owed, given the source's signed inventory and the hedge market's signed position.

    `owing`: an obligation is open, which is worked off to the last lot; without one, changes
    smaller than the band are let be. `waived` signed lots are not owed, by somebody's decision;
    a waiver shrinks with the need, never grows again, and ends at the release level.
    """
    full = -instrument.lots(source * rule.ratio)
    size = abs(source)
    released = size <= rule.release
    if size >= rule.threshold:
        wanted, reason = full, f"inventory {source:f} is at or over threshold {rule.threshold:f}"
    elif released:
        wanted, reason = 0, f"inventory {source:f} is within release {rule.release:f}"
    else:
        wanted = _between(position, full)
        reason = f"inventory {source:f} is between release and threshold"
    gap = wanted - position
    kept = 0 if released else _between(waived, gap)
    owed = gap - kept
    band = instrument.lots((rule.threshold - rule.release) * rule.ratio)
    if not owing and not released and abs(owed) < band:
        owed = 0
    return HedgeNeed(target=position + owed, owed=owed, waived=kept, reason=reason)


def next_part(
    instrument: Instrument,
    *,
    position: Lots,
    owed: Lots,
    price: Ticks,
    slice_notional: Decimal,
) -> HedgePart | TooSmall:
    """The next order for `owed` signed lots (not zero), about `slice_notional` quote currency.

    What would pass through zero is split there. No part leaves a rest below the minimum, which
    makes an order larger than a slice by less than the minimum; only what closes a position may
    itself be below it, since most venues take that. `price` is the order's.
    """
    sign = 1 if owed > 0 else -1
    reducing = position * owed < 0
    whole = min(abs(owed), abs(position)) if reducing else abs(owed)
    least = least_lots(instrument, price)
    closing = reducing and whole == abs(position)
    if whole < least and not closing:
        return TooSmall(lots=sign * whole, least=least)
    lots = min(whole, max(least, _worth_lots(instrument, slice_notional, price)))
    if whole - lots < least:
        lots = whole
    return HedgePart(lots=sign * lots, reduce_only=reducing)


def least_lots(instrument: Instrument, price: Ticks) -> Lots:
    """Fewest lots the venue takes at a price, for an order that does not close a position."""
    worth = Fraction(instrument.notional(price, 1))
    by_worth = -(-Fraction(instrument.min_notional) // worth) if worth > 0 else 1
    return max(1, instrument.min_lots, by_worth)


def _worth_lots(instrument: Instrument, notional: Decimal, price: Ticks) -> Lots:
    worth = Fraction(instrument.notional(price, 1))
    return Fraction(notional) // worth if worth > 0 else 0


def _between(value: Lots, bound: Lots) -> Lots:
    """The value nearest to `value` between zero and `bound`."""
    return max(min(0, bound), min(value, max(0, bound)))
