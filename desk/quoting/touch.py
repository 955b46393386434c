"""The touch style: each level a fixed fraction away from the best price others show on its side.

Prices are exact fractions until they are rounded once: bids down, asks up.
"""

from dataclasses import dataclass

from desk.instrument import Instrument
from desk.quoting.inventory import Notional
from desk.quoting.parameters import QuoteParameters
from desk.quoting.rungs import Rungs, kept_apart
from desk.quoting.spread import MICRO
from desk.quoting.view import View
from desk.units import BPS, Level, Ticks

_MICRO_IN_ONE = int(BPS) * MICRO


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchRule:
    """Level i is `(1 + i) / divisor` of the best price on its own side away from that price."""

    levels: int
    divisor: int
    size: Notional

    @classmethod
    def prepare(cls, parameters: QuoteParameters, instrument: Instrument) -> "TouchRule":
        """Sizes are worth `level_notional` each at their own price."""
        return cls(
            levels=parameters.levels,
            divisor=parameters.offset_divisor,
            size=Notional.of(parameters.level_notional, instrument),
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
        places = range(1, self.levels + 1)
        bids = [(inner_bid - i * bid_step) // unit for i in places]
        asks = [-((-inner_ask - i * ask_step) // unit) for i in places]
        bids, asks = kept_apart(bids, asks, view)
        return Rungs(
            bids=self._sized(bids),
            asks=self._sized(asks),
            width=-(-2 * apart * _MICRO_IN_ONE // (divisor * view.mid_x2)),
        )

    def _sized(self, prices: list[Ticks]) -> list[Level]:
        size = self.size
        # A price of zero or less buys nothing; the price band says so when the level is placed.
        return [(price, size.lots(2 * price) if price > 0 else 0) for price in prices]
