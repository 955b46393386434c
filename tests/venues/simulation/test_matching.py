from decimal import Decimal

import pytest

from desk.orders import Liquidity, RejectReason
from tests.venues.simulation.exchange import (
    BUY,
    SELL,
    SYMBOL,
    SelfTrade,
    TimeInForce,
    ask,
    exchange,
)
from venues.simulation.orders import OrderKind, OrderStatus


def test_trades_happen_at_the_resting_price_in_order_of_arrival() -> None:
    x = exchange()
    first = x.order("ann", SELL, 1001, 5)
    second = x.order("cat", SELL, 1001, 5)
    better = x.order("cat", SELL, 1000, 2)
    report = x.order("bob", BUY, 1005, 9)
    assert report.status is OrderStatus.FILLED
    assert report.average_price == Decimal("0.1") * (2 * 1000 + 7 * 1001) / 9
    makers = [
        (each["maker_order_id"], each["lots"])
        for each in x.engine.events()
        if each["event"] == "Trade"
    ]
    assert makers == [(better.order_id, 2), (first.order_id, 5), (second.order_id, 2)]
    assert x.engine.book(SYMBOL) == ([], [(1001, 3)])


def test_a_remainder_rests_and_both_sides_learn_of_the_trade() -> None:
    x = exchange()
    x.order("ann", SELL, 1000, 4, client_order_id="a-1", tag="quote-7")
    report = x.order("bob", BUY, 1000, 10, client_order_id="b-1")
    assert (report.status, report.filled, report.remaining) == (
        OrderStatus.PARTIALLY_FILLED,
        4,
        6,
    )
    (made,), (took,) = x.engine.trades("ann"), x.engine.trades("bob", SYMBOL)
    assert (made.liquidity, made.client_order_id, made.tag) == (Liquidity.MAKER, "a-1", "quote-7")
    assert (took.liquidity, took.side, took.lots) == (Liquidity.TAKER, BUY, 4)
    assert made.fee == Decimal("-0.00004")
    assert took.fee == Decimal("0.0002")
    assert made.trade_id != took.trade_id
    assert x.engine.public_trades(SYMBOL)[0].aggressor is BUY


def test_immediate_or_cancel_drops_what_does_not_fill() -> None:
    x = exchange()
    x.order("ann", SELL, 1000, 4)
    partly = x.order("bob", BUY, 1000, 10, time_in_force=TimeInForce.IOC)
    assert (partly.status, partly.filled, partly.reason) == (OrderStatus.CANCELLED, 4, None)
    nothing = x.order("bob", BUY, 1000, 10, time_in_force=TimeInForce.IOC)
    assert nothing.reason is RejectReason.NOT_FILLED
    assert x.engine.open_orders("bob") == []


def test_fill_or_kill_fills_whole_or_leaves_no_trace_in_the_book() -> None:
    x = exchange()
    x.order("ann", SELL, 1000, 4)
    x.order("ann", SELL, 1002, 4)
    killed = x.order("bob", BUY, 1001, 5, time_in_force=TimeInForce.FOK)
    assert (killed.status, killed.filled) == (OrderStatus.CANCELLED, 0)
    filled = x.order("bob", BUY, 1002, 5, time_in_force=TimeInForce.FOK)
    assert (filled.status, filled.filled) == (OrderStatus.FILLED, 5)


def test_post_only_is_refused_outright_and_never_repriced() -> None:
    x = exchange()
    x.order("ann", SELL, 1000, 4)
    report = x.order("bob", BUY, 1000, 1, post_only=True)
    assert report.reason is RejectReason.POST_ONLY
    assert x.order("bob", BUY, 999, 1, post_only=True).status is OrderStatus.OPEN


def test_a_market_order_takes_any_price_and_never_rests() -> None:
    x = exchange()
    x.order("ann", SELL, 1500, 4)
    report = x.order("bob", BUY, None, 6, kind=OrderKind.MARKET)
    assert (report.status, report.filled) == (OrderStatus.CANCELLED, 4)
    assert x.engine.open_orders("bob") == []


def test_a_used_client_order_id_is_never_taken_again() -> None:
    x = exchange()
    x.order("ann", BUY, 900, 1, client_order_id="one")
    assert x.engine.cancel("ann", client_order_id="one")
    again = x.order("ann", BUY, 900, 1, client_order_id="one")
    assert again.reason is RejectReason.DUPLICATE
    assert x.order("bob", BUY, 900, 1, client_order_id="one").accepted


def test_a_refused_order_does_not_use_up_its_client_order_id() -> None:
    x = exchange()
    x.order("bob", SELL, 1000, 1)
    assert not x.order("ann", BUY, 1000, 1, client_order_id="one", post_only=True).accepted
    assert x.order("ann", BUY, 999, 1, client_order_id="one", post_only=True).accepted


@pytest.mark.parametrize(
    ("mode", "filled", "resting"),
    [
        (SelfTrade.NONE, 6, 0),
        (SelfTrade.CANCEL_NEWEST, 0, 2),
        (SelfTrade.CANCEL_OLDEST, 2, 1),
        (SelfTrade.CANCEL_BOTH, 0, 1),
    ],
)
def test_self_trade_follows_the_rule_of_the_market(
    mode: SelfTrade, filled: int, resting: int
) -> None:
    x = exchange(self_trade=mode)
    x.order("ann", SELL, 1000, 4)
    x.order("bob", SELL, 1001, 2)
    report = x.order("ann", BUY, 1001, 6)
    assert report.filled == filled
    assert len(x.engine.open_orders("ann")) + len(x.engine.open_orders("bob")) == resting


def test_a_reduce_only_order_is_trimmed_to_the_position() -> None:
    x = exchange()
    assert x.order("bob", SELL, 1000, 5, reduce_only=True).reason is RejectReason.REDUCE_ONLY
    x.order("ann", SELL, 1000, 5)
    x.order("bob", BUY, 1000, 5)
    report = x.order("bob", SELL, 1001, 50, reduce_only=True)
    assert report.remaining == 5
    assert x.order("bob", BUY, 900, 5, reduce_only=True).reason is RejectReason.REDUCE_ONLY


def test_resting_reduce_only_orders_shrink_and_leave_with_the_position() -> None:
    x = exchange()
    x.order("ann", SELL, 1000, 5)
    x.order("bob", BUY, 1000, 5)
    x.order("bob", SELL, 1001, 5, reduce_only=True)
    x.order("bob", SELL, 1002, 5, reduce_only=True)
    x.order("cat", BUY, 1001, 3)
    assert [order.remaining for order in x.engine.open_orders("bob")] == [2, 2]
    x.order("cat", BUY, 1001, 2)
    assert x.engine.open_orders("bob") == []
    assert x.engine.position("bob", SYMBOL).lots == 0


def test_fill_or_kill_counts_reduce_only_makers_as_they_shrink() -> None:
    x = exchange()
    x.order("ann", SELL, 1000, 5)
    x.order("bob", BUY, 1000, 5)
    x.order("bob", SELL, 1001, 5, reduce_only=True)
    x.order("bob", SELL, 1002, 5, reduce_only=True)
    report = x.order("cat", BUY, 1002, 10, time_in_force=TimeInForce.FOK)
    assert report.filled == 0
    assert len(x.engine.open_orders("bob")) == 2


def test_cancel_takes_exactly_what_matches_every_field_given() -> None:
    x = exchange()
    x.order("ann", BUY, 900, 1, tag="a", margin_mode="cross")
    x.order("ann", BUY, 901, 1, tag="a", margin_mode="isolated")
    x.order("ann", BUY, 902, 1, tag="b", margin_mode="cross", client_order_id="c")
    x.order("bob", BUY, 903, 1, tag="a")
    assert x.engine.cancel("ann", symbol="OTHER") == []
    assert x.engine.cancel("ann", tag="a", client_order_id="c") == []
    gone = x.engine.cancel("ann", tag="a", margin_mode="cross")
    assert [(order.price, order.remaining) for order in gone] == [(900, 1)]
    assert len(x.engine.cancel("ann")) == 2
    assert len(x.engine.open_orders("bob")) == 1


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (ask(BUY, 1000, 0), RejectReason.INVALID),
        (ask(BUY, 0, 1), RejectReason.INVALID),
        (ask(BUY, None, 1), RejectReason.INVALID),
        (ask(BUY, 1000, 1, post_only=True, time_in_force=TimeInForce.IOC), RejectReason.INVALID),
        (ask(BUY, 1101, 1), RejectReason.PRICE_BAND),
        (ask(SELL, 899, 1), RejectReason.PRICE_BAND),
    ],
)
def test_bad_orders_are_refused_by_a_value(request_: object, reason: RejectReason) -> None:
    x = exchange(price_band_bps=Decimal(1000))
    report = x.engine.submit("ann", request_)  # type: ignore[arg-type]
    assert (report.status, report.reason) == (OrderStatus.REJECTED, reason)


def test_a_halted_market_refuses_orders_but_lets_them_be_cancelled() -> None:
    x = exchange()
    x.order("ann", BUY, 900, 1)
    x.engine.halt(SYMBOL, halted=True)
    assert x.order("ann", BUY, 900, 1).reason is RejectReason.HALTED
    assert len(x.engine.cancel("ann")) == 1
    x.engine.halt(SYMBOL, halted=False)
    assert x.order("ann", BUY, 900, 1).accepted


def test_preview_says_what_submit_would_and_changes_nothing() -> None:
    x = exchange(collateral=1)
    fine = x.engine.preview("ann", ask(BUY, 1000, 10))
    assert (fine.approved, fine.notional, fine.margin_required) == (
        True,
        Decimal(1),
        Decimal("0.1"),
    )
    bad = x.engine.preview("ann", ask(BUY, 1000, 101))
    assert bad.report is not None
    assert bad.report.reason is RejectReason.MARGIN
    assert x.engine.events() == []
