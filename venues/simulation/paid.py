"""Markets paid in full: the most that can be lost is bound from the start, so nothing is lent."""

from decimal import Decimal

from desk.units import Lots, Ticks
from venues.simulation.accounts import Holding
from venues.simulation.market import Market
from venues.simulation.offers import Offers


def most_lost(lots: Lots, cost: int, offers: Offers, whole: Ticks) -> int:
    """What is lost at worst, ticks times lots, whichever offers fill and however it ends.

    `cost` was paid for `lots`, both signed; `whole` is what a base unit pays if its outcome comes
    true, in ticks.
    """
    comes_false = cost + offers.bid_cost
    comes_true = cost - whole * lots + whole * offers.asks - offers.ask_cost
    return max(0, comes_false, comes_true)


def bound(market: Market, holding: Holding | None, more: Offers) -> Decimal:
    """Quote currency bound by a position, its resting orders and so many offers more."""
    if holding is None:
        worst = most_lost(0, 0, more, market.whole)
    else:
        worst = most_lost(holding.lots, holding.cost, holding.offers.joined(more), market.whole)
    return market.unit * worst


def kept(market: Market, holding: Holding) -> Decimal:
    """Quote currency bound by the position alone."""
    return market.unit * most_lost(holding.lots, holding.cost, Offers(), market.whole)
