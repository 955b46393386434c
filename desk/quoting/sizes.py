"""How much each level is worth, ready to be had in lots at any price. Lots round down."""

from collections.abc import Sequence

from desk.instrument import Instrument
from desk.quoting.inventory import Notional
from desk.quoting.parameters import QuoteParameters
from desk.units import Level, Ticks


def level_sizes(parameters: QuoteParameters, instrument: Instrument) -> tuple[Notional, ...]:
    """One amount a level, innermost first, as the parameters' sizing says."""
    return tuple(Notional.of(worth, instrument) for worth in parameters.level_worths)


def sized(prices: Sequence[Ticks], sizes: Sequence[Notional]) -> list[Level]:
    """Each price with the lots its amount buys there."""
    # A price of zero or less buys nothing; the price band says so when the level is placed.
    return [
        (price, size.lots(2 * price) if price > 0 else 0)
        for price, size in zip(prices, sizes, strict=True)
    ]
