"""Walking the depth of books: how much all legs take at once, and at which price that ends.

Integers throughout: ticks and lots, and one common unit of money in which the legs are summed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from desk.book import Book
from desk.instrument import Instrument
from desk.units import Level, Lots, Side, Ticks

Ladder: TypeAlias = Sequence[Level]
Fits: TypeAlias = Callable[[int], bool]
_ONE = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Lots taken from a ladder, best first.

    `worst` is the last price touched, `worth` the sum of ticks times lots, `shown` the lots
    displayed down to that price.
    """

    lots: Lots
    worst: Ticks
    worth: int
    shown: Lots


def ladder(book: Book, instrument: Instrument, side: Side, depth: int) -> Ladder:
    """What an order of this side could take, best first, inside the venue's price band."""
    found = book.levels(side.opposite, depth)
    low, high = instrument.band_low, instrument.band_high
    if side is Side.BUY:
        return found if high is None else [one for one in found if one[0] <= high]
    return found if low is None else [one for one in found if one[0] >= low]


def take(levels: Ladder, lots: Lots) -> Taken:
    """What so many lots touch; fewer, where the ladder has not so many."""
    left, worth, shown, worst = lots, 0, 0, 0
    for price, there in levels:
        if left <= 0:
            break
        part = min(left, there)
        worth += price * part
        shown += there
        worst = price
        left -= part
    return Taken(lots=lots - left, worst=worst, worth=worth, shown=shown)


def limit_price(worst: Ticks, side: Side, slippage: Decimal, instrument: Instrument) -> Ticks:
    """How far an order may go: the price walked to and the budget, never beyond the band.

    Rounded towards the market, so that never more than the budget is spent.
    """
    price = instrument.price(worst) * (_ONE + side.sign * slippage)
    far = instrument.price_ticks(price, side)
    if side is Side.BUY:
        return far if instrument.band_high is None else min(far, instrument.band_high)
    return far if instrument.band_low is None else max(far, instrument.band_low)


def absorbed(
    ladders: Sequence[Ladder],
    lots_per_step: Sequence[Lots],
    weights: Sequence[int],
    worth: int,
    most: int,
) -> int:
    """How many steps all ladders take at once while the last of them still pays, up to `most`.

    A step is `lots_per_step` of every leg. It pays while `worth` less the sum of price times
    weight, at the prices where it ends, is not negative. Ladders have at least one level.
    """
    places = [0] * len(ladders)
    shown = [levels[0][1] for levels in ladders]
    margin = worth - sum(w * levels[0][0] for w, levels in zip(weights, ladders, strict=True))
    steps = 0
    while margin >= 0:
        rooms = [have // need for have, need in zip(shown, lots_per_step, strict=True)]
        steps = min(most, max(steps, min(rooms)))
        if steps == most:
            break
        for index, room in enumerate(rooms):
            if room > steps:
                continue
            levels, place = ladders[index], places[index]
            if place + 1 == len(levels):
                return steps
            margin -= weights[index] * (levels[place + 1][0] - levels[place][0])
            shown[index] += levels[place + 1][1]
            places[index] = place + 1
    return steps


def largest(most: int, fits: Fits) -> int:
    """The largest of 0 to `most` that fits, where everything below one that fits does too."""
    if most <= 0 or fits(most):
        return max(most, 0)
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
