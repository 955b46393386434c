"""Replacing order by order: never two in a slot, never a slot forgotten (x10.md section 8)."""

import pytest

from desk.identity import OrderIdentity, Slot
from desk.market import FeedAlive
from desk.orders import Batch, NewOrder, RejectReason
from desk.units import NS_PER_MS, NS_PER_S, Side
from quoting.actions import Action, AskFate, ClearAll, SendBatch, Withdraw
from quoting.inbox import AuditBegun, Audited, Settled, Tick
from quoting.loop import MarketLoop
from quoting.progress import LatencySamples
from tests.quoting.builders import MARKET, STEPWISE, account, book, change, fill, make_loop, sent
from tests.quoting.stepwise import (
    ONE_LEVEL,
    acknowledged,
    answered,
    lost,
    rejected,
    resting_pair,
    update,
)

MOVED = 2 * NS_PER_S


def kinds(actions: list[Action]) -> list[type]:
    return [type(action) for action in actions]


def replacing() -> tuple[MarketLoop, tuple[NewOrder, ...], tuple[NewOrder, ...]]:
    """Bid and ask rest, and replacements of both are on their way."""
    loop, old = resting_pair()
    loop.apply(book(MOVED, mid=600_100))
    batch = sent(loop.decide(MOVED))
    assert [order.replaces for order in batch.orders] == [one.client_order_id for one in old]
    assert batch.cancels == ()
    loop.apply(Tick(MOVED))
    return loop, old, batch.orders


def again(loop: MarketLoop, at_ns: int, mid: int = 600_200, lots: int = 0) -> list[Action]:
    """Decide when the debounce is over and the market has moved on."""
    loop.apply(Tick(at_ns))
    loop.apply(account(at_ns, lots))
    loop.apply(book(at_ns, mid=mid))
    return loop.decide(at_ns)


def test_an_order_is_not_replaced_before_the_venue_said_that_it_rests() -> None:
    loop = make_loop(capabilities=STEPWISE, parameters=ONE_LEVEL)
    loop.apply(account(NS_PER_S))
    loop.apply(book(NS_PER_S))
    batch = sent(loop.decide(NS_PER_S))
    loop.apply(answered(batch, *(acknowledged(order) for order in batch.orders)))
    assert again(loop, MOVED) == []
    for order in batch.orders:
        loop.apply(update(order, MOVED))
    assert kinds(loop.decide(MOVED)) == [SendBatch]


@pytest.mark.parametrize("old_first", [True, False])
def test_a_replace_is_done_when_both_ends_were_told_in_either_order(*, old_first: bool) -> None:
    loop, old, new = replacing()
    loop.apply(answered(_batch(new), *(acknowledged(order) for order in new)))
    told = [update(old[0], MOVED, resting=False), update(new[0], MOVED)]
    for event in told if old_first else reversed(told):
        assert again(loop, MOVED + NS_PER_S) == []
        loop.apply(event)
    (retry,) = sent(again(loop, MOVED + NS_PER_S)).orders
    assert retry.replaces == new[0].client_order_id


def test_an_update_may_come_before_the_answer() -> None:
    loop, old, new = replacing()
    for one in old:
        loop.apply(update(one, MOVED, resting=False))
    for one in new:
        loop.apply(update(one, MOVED))
    loop.apply(answered(_batch(new), *(acknowledged(order) for order in new)))
    batch = sent(again(loop, MOVED + NS_PER_S))
    assert [order.replaces for order in batch.orders] == [one.client_order_id for one in new]


def test_a_vanished_order_is_settled_by_the_stream_and_placed_afresh() -> None:
    loop, old, new = replacing()
    vanished = rejected(new[0], RejectReason.UNKNOWN_ORDER, gone=True)
    loop.apply(answered(_batch(new), vanished, acknowledged(new[1])))
    later = MOVED + NS_PER_S // 10
    assert SendBatch not in kinds(again(loop, later))
    loop.apply(update(old[0], later, resting=False, filled=0))
    (fresh,) = sent(again(loop, MOVED + NS_PER_S)).orders
    assert (fresh.slot, fresh.replaces) == (old[0].slot, None)
    assert fresh.client_order_id not in {old[0].client_order_id, new[0].client_order_id}


def test_a_vanished_order_counts_as_filled_until_the_venue_was_asked() -> None:
    loop, old, new = replacing()
    vanished = rejected(new[0], RejectReason.UNKNOWN_ORDER, gone=True)
    loop.apply(answered(_batch(new), vanished, acknowledged(new[1])))
    actions = again(loop, MOVED + 300 * NS_PER_MS)
    assert actions == [AskFate(old[0].client_order_id)]
    assert again(loop, MOVED + NS_PER_S) == [], "asked once, not at every turn"
    lots = old[0].lots
    loop.apply(change(MOVED, lots, fill("t1", Side.BUY, old[0].price, lots)))
    loop.apply(Settled(client_order_id=old[0].client_order_id, resting=False))
    (fresh,) = sent(again(loop, MOVED + NS_PER_S, mid=600_000, lots=lots)).orders
    assert fresh.replaces is None
    assert fresh.price < old[0].price, "the fill was known before the new bid was priced"


def test_a_question_without_an_answer_is_asked_again() -> None:
    loop, old, new = replacing()
    vanished = rejected(new[0], RejectReason.UNKNOWN_ORDER, gone=True)
    loop.apply(answered(_batch(new), vanished, acknowledged(new[1])))
    assert again(loop, MOVED + 300 * NS_PER_MS) == [AskFate(old[0].client_order_id)]
    asked = again(loop, MOVED + 1_400 * NS_PER_MS)
    assert AskFate(old[0].client_order_id) in asked


def test_an_end_told_before_its_fill_keeps_the_slot_until_the_fill_is_heard() -> None:
    loop, (bid, _) = resting_pair()
    loop.apply(update(bid, MOVED, resting=False, filled=bid.lots))
    assert [one for one in again(loop, MOVED) if _buys(one)] == []
    loop.apply(
        change(MOVED, bid.lots, fill("t1", Side.BUY, bid.price, bid.lots, bid.client_order_id))
    )
    assert [one for one in again(loop, MOVED + NS_PER_S) if _buys(one)]


def test_an_end_told_twice_does_not_free_the_slot_before_its_fill() -> None:
    loop, (bid, _) = resting_pair()
    for _ in range(2):
        loop.apply(update(bid, MOVED, resting=False, filled=bid.lots // 2))
        assert [one for one in again(loop, MOVED) if _buys(one)] == []
    assert bid.client_order_id in {one.order.client_order_id for one in loop.orders.open}


def test_a_refused_replace_pulls_the_stale_quote() -> None:
    loop, _, new = replacing()
    outcomes = (rejected(new[0], RejectReason.PRICE_BAND, gone=False), acknowledged(new[1]))
    loop.apply(answered(_batch(new), *outcomes))
    assert kinds(again(loop, MOVED + NS_PER_S)) == [ClearAll]


def test_a_lost_reply_pulls_everything_and_sends_nothing_twice() -> None:
    loop, _, new = replacing()
    loop.apply(answered(_batch(new), lost(new[0]), acknowledged(new[1])))
    assert kinds(again(loop, MOVED + NS_PER_S)) == [ClearAll]


def test_a_post_only_reject_waits_for_a_newer_book_and_then_quotes_another_price() -> None:
    loop, old, new = replacing()
    loop.apply(answered(_batch(new), *(acknowledged(order) for order in new)))
    at_ns = MOVED + NS_PER_S
    loop.apply(book(at_ns, mid=600_100))
    post_only = RejectReason.POST_ONLY
    loop.apply(update(new[0], at_ns + 1, resting=False, reason=post_only))
    loop.apply(update(old[0], at_ns + 1, resting=False))
    loop.apply(account(at_ns + 2))
    assert loop.decide(at_ns + 2) == [], "the same book would give the same price"
    loop.apply(FeedAlive(received_ns=at_ns + 3))
    assert loop.decide(at_ns + 3) == [], "a heartbeat shows no newer book"
    (fresh,) = [one for one in sent(again(loop, at_ns + 4)).orders if one.side is Side.BUY]
    assert fresh.replaces is None


def test_three_vanished_orders_in_a_row_start_the_market_over() -> None:
    loop, _ = resting_pair()
    at_ns = MOVED
    for turn in range(3):
        loop.apply(Tick(at_ns))
        batch = sent(again(loop, at_ns, mid=600_000 + 100 * (turn + 1)))
        outcomes = [
            rejected(order, RejectReason.UNKNOWN_ORDER, gone=True) for order in batch.orders
        ]
        loop.apply(answered(batch, *outcomes))
        for order in batch.orders:
            if order.replaces:
                loop.apply(Settled(client_order_id=order.replaces, resting=False))
        at_ns += NS_PER_S
    assert kinds(again(loop, at_ns)) == [ClearAll]


# --- the reconciler --------------------------------------------------------------------------


def test_a_ghost_is_asked_about_once_and_its_slot_freed() -> None:
    loop, (bid, ask) = resting_pair()
    loop.apply(AuditBegun())
    loop.apply(Audited(resting=(ask.client_order_id,), asked_ns=MOVED))
    assert again(loop, MOVED, mid=600_000) == [AskFate(bid.client_order_id)]
    loop.apply(Settled(client_order_id=bid.client_order_id, resting=False))
    (fresh,) = sent(again(loop, MOVED + NS_PER_S, mid=600_000)).orders
    assert (fresh.slot, fresh.replaces) == (bid.slot, None)


def test_an_order_that_came_to_rest_while_the_list_was_read_is_no_ghost() -> None:
    loop = make_loop(capabilities=STEPWISE, parameters=ONE_LEVEL)
    loop.apply(account(NS_PER_S))
    loop.apply(book(NS_PER_S))
    batch = sent(loop.decide(NS_PER_S))
    loop.apply(AuditBegun())
    loop.apply(answered(batch, *(acknowledged(order) for order in batch.orders)))
    for order in batch.orders:
        loop.apply(update(order, NS_PER_S))
    loop.apply(Audited(resting=(), asked_ns=NS_PER_S))
    assert loop.decide(NS_PER_S + 1) == []


def test_an_orphan_of_an_older_epoch_is_cancelled_at_once() -> None:
    loop, (bid, ask) = resting_pair()
    orphan = _named(epoch=0, cycle=7)
    ids = (bid.client_order_id, ask.client_order_id, orphan)
    loop.apply(Audited(resting=ids, asked_ns=MOVED))
    assert again(loop, MOVED, mid=600_000) == [Withdraw(orphan)]


def test_an_orphan_of_this_epoch_has_to_be_seen_twice() -> None:
    loop, (bid, ask) = resting_pair()
    orphan = _named(epoch=1, cycle=99)
    ids = (bid.client_order_id, ask.client_order_id, orphan)
    loop.apply(Audited(resting=ids, asked_ns=MOVED))
    assert again(loop, MOVED, mid=600_000) == []
    loop.apply(Audited(resting=ids, asked_ns=MOVED + 1))
    assert again(loop, MOVED + 1, mid=600_000) == [Withdraw(orphan)]


def test_orders_of_others_are_left_alone_and_counted() -> None:
    loop, (bid, ask) = resting_pair()
    stranger = OrderIdentity(tag="another", epoch=1, cycle=1, slot=Slot(Side.BUY, 0)).encode()
    ids = (bid.client_order_id, ask.client_order_id, None, "by-hand", stranger)
    for _ in range(3):
        loop.apply(Audited(resting=ids, asked_ns=MOVED))
        assert again(loop, MOVED, mid=600_000) == []
    assert loop.progress(LatencySamples()).foreign_orders == 3


def _batch(orders: tuple[NewOrder, ...]) -> Batch:
    return Batch(batch_id="b", symbol="BTC-PERP", orders=orders)


def _buys(action: Action) -> bool:
    return isinstance(action, SendBatch) and any(
        order.side is Side.BUY for order in action.approved.value.orders
    )


def _named(*, epoch: int, cycle: int) -> str:
    slot = Slot(Side.BUY, 0)
    return OrderIdentity(tag=MARKET.tag, epoch=epoch, cycle=cycle, slot=slot).encode()
