"""What an account has at risk in each market, for venues that show margin in their own words."""

from dataclasses import dataclass
from decimal import Decimal

from desk.units import Lots
from venues.simulation.margin import price_of
from venues.simulation.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """One market: signed position, the largest position its resting orders could make of it.

    `position_value` and `exposed_value` are unsigned quote currency at the last mark.
    """

    symbol: str
    lots: Lots
    exposed: Lots
    position_value: Decimal
    exposed_value: Decimal


class Exposures:
    """Reads exposures; unknown accounts raise KeyError."""

    def __init__(self, state: State) -> None:
        self._state = state

    def of(self, account: str) -> list[Exposure]:
        """Markets in which the account has a position or resting orders."""
        found = []
        for symbol, holding in self._state.accounts[account].holdings.items():
            exposed = holding.exposure()
            if not exposed and not holding.lots:
                continue
            market = self._state.markets[symbol]
            value = price_of(market) * market.instrument.lot_size * market.instrument.multiplier
            found.append(
                Exposure(
                    symbol=symbol,
                    lots=holding.lots,
                    exposed=exposed,
                    position_value=value * abs(holding.lots),
                    exposed_value=value * exposed,
                )
            )
        return found
