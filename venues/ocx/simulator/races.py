"""Fills that happen while a cancel or replace is on its way.

The crowd trades with the orders before the operation is applied; the account's stream tells of
it only after the answer.
"""

import math
from collections.abc import Sequence

from venues.ocx.simulator.faults import Fault
from venues.ocx.simulator.world import World
from venues.simulation.orders import Order

_MOST_TRADES = 2_000


def fill_first(world: World, account: str, orders: Sequence[Order], fault: Fault) -> None:
    """Fill the given share of these resting orders now and tell of it `delay_s` later."""
    world.hold_fills(account, fault.delay_s)
    for order in orders:
        _fill(world, account, order, math.ceil(order.remaining * fault.fraction))


def _fill(world: World, account: str, order: Order, wanted: int) -> None:
    for _ in range(_MOST_TRADES):
        resting = world.engine.find_order(account, order_id=order.order_id)
        left = 0 if resting is None else wanted - (order.remaining - resting.remaining)
        if left <= 0:
            return
        report = world.crowd_trade(order.symbol, order.side.opposite, left, order.price)
        if report.filled == 0:
            return
