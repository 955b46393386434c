"""What an account must hold for its positions and resting orders, at the last known mark.

A linear fraction of notional, of which the larger side of the resting orders counts; for markets
paid in full the most that can be lost. What is owned is bound elsewhere.
"""

from dataclasses import dataclass
from decimal import Decimal

from desk.units import Ticks
from venues.simulation import paid
from venues.simulation.accounts import ZERO, Account, Holding
from venues.simulation.market import Market
from venues.simulation.offers import Offers
from venues.simulation.rules import Backing
from venues.simulation.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Equity and requirements of one account, quote currency."""

    equity: Decimal
    initial: Decimal
    maintenance: Decimal
    unrealized: Decimal

    @property
    def available(self) -> Decimal:
        """Equity not yet bound, never below zero."""
        return max(ZERO, self.equity - self.initial)


def price_of(market: Market, fallback: Ticks | None = None) -> Decimal:
    """Quote currency at which risk is valued: last mark, else the fallback, else a best price."""
    if market.last_mark is not None:
        return market.last_mark
    ticks = fallback or market.book.bids.best or market.book.asks.best or 0
    return market.instrument.price(ticks)


def unrealized(market: Market, holding: Holding) -> Decimal:
    """PnL of the open position at the last mark; zero while there never was a mark."""
    if not holding.lots or market.last_mark is None:
        return ZERO
    instrument = market.instrument
    worth = market.last_mark * instrument.lot_size * instrument.multiplier * holding.lots
    return worth - holding.unit * holding.cost


def standing(state: State, account: Account) -> Standing:
    """Sum over the account's markets."""
    initial = maintenance = gain = ZERO
    for symbol, holding in account.holdings.items():
        exposure = holding.exposure()
        if not exposure:
            continue
        market = state.markets[symbol]
        match market.rules.backing:
            case Backing.OWNED:
                continue
            case Backing.PAID:
                # Counted with the gain, so that what is free does not depend on the mark.
                change = unrealized(market, holding)
                initial += paid.bound(market, holding, Offers()) + change
                maintenance += paid.kept(market, holding) + change
                gain += change
            case Backing.MARGIN:
                value = _value(market, price_of(market))
                initial += value * exposure * _fraction(market, holding)
                if holding.lots:
                    maintenance += value * abs(holding.lots) * market.rules.maintenance_margin
                    gain += unrealized(market, holding)
    return Standing(
        equity=account.collateral + gain,
        initial=initial,
        maintenance=maintenance,
        unrealized=gain,
    )


def requirement(
    market: Market, holding: Holding | None, more: Offers, fallback: Ticks | None
) -> Decimal:
    """Initial margin in one market with so much more offered; for comparing, not for showing."""
    if market.rules.backing is Backing.OWNED:
        return ZERO
    if market.rules.backing is Backing.PAID:
        return paid.bound(market, holding, more)
    bids, asks = more.bids, more.asks
    exposure = max(bids, asks) if holding is None else holding.exposure(bids, asks)
    return _value(market, price_of(market, fallback)) * exposure * _fraction(market, holding)


def _fraction(market: Market, holding: Holding | None) -> Decimal:
    chosen = None if holding is None else holding.initial_margin
    return market.rules.initial_margin if chosen is None else chosen


def _value(market: Market, price: Decimal) -> Decimal:
    """Quote value of one lot."""
    return price * market.instrument.lot_size * market.instrument.multiplier
