"""The spread style: levels around the mid, as wide as asked for or as fees plus volatility.

Spreads are integers in micro-bps; prices are exact until they are rounded once: bids down, asks up.
"""

from dataclasses import dataclass
from decimal import Decimal

from desk.instrument import Instrument
from desk.quoting.inventory import Notional
from desk.quoting.micro import MICRO_IN_ONE, micro_bps
from desk.quoting.parameters import QuoteParameters
from desk.quoting.rungs import Rungs, kept_apart
from desk.quoting.sizes import level_sizes
from desk.quoting.view import View

# Prices are computed in integers of 1 / _FINE tick: a half spread of s micro-bps around a mid of
# m half ticks is then m * s, and the mid itself m * _FINE / 2, both without a remainder.
_FINE = 4 * MICRO_IN_ONE


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadRule:
    """Spread of one market: `fixed` if given, else `fees` plus sigma; at least `least`.

    `spacing` is the distance between levels. All in micro-bps of the mid.
    """

    fixed: int | None
    fees: int
    least: int
    spacing: int
    sizes: tuple[Notional, ...]

    @classmethod
    def prepare(cls, parameters: QuoteParameters, instrument: Instrument) -> "SpreadRule":
        """Two maker fees (a rebate narrows) plus one sigma, unless a spread was given.

        Sizes are worth what the sizing says at the mid.
        """
        given = parameters.spread_bps
        return cls(
            fixed=None if given is None else micro_bps(given),
            fees=micro_bps(2 * instrument.maker_fee_bps),
            least=micro_bps(parameters.min_spread_bps),
            spacing=micro_bps(parameters.level_spacing_bps),
            sizes=level_sizes(parameters, instrument),
        )

    def rungs(self, view: View, lean: int, whole: int) -> Rungs | str:
        """Levels around the mid, all moved by `lean / whole` of the spread.

        Level i is `spacing` times i further from the skewed mid than level 0. The phrase that
        says why, while the spread depends on a volatility that is not known.
        """
        width = self.width(view.sigma_bps)
        if width is None:
            return "volatility is not known yet"
        mid_x2 = view.mid_x2
        tick = _FINE * whole
        half = mid_x2 * width * whole
        step = 2 * mid_x2 * self.spacing * whole
        fair = mid_x2 * (tick // 2) - 2 * mid_x2 * width * lean
        places = range(len(self.sizes))
        bids = [(fair - half - i * step) // tick for i in places]
        asks = [-((-fair - half - i * step) // tick) for i in places]
        bids, asks = kept_apart(bids, asks, view)
        lots = [size.lots(mid_x2) for size in self.sizes]
        return Rungs(
            bids=list(zip(bids, lots, strict=True)),
            asks=list(zip(asks, lots, strict=True)),
            width=width,
            shift=width * lean // whole,
        )

    def width(self, sigma_bps: Decimal | None) -> int | None:
        """Micro-bps from bid to ask; None when it depends on a volatility that is not known."""
        if self.fixed is not None:
            return max(self.fixed, self.least)
        if sigma_bps is None:
            return None
        return max(self.fees + micro_bps(sigma_bps), self.least)
