"""A venue that takes one batch of a market at a time is sent no second one before it answered."""

from dataclasses import replace

import pytest

from desk.orders import Batch, NewOrder
from desk.ports import Capabilities
from desk.units import NS_PER_S
from quoting.actions import SendBatch
from quoting.loop import MarketLoop
from tests.quoting.builders import (
    CAPABILITIES,
    STEPWISE,
    accepted,
    account,
    book,
    change,
    fill,
    make_loop,
    sent,
)

ONE_BY_ONE = replace(STEPWISE, batches_overlap=False)


def fill_all(loop: MarketLoop, orders: tuple[NewOrder, ...], now_ns: int) -> None:
    """The stream is faster than the answer."""
    position = loop.standing.position
    for order in orders:
        position += order.side.sign * order.lots
        name = order.client_order_id
        loop.apply(change(now_ns, position, fill(name, order.side, order.price, order.lots, name)))


def sends(loop: MarketLoop, now_ns: int, price: int) -> bool:
    loop.apply(book(now_ns, price))
    return any(isinstance(one, SendBatch) for one in loop.decide(now_ns))


def unanswered(capabilities: Capabilities) -> tuple[MarketLoop, Batch]:
    """A loop whose first batch was filled whole before its answer came."""
    loop = make_loop(capabilities=capabilities)
    loop.apply(account(NS_PER_S))
    loop.apply(book(NS_PER_S))
    batch = sent(loop.decide(NS_PER_S))
    fill_all(loop, batch.orders, NS_PER_S)
    assert not loop.orders.busy, "by its orders nothing is awaited"
    return loop, batch


@pytest.mark.parametrize("capabilities", [CAPABILITIES, ONE_BY_ONE], ids=["ladder", "slots"])
def test_fills_do_not_free_a_market_whose_batch_is_unanswered(capabilities: Capabilities) -> None:
    loop, batch = unanswered(capabilities)
    assert not sends(loop, 3 * NS_PER_S, 610_000)
    loop.apply(accepted(batch))
    assert sends(loop, 5 * NS_PER_S, 611_000)


def test_where_batches_may_overlap_nothing_waits() -> None:
    loop, _ = unanswered(STEPWISE)
    assert sends(loop, 3 * NS_PER_S, 610_000)
