"""The spread style: levels around the mid, as wide as asked for or as fees plus volatility.

Spreads are integers of a millionth of a basis point ("micro-bps"), rounded towards wider; prices
are exact until they are rounded once: bids down, asks up.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from desk.instrument import Instrument
from desk.quoting.inventory import Notional
from desk.quoting.parameters import QuoteParameters
from desk.quoting.rungs import Rungs, kept_apart
from desk.quoting.view import View
from desk.units import BPS

MICRO = 1_000_000
_DIGITS = 6

# Prices are computed in integers of 1 / _FINE tick: a half spread of s micro-bps around a mid of
# m half ticks is then m * s, and the mid itself m * _FINE / 2, both without a remainder.
_FINE = 4 * int(BPS) * MICRO


def micro_bps(bps: Decimal) -> int:
    """Basis points as micro-bps, rounded up."""
    return int(bps.scaleb(_DIGITS).to_integral_value(ROUND_CEILING))


def bps(micro: int) -> Decimal:
    """Micro-bps as basis points, exactly."""
    return Decimal(micro).scaleb(-_DIGITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadRule:
    """Spread of one market: `fixed` if given, else `fees` plus sigma; at least `least`.

    `spacing` is the distance between levels. All in micro-bps of the mid.
    """

    fixed: int | None
    fees: int
    least: int
    levels: int
    spacing: int
    size: Notional

    @classmethod
    def prepare(cls, parameters: QuoteParameters, instrument: Instrument) -> "SpreadRule":
        """Two maker fees (a rebate narrows) plus one sigma, unless a spread was given.

        Sizes are worth `level_notional` each at the mid.
        """
        given = parameters.spread_bps
        return cls(
            fixed=None if given is None else micro_bps(given),
            fees=micro_bps(2 * instrument.maker_fee_bps),
            least=micro_bps(parameters.min_spread_bps),
            levels=parameters.levels,
            spacing=micro_bps(parameters.level_spacing_bps),
            size=Notional.of(parameters.level_notional, instrument),
        )

    def rungs(self, view: View, lean: int, whole: int) -> Rungs | None:
        """Levels around the mid, all moved by `lean / whole` of the spread.

        Level i is `spacing` times i further from the skewed mid than level 0. None while the
        spread depends on a volatility that is not known.
        """
        width = self.width(view.sigma_bps)
        if width is None:
            return None
        mid_x2 = view.mid_x2
        tick = _FINE * whole
        half = mid_x2 * width * whole
        step = 2 * mid_x2 * self.spacing * whole
        fair = mid_x2 * (tick // 2) - 2 * mid_x2 * width * lean
        places = range(self.levels)
        bids = [(fair - half - i * step) // tick for i in places]
        asks = [-((-fair - half - i * step) // tick) for i in places]
        bids, asks = kept_apart(bids, asks, view)
        lots = self.size.lots(mid_x2)
        return Rungs(
            bids=[(price, lots) for price in bids],
            asks=[(price, lots) for price in asks],
            width=width,
        )

    def width(self, sigma_bps: Decimal | None) -> int | None:
        """Micro-bps from bid to ask; None when it depends on a volatility that is not known."""
        if self.fixed is not None:
            return max(self.fixed, self.least)
        if sigma_bps is None:
            return None
        return max(self.fees + micro_bps(sigma_bps), self.least)
