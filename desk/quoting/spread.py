"""How wide to quote: the fixed spread asked for, or fees plus volatility, never under the least.

Spreads are integers of a millionth of a basis point ("micro-bps"), rounded towards wider.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from desk.instrument import Instrument
from desk.quoting.parameters import QuoteParameters

MICRO = 1_000_000
_DIGITS = 6


def micro_bps(bps: Decimal) -> int:
    """Basis points as micro-bps, rounded up."""
    return int(bps.scaleb(_DIGITS).to_integral_value(ROUND_CEILING))


def bps(micro: int) -> Decimal:
    """Micro-bps as basis points, exactly."""
    return Decimal(micro).scaleb(-_DIGITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadRule:
    """Spread of one market: `fixed` if given, else `fees` plus sigma; at least `least`."""

    fixed: int | None
    fees: int
    least: int

    @classmethod
    def prepare(cls, parameters: QuoteParameters, instrument: Instrument) -> "SpreadRule":
        """Two maker fees (a rebate narrows) plus one sigma, unless a spread was given."""
        given = parameters.spread_bps
        return cls(
            fixed=None if given is None else micro_bps(given),
            fees=micro_bps(2 * instrument.maker_fee_bps),
            least=micro_bps(parameters.min_spread_bps),
        )

    def width(self, sigma_bps: Decimal | None) -> int | None:
        """Micro-bps from bid to ask; None when it depends on a volatility that is not known."""
        if self.fixed is not None:
            return max(self.fixed, self.least)
        if sigma_bps is None:
            return None
        return max(self.fees + micro_bps(sigma_bps), self.least)
