"""What the venue says late: orders booked after we gave them up, positions after their fills."""

from dataclasses import replace
from decimal import Decimal

from desk.identity import OrderIdentity, Slot
from desk.orders import AccountChange, NewOrder
from desk.risk.limits import RiskLimits
from desk.units import NS_PER_S, Side
from quoting.actions import Action, AskFate, SendBatch, Withdraw
from quoting.inbox import AuditBegun, Audited, Cleared, Settled, Tick
from quoting.loop import MarketLoop
from tests.quoting.builders import MARKET, STEPWISE, account, book, fill, make_loop, sent
from tests.quoting.stepwise import (
    ONE_LEVEL,
    acknowledged,
    answered,
    lost,
    resting_pair,
    update,
)
from tests.quoting.test_stepwise_loop import again

STILL = 600_000


def test_an_order_booked_after_a_clearing_is_taken_away_again() -> None:
    loop = make_loop(capabilities=STEPWISE, parameters=ONE_LEVEL)
    loop.apply(account(NS_PER_S))
    loop.apply(book(NS_PER_S))
    first = sent(loop.decide(NS_PER_S))
    loop.apply(answered(first, *(lost(order) for order in first.orders)))
    loop.decide(NS_PER_S)
    at_ns = 3 * NS_PER_S
    loop.apply(Cleared(verified=True, attempts=1, message="", at_ns=at_ns))
    second = sent(again(loop, at_ns, mid=STILL))
    loop.apply(answered(second, *(acknowledged(order) for order in second.orders)))
    for order in (*second.orders, *first.orders):
        loop.apply(update(order, at_ns))
    (removal,) = again(loop, at_ns + NS_PER_S, mid=STILL)
    assert isinstance(removal, SendBatch)
    assert set(removal.approved.value.cancels) == {one.client_order_id for one in first.orders}


def test_an_end_that_was_told_is_not_undone_by_an_older_word() -> None:
    loop, (bid, _) = resting_pair()
    loop.apply(update(bid, NS_PER_S, resting=False))
    loop.apply(update(bid, NS_PER_S))
    assert bid.client_order_id not in {one.order.client_order_id for one in loop.orders.open}


def test_an_acknowledged_order_that_is_not_found_is_cancelled_and_keeps_its_slot() -> None:
    loop = make_loop(capabilities=STEPWISE, parameters=ONE_LEVEL)
    loop.apply(account(NS_PER_S))
    loop.apply(book(NS_PER_S))
    batch = sent(loop.decide(NS_PER_S))
    loop.apply(answered(batch, *(acknowledged(order) for order in batch.orders)))
    at_ns = NS_PER_S
    for look in range(5):
        at_ns += 2 * NS_PER_S + 1
        actions = again(loop, at_ns, mid=STILL)
        assert not any(isinstance(action, SendBatch) for action in actions)
        asked = [action for action in actions if isinstance(action, AskFate)]
        assert len(asked) == 2
        for one in asked:
            loop.apply(Settled(client_order_id=one.client_order_id, resting=False))
        actions = loop.decide(at_ns)
        if look < 4:
            assert actions == [Withdraw(order.client_order_id) for order in batch.orders]
    assert sent(actions).orders, "after about ten seconds the place is free"


def test_an_own_order_that_no_table_knows_is_withdrawn_when_it_is_heard_of() -> None:
    loop, (bid, ask) = resting_pair()
    identity = OrderIdentity(tag=MARKET.tag, epoch=1, cycle=900, slot=Slot(Side.BUY, 0))
    stray = replace(bid, client_order_id=identity.encode())
    loop.apply(update(stray, NS_PER_S))
    assert again(loop, 2 * NS_PER_S, mid=STILL) == [Withdraw(stray.client_order_id)]
    other = replace(ask, client_order_id="by-hand")
    loop.apply(update(other, NS_PER_S))
    assert again(loop, 3 * NS_PER_S, mid=STILL) == []


def test_a_closed_order_in_the_list_is_an_orphan_like_any_other() -> None:
    loop, (bid, ask) = resting_pair()
    loop.apply(update(bid, NS_PER_S, resting=False))
    again(loop, 2 * NS_PER_S, mid=STILL)
    found: list[object] = []
    for second in (3, 4):
        loop.apply(AuditBegun())
        ids = (bid.client_order_id, ask.client_order_id)
        loop.apply(Audited(resting=ids, asked_ns=second * NS_PER_S))
        found += again(loop, second * NS_PER_S, mid=STILL)
    assert Withdraw(bid.client_order_id) in found


def test_a_fill_counts_before_the_venue_states_the_position() -> None:
    limits = RiskLimits(max_position=Decimal(900))  # one order of 600, not two
    loop = make_loop(capabilities=STEPWISE, parameters=ONE_LEVEL, limits=limits)
    loop.apply(account(NS_PER_S))
    loop.apply(book(NS_PER_S))
    batch = sent(loop.decide(NS_PER_S))
    loop.apply(answered(batch, *(acknowledged(order) for order in batch.orders)))
    for order in batch.orders:
        loop.apply(update(order, NS_PER_S))
    (bid,) = [order for order in batch.orders if order.side is Side.BUY]
    heard = fill("t1", Side.BUY, bid.price, bid.lots, bid.client_order_id)
    loop.apply(AccountChange(fills=(heard,), position=None, received_ns=2 * NS_PER_S))
    actions = again_without_position(loop, 2 * NS_PER_S)
    assert not any(_buys(action) for action in actions)


def again_without_position(loop: MarketLoop, at_ns: int) -> list[Action]:
    loop.apply(Tick(at_ns))
    loop.apply(book(at_ns, mid=STILL))
    return loop.decide(at_ns)


def _buys(action: object) -> bool:
    orders: tuple[NewOrder, ...] = ()
    if isinstance(action, SendBatch):
        orders = action.approved.value.orders
    return any(order.side is Side.BUY for order in orders)


def test_unknown_funds_leave_what_reduces_quoted() -> None:
    limits = RiskLimits(min_free_collateral=Decimal(100))
    loop = make_loop(capabilities=STEPWISE, parameters=ONE_LEVEL, limits=limits)
    held = fill("t0", Side.BUY, 600_000, 20)
    loop.apply(account(NS_PER_S, 20, (held,)))
    loop.apply(book(NS_PER_S))
    assert loop.decide(NS_PER_S) == [], "both sides are refused together"
    again_ns = NS_PER_S + 1
    loop.apply(Tick(again_ns))
    loop.apply(book(again_ns))
    assert {order.side for order in sent(loop.decide(again_ns)).orders} == {Side.SELL}
