"""The imbalance style: the more one side of the book outweighs the other, the wider both quotes.

Prices are exact fractions until they are rounded once: bids down, asks up.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from desk.book import Book
from desk.instrument import Instrument
from desk.quoting.fitness import BookFitness
from desk.quoting.inventory import Notional
from desk.quoting.micro import MICRO_IN_ONE, micro_bps
from desk.quoting.parameters import QuoteParameters
from desk.quoting.rungs import Rungs, kept_apart
from desk.quoting.sizes import level_sizes, sized
from desk.quoting.view import Depth, View
from desk.units import Lots, Side, Ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class ImbalanceRule:
    """Spread of one market between `least` and `least + extra`, in micro-bps of the fair value.

    `summed` is how many of the best levels a side are weighed against each other.
    """

    least: int
    extra: int
    summed: int
    sizes: tuple[Notional, ...]
    fitness: BookFitness

    @classmethod
    def prepare(cls, parameters: QuoteParameters, instrument: Instrument) -> "ImbalanceRule":
        """Sizes are worth what the sizing says at their own price."""
        least = micro_bps(parameters.min_spread_bps)
        return cls(
            least=least,
            extra=micro_bps(parameters.max_spread_bps) - least,
            summed=parameters.imbalance_levels,
            sizes=level_sizes(parameters, instrument),
            fitness=BookFitness.prepare(parameters),
        )

    def depth(
        self, book: Book, own_bids: Mapping[Ticks, Lots], own_asks: Mapping[Ticks, Lots]
    ) -> Depth:
        """What others show, as deep as this style looks; `own_…` are our lots by price."""
        reach = max(self.summed, self.fitness.min_levels)
        bids = book.of_others(Side.BUY, own_bids, reach)
        asks = book.of_others(Side.SELL, own_asks, reach)
        return Depth(
            bid_levels=len(bids),
            ask_levels=len(asks),
            bid_lots=sum([lots for _, lots in bids[: self.summed]]),
            ask_lots=sum([lots for _, lots in asks[: self.summed]]),
        )

    def rungs(self, view: View, lean: int, whole: int) -> Rungs | str:
        """Levels around the fair value, which is the mid moved by `lean / whole` of itself.

        fair = mid * (1 - lean / whole)
        bid i = fair * (1 - (1 + i) / 2 * spread), ask i = fair * (1 + (1 + i) / 2 * spread)

        The phrase that says why, where the book is not fit to quote by.
        """
        depth = view.depth
        if depth is None:
            return "book: depth not known"
        if problem := self.fitness.problem(view, depth):
            return problem
        width = self.width(depth)
        # Prices are integers of 1 / unit tick.
        unit = 4 * MICRO_IN_ONE * whole
        fair = view.mid_x2 * (whole - lean)
        at_fair, step = 2 * MICRO_IN_ONE * fair, width * fair
        places = range(1, len(self.sizes) + 1)
        bids = [(at_fair - i * step) // unit for i in places]
        asks = [-((-at_fair - i * step) // unit) for i in places]
        bids, asks = kept_apart(bids, asks, view)
        return Rungs(
            bids=sized(bids, self.sizes),
            asks=sized(asks, self.sizes),
            width=width,
            shift=MICRO_IN_ONE * lean // whole,
        )

    def width(self, depth: Depth) -> int:
        """Micro-bps from innermost bid to innermost ask: `least` where both sides weigh the same.

        least + |bids - asks| / (bids + asks) * extra, rounded up; one side must show something.
        """
        both = depth.bid_lots + depth.ask_lots
        apart = abs(depth.bid_lots - depth.ask_lots)
        return self.least - (-apart * self.extra // both)
