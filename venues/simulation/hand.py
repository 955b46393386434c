"""Trades made by hand: the crowd takes what it is told to, for levers and for races.

A race is a fill that happens while a cancel or replace is on its way: it is applied first.
"""

import math
from collections.abc import Sequence

from desk.orders import TimeInForce
from desk.units import Lots, Side, Ticks
from venues.simulation.engine import Engine
from venues.simulation.orders import Order, OrderKind, OrderReport, OrderRequest

CROWD = "crowd:control"
_MOST_TRADES = 2_000


def crowd_trade(
    engine: Engine, symbol: str, side: Side, lots: Lots, price: Ticks | None
) -> OrderReport:
    """The crowd takes liquidity: at most so many lots, down to a price if one is given.

    Needs the house account CROWD.
    """
    request = OrderRequest(
        symbol=symbol,
        side=side,
        lots=lots,
        price=price,
        kind=OrderKind.MARKET if price is None else OrderKind.LIMIT,
        time_in_force=TimeInForce.IOC,
    )
    return engine.submit(CROWD, request)


def fill_first(engine: Engine, account: str, orders: Sequence[Order], fraction: float) -> None:
    """Fill the given share of these resting orders now."""
    for order in orders:
        _fill(engine, account, order, math.ceil(order.remaining * fraction))


def _fill(engine: Engine, account: str, order: Order, wanted: Lots) -> None:
    for _ in range(_MOST_TRADES):
        resting = engine.find_order(account, order_id=order.order_id)
        left = 0 if resting is None else wanted - (order.remaining - resting.remaining)
        if left <= 0:
            return
        report = crowd_trade(engine, order.symbol, order.side.opposite, left, order.price)
        if report.filled == 0:
            return
