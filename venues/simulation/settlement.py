"""The end of a market: its orders are cancelled and every position is closed at one price.

Nobody trades against anybody then; what the longs get the shorts pay.
"""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal

from desk.orders import Liquidity
from desk.units import NS_PER_MS, Side, Ticks
from venues.simulation.accounts import ZERO, Account, Holding
from venues.simulation.events import CancelReason, Settled
from venues.simulation.market import Market
from venues.simulation.state import State
from venues.simulation.views import AccountTrade

SETTLEMENT_TAG = "settlement"
"""Batch id of the executions by which the venue itself closes positions."""


class Settlements:
    """Ends markets, by `engine.settlements`; unknown markets raise KeyError.

    Each account is told by an execution of the venue's own: at the price of settlement, without a
    fee and without a client's id, in its trades like any fill.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def at(self, prices: Mapping[str, Ticks]) -> None:
        """End these markets at these prices, as one step; a second time changes nothing."""
        for symbol, price in prices.items():
            market = self._state.markets[symbol]
            _end(self._state, market)
            _close_all(self._state, market, price, told=True)
        self._state.finish()

    def at_mark(self, symbol: str) -> None:
        """End a market at its mark (or last index); ValueError when there is neither."""
        market = self._state.markets[symbol]
        _end(self._state, market)
        _close_all(self._state, market, None, told=True)
        self._state.finish()

    def ended(self, symbol: str) -> bool:
        """Whether a market has ended."""
        return self._state.markets[symbol].expired


def expire(state: State, market: Market) -> None:
    """End a market at its mark, told by the change of position alone; nothing the second time."""
    _end(state, market)
    _close_all(state, market, None, told=False)


def _end(state: State, market: Market) -> None:
    market.expired = True
    for rests in (market.book.bids, market.book.asks):
        for order in list(rests.orders()):
            state.withdraw(market, order, CancelReason.EXPIRED)


def _close_all(state: State, market: Market, price: Ticks | None, *, told: bool) -> None:
    holdings = [
        (account, account.holdings[market.symbol])
        for account in state.accounts.values()
        if market.symbol in account.holdings and account.holdings[market.symbol].lots
    ]
    if not holdings:
        return
    ticks = _at_mark(market) if price is None else price
    for account, holding in holdings:
        _close(state, market, account, holding, ticks, told=told)


def _at_mark(market: Market) -> Ticks:
    price = market.last_mark if market.last_mark is not None else market.last_index()
    if price is None:
        raise ValueError(f"market {market.symbol} has positions but no price to settle at")
    return int((price / market.instrument.tick_size).to_integral_value(ROUND_HALF_EVEN))


def _close(
    state: State, market: Market, account: Account, holding: Holding, price: Ticks, *, told: bool
) -> None:
    side, lots = (Side.SELL if holding.lots > 0 else Side.BUY), abs(holding.lots)
    state.exchange(market, account, side, price, lots)
    if account.house:
        return
    if told:
        _tell(state, market, account, side, price, lots)
    state.tell_position(market, holding)


def _tell(
    state: State, market: Market, account: Account, side: Side, price: Ticks, lots: int
) -> None:
    now = state.now_ns()
    trade_id = state.new_trade_id()
    account.trades.append(
        AccountTrade(
            trade_id=trade_id,
            account=account.name,
            symbol=market.symbol,
            order_id=SETTLEMENT_TAG,
            client_order_id=None,
            tag=SETTLEMENT_TAG,
            side=side,
            price=price,
            lots=lots,
            liquidity=Liquidity.TAKER,
            fee=ZERO,
            at_ms=now // NS_PER_MS,
        )
    )
    paid: Decimal = -side.sign * market.unit * price * lots
    state.log.record(
        Settled(
            sequence=state.log.next_sequence(),
            at_ns=now,
            account=account.name,
            symbol=market.symbol,
            trade_id=trade_id,
            side=side,
            price=price,
            lots=lots,
            paid=paid,
        )
    )
