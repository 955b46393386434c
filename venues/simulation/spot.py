"""Assets of spot markets: what an account owns of each currency, and what its orders have promised.

A resting order has promised what it would hand over, its fee included, so nothing is ever sold
that is not there.
"""

from dataclasses import dataclass
from decimal import Decimal

from desk.instrument import Instrument
from desk.units import BPS, Side
from venues.simulation.accounts import ZERO, Account
from venues.simulation.market import Market
from venues.simulation.offers import Offers
from venues.simulation.rules import Backing
from venues.simulation.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetView:
    """One currency of one account; `locked` is the part of `total` that orders have promised."""

    currency: str
    total: Decimal
    locked: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """An order asks for more of a currency than is free."""

    currency: str
    required: Decimal
    available: Decimal


class Assets:
    """What accounts own, by `engine.assets`; unknown accounts raise KeyError."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def cash(self) -> str:
        """Currency of the buckets."""
        return self._state.rules.collateral

    def of(self, account: str) -> list[AssetView]:
        """Every currency the account ever had, the collateral first."""
        owner = self._state.accounts[account]
        return [
            AssetView(
                currency=currency,
                total=owner.owned(currency),
                locked=promised(self._state, owner, currency),
            )
            for currency in (owner.cash, *owner.assets)
        ]

    def deposit(self, account: str, currency: str, amount: Decimal) -> None:
        """Assets from outside; ValueError when it is not above zero."""
        if amount <= 0:
            raise ValueError(f"amount: {amount} is not above zero")
        self._state.accounts[account].own(currency, amount)

    def fees(self, currency: str) -> Decimal:
        """Fees less rebates that spot markets took in this currency."""
        return self._state.asset_fees.get(currency, ZERO)


def promised(state: State, account: Account, currency: str, besides: str | None = None) -> Decimal:
    """What resting orders would hand over of a currency, those of one market left out."""
    total = ZERO
    for symbol, holding in account.holdings.items():
        market = state.markets[symbol]
        if market.rules.backing is Backing.OWNED and symbol != besides:
            total += _handed_over(market.instrument, holding.offers, currency)
    return total


def lacking(
    state: State, account: Account, market: Market, side: Side, before: Offers, after: Offers
) -> Lacking | None:
    """What is missing for an order that takes what is planned in its market from one to the other.

    Both are counted on top of what rests there.
    """
    instrument = market.instrument
    currency = instrument.quote if side is Side.BUY else instrument.base
    holding = account.holdings.get(market.symbol)
    resting = Offers() if holding is None else holding.offers
    spoken_for = _handed_over(instrument, resting.joined(before), currency)
    needed = _handed_over(instrument, resting.joined(after), currency) - spoken_for
    free = account.owned(currency) - spoken_for
    free -= promised(state, account, currency, besides=market.symbol)
    if needed <= free:
        return None
    return Lacking(currency=currency, required=needed, available=max(ZERO, free))


def _handed_over(instrument: Instrument, offers: Offers, currency: str) -> Decimal:
    if currency == instrument.base:
        return instrument.lot_size * offers.asks
    if currency != instrument.quote:
        return ZERO
    dearest = max(instrument.maker_fee_bps, instrument.taker_fee_bps, ZERO)
    worth = instrument.tick_size * instrument.lot_size * instrument.multiplier * offers.bid_cost
    return worth * (1 + dearest / BPS)
