"""The touch style: each level a fixed fraction away from the best price others show on its side.

Prices are exact fractions until they are rounded once: bids down, asks up.
"""

from dataclasses import dataclass

from desk.instrument import Instrument
from desk.quoting.inventory import Notional
from desk.quoting.micro import MICRO_IN_ONE
from desk.quoting.parameters import QuoteParameters
from desk.quoting.rungs import Rungs, kept_apart
from desk.quoting.sizes import level_sizes, sized
from desk.quoting.view import View


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchRule:
    """Level i is `(1 + i) / divisor` of the best price on its own side away from that price."""

    divisor: int
    sizes: tuple[Notional, ...]

    @classmethod
    def prepare(cls, parameters: QuoteParameters, instrument: Instrument) -> "TouchRule":
        """Sizes are worth what the sizing says at their own price."""
        return cls(
            divisor=parameters.offset_divisor,
            sizes=level_sizes(parameters, instrument),
        )

    def rungs(self, view: View, lean: int, whole: int) -> Rungs:
        """Levels around the best prices, all moved by `lean / whole` of the innermost distance.

        bid i = best bid * (1 - (1 + i) / divisor) - shift
        ask i = best ask * (1 + (1 + i) / divisor) - shift
        shift = lean / whole * (innermost ask - innermost bid, both before the shift)
        """
        divisor = self.divisor
        best_bid, best_ask = view.best_bid, view.best_ask
        # Prices are integers of 1 / unit tick, the distance between the sides of 1 / divisor tick.
        unit = divisor * whole
        apart = (best_ask - best_bid) * divisor + best_ask + best_bid
        shift = apart * lean
        inner_bid = best_bid * unit - shift
        inner_ask = best_ask * unit - shift
        bid_step, ask_step = best_bid * whole, best_ask * whole
        places = range(1, len(self.sizes) + 1)
        bids = [(inner_bid - i * bid_step) // unit for i in places]
        asks = [-((-inner_ask - i * ask_step) // unit) for i in places]
        bids, asks = kept_apart(bids, asks, view)
        width = -(-2 * apart * MICRO_IN_ONE // (divisor * view.mid_x2))
        return Rungs(
            bids=sized(bids, self.sizes),
            asks=sized(asks, self.sizes),
            width=width,
            shift=width * lean // whole,
        )
