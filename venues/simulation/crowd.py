"""Setting a house account's size at a price, as a recorded or invented book says it is.

Nobody who already queues there loses a place, and nobody gains one for free.
"""

from collections.abc import Sequence

from desk.orders import TimeInForce
from desk.units import Lots, Side, Ticks
from venues.simulation.accounts import Account
from venues.simulation.admission import Verdict
from venues.simulation.book import LiveOrder
from venues.simulation.events import CancelReason
from venues.simulation.market import Market
from venues.simulation.matching import execute
from venues.simulation.orders import OrderRequest
from venues.simulation.state import State

CrowdLevel = tuple[Side, Ticks, Lots]


def set_level(state: State, market: Market, account: Account, level: CrowdLevel) -> None:
    """Make the account's total at a price so many lots."""
    side, price, lots = level
    queue = market.book.own(side).queue(price)
    queued = list(queue.orders.values()) if queue is not None else []
    mine = [order for order in queued if order.account == account.name]
    missing = lots - sum(order.remaining for order in mine)
    if missing < 0:
        _shrink(state, market, mine, -missing)
    elif missing > 0:
        last = queued[-1] if mine and queued[-1] is mine[-1] else None
        _grow(state, market, account, last, (side, price, missing))


def _shrink(state: State, market: Market, mine: Sequence[LiveOrder], excess: Lots) -> None:
    for order in reversed(mine):
        gone = min(excess, order.remaining)
        state.withdraw(market, order, CancelReason.ASKED, gone)
        excess -= gone
        if not excess:
            return


def _grow(
    state: State,
    market: Market,
    account: Account,
    last: LiveOrder | None,
    level: CrowdLevel,
) -> None:
    side, price, lots = level
    if last is not None and not market.book.crosses(side, price):
        market.book.own(side).grow_last(last, lots)
        account.offered(last, lots)
        state.touch(market)
        return
    request = OrderRequest(
        symbol=market.symbol,
        side=side,
        lots=lots,
        price=price,
        time_in_force=TimeInForce.GTC,
    )
    execute(state, account, request, Verdict(lots=lots, limit=price))
