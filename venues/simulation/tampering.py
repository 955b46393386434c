"""Changes behind the system's back: no trade, no payment, no event, as if the venue had erred.

For drills of reconciliation. What an account loses the crowd gains: nothing is unpaid for.
"""

from decimal import ROUND_HALF_EVEN, Decimal

from desk.units import Lots, Side, Ticks
from venues.simulation.accounts import Account
from venues.simulation.margin import price_of
from venues.simulation.market import Market
from venues.simulation.state import State


class Tampering:
    """Sets positions and money by `engine.tampering`; unknown names raise KeyError."""

    def __init__(self, state: State) -> None:
        self._state = state

    def set_position(
        self, account: str, symbol: str, lots: Lots, *, against: str, told: bool = False
    ) -> None:
        """Make an account's position so many signed lots, entered at the mark, without any fill.

        `against` is the house account that takes the other side. Reads show it at once. A stream
        is only told of it when `told`, else with the account's next event there.
        """
        market, owner = self._state.markets[symbol], self._state.accounts[account]
        change = lots - owner.holding(market.instrument).lots
        if change == 0:
            return
        price = _price(market)
        self._shift(owner, market, change, price)
        self._shift(self._state.accounts[against], market, -change, price)
        holding = owner.holdings[symbol]
        self._state.trim_reducers(market, holding)
        if told:
            self._state.tell_position(market, holding)
        self._state.finish()

    def move_balance(self, account: str, amount: Decimal, *, against: str) -> None:
        """Change the perps bucket by so much quote currency, which no history ever shows."""
        self._state.accounts[account].credit(amount)
        self._state.accounts[against].credit(-amount)

    def _shift(self, owner: Account, market: Market, change: Lots, price: Ticks) -> None:
        side = Side.BUY if change > 0 else Side.SELL
        self._state.exchange(market, owner, side, price, abs(change))


def _price(market: Market) -> Ticks:
    ticks = price_of(market) / market.instrument.tick_size
    return int(ticks.to_integral_value(ROUND_HALF_EVEN))
