"""The step function: what it sends, when it pulls everything, and when it leaves."""

from dataclasses import replace
from decimal import Decimal

import pytest

from desk.lifecycle import SessionReason
from desk.market import BookDelta, FeedLost
from desk.orders import AccountLost, RejectReason
from desk.records import Kill, LedgerFacts
from desk.risk.limits import RiskLimits
from desk.units import NS_PER_S, Side
from quoting.actions import Action, ClearAll, Leave, Resnapshot, SendBatch
from quoting.inbox import Audited, Cleared, Tick
from quoting.loop import MarketLoop
from quoting.progress import LatencySamples
from tests.quoting.builders import (
    EMPTY,
    accepted,
    account,
    book,
    change,
    fill,
    make_loop,
    permit,
    quoting_loop,
    refused,
    sent,
    unresolved,
)


def kinds(actions: list[Action]) -> list[type]:
    return [type(action) for action in actions]


def leave(actions: list[Action]) -> Leave:
    (action,) = actions
    assert isinstance(action, Leave)
    return action


def cleared(loop: MarketLoop, now_ns: int, *, verified: bool = True) -> None:
    loop.apply(Cleared(verified=verified, attempts=1, message="still there", at_ns=now_ns))


def test_nothing_is_sent_before_book_and_account_are_known() -> None:
    loop = make_loop()
    assert loop.decide(NS_PER_S) == []
    loop.apply(book(NS_PER_S))
    assert loop.decide(NS_PER_S) == []
    loop.apply(account(NS_PER_S))
    assert kinds(loop.decide(NS_PER_S)) == [SendBatch]


def test_the_first_ladder_is_symmetric_post_only_and_identified() -> None:
    _, batch = quoting_loop()
    assert batch.replace_all
    assert len(batch.orders) == 6
    assert all(order.post_only for order in batch.orders)
    bids = [order.price for order in batch.orders if order.side is Side.BUY]
    asks = [order.price for order in batch.orders if order.side is Side.SELL]
    assert [600_000 - price for price in bids] == [price - 600_000 for price in asks]


def test_an_unchanged_market_needs_no_new_ladder() -> None:
    loop, _ = quoting_loop()
    loop.apply(book(2 * NS_PER_S))
    assert loop.decide(2 * NS_PER_S) == []


def test_a_moved_market_is_requoted_after_the_debounce_only() -> None:
    loop, _ = quoting_loop()
    loop.apply(book(NS_PER_S + 1, mid=600_100))
    assert loop.decide(NS_PER_S + 1) == []
    later = 2 * NS_PER_S
    assert kinds(loop.decide(later)) == [SendBatch]


def test_only_one_ladder_is_in_flight() -> None:
    loop, _ = quoting_loop()
    loop.apply(book(2 * NS_PER_S, mid=601_000))
    assert kinds(loop.decide(2 * NS_PER_S)) == [SendBatch]
    loop.apply(book(4 * NS_PER_S, mid=602_000))
    assert loop.decide(4 * NS_PER_S) == []


@pytest.mark.parametrize(
    "trouble",
    [
        FeedLost(reason="cut", received_ns=2 * NS_PER_S),
        AccountLost(reason="cut", received_ns=2 * NS_PER_S),
    ],
)
def test_a_lost_stream_pulls_everything_and_waits(trouble: FeedLost | AccountLost) -> None:
    loop, _ = quoting_loop()
    loop.apply(trouble)
    assert kinds(loop.decide(2 * NS_PER_S)) == [ClearAll]
    assert loop.decide(2 * NS_PER_S) == []
    cleared(loop, 3 * NS_PER_S)
    assert loop.decide(3 * NS_PER_S) == []
    loop.apply(account(4 * NS_PER_S))
    loop.apply(book(4 * NS_PER_S))
    assert kinds(loop.decide(4 * NS_PER_S)) == [SendBatch]


def test_a_stale_book_is_noticed_by_its_age_though_the_socket_lives() -> None:
    loop, _ = quoting_loop()
    assert kinds(loop.decide(7 * NS_PER_S)) == [ClearAll]


def test_patience_with_a_dead_feed_ends() -> None:
    loop, _ = quoting_loop()
    loop.apply(FeedLost(reason="cut", received_ns=2 * NS_PER_S))
    loop.decide(2 * NS_PER_S)
    cleared(loop, 3 * NS_PER_S)
    loop.decide(3 * NS_PER_S)
    assert leave(loop.decide(70 * NS_PER_S)).reason is SessionReason.FEED


def test_a_crossed_book_pulls_and_asks_for_a_new_one() -> None:
    loop, _ = quoting_loop()
    loop.apply(
        BookDelta(
            bids=[(600_500, 10)], asks=[], sequence=None, previous=None, received_ns=2 * NS_PER_S
        )
    )
    assert kinds(loop.decide(2 * NS_PER_S)) == [ClearAll, Resnapshot]


def test_an_unknown_outcome_is_cleared_and_never_repeated() -> None:
    loop, _ = quoting_loop()
    loop.apply(book(2 * NS_PER_S, mid=601_000))
    second = sent(loop.decide(2 * NS_PER_S))
    loop.apply(unresolved(second))
    assert kinds(loop.decide(3 * NS_PER_S)) == [ClearAll]
    loop.apply(book(4 * NS_PER_S, mid=601_000))
    assert loop.decide(4 * NS_PER_S) == []
    cleared(loop, 5 * NS_PER_S)
    loop.apply(book(5 * NS_PER_S, mid=601_000))
    third = sent(loop.decide(5 * NS_PER_S))
    assert {order.client_order_id for order in third.orders}.isdisjoint(
        order.client_order_id for order in second.orders
    )


def test_a_clearing_that_fails_ends_the_session() -> None:
    loop, _ = quoting_loop()
    loop.apply(FeedLost(reason="cut", received_ns=2 * NS_PER_S))
    loop.decide(2 * NS_PER_S)
    cleared(loop, 20 * NS_PER_S, verified=False)
    assert leave(loop.decide(20 * NS_PER_S)).reason is SessionReason.NOT_CLEARED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lease_until_ns": 0}, SessionReason.LEASE),
        ({"board_until_ns": 0}, SessionReason.BOARD),
        ({"kill_file": True}, SessionReason.KILLED),
        (
            {"kills": (Kill(scope="fleet", reason="drill", by="ana", at_ms=0),)},
            SessionReason.KILLED,
        ),
        ({"ledger_behind_s": 60.0}, SessionReason.LEDGER),
        ({"clock_offset_ms": 10_000}, SessionReason.CLOCK),
        ({"clock_offset_ms": -10_000}, SessionReason.CLOCK),
        ({"clock_offset_ms": None}, SessionReason.CLOCK),
    ],
)
def test_without_a_permit_nothing_is_sent(
    changes: dict[str, object], reason: SessionReason
) -> None:
    given = permit()
    loop, _ = quoting_loop(given=given)
    for name, value in changes.items():
        setattr(given, name, value)
    loop.apply(book(3 * NS_PER_S, mid=700_000))
    assert leave(loop.decide(3 * NS_PER_S)).reason is reason
    assert loop.decide(4 * NS_PER_S) == []


def test_a_drawdown_from_the_peak_leaves_once_its_price_stood() -> None:
    loop, batch = quoting_loop(limits=RiskLimits(max_drawdown=Decimal(5)))
    bid = batch.orders[0]
    loop.apply(change(2 * NS_PER_S, bid.lots, fill("a", Side.BUY, bid.price, bid.lots)))
    loop.apply(book(2 * NS_PER_S))
    assert not any(isinstance(action, Leave) for action in loop.decide(2 * NS_PER_S))
    done = []
    for tenth in range(30, 50):
        loop.apply(book(tenth * NS_PER_S // 10, mid=590_000))
        done += loop.decide(tenth * NS_PER_S // 10)
    action = leave(done[-1:])
    assert not any(isinstance(before, SendBatch) for before in done)
    assert action.reason is SessionReason.DRAWDOWN
    assert "below its peak" in action.message


def test_the_peak_of_an_earlier_session_still_counts() -> None:
    facts = LedgerFacts(
        fills=9,
        position=0,
        cash=Decimal(0),
        fees=Decimal(0),
        last_trade_ms=1,
        peak_pnl=Decimal(500),
    )
    loop = make_loop(facts=facts)
    loop.apply(account(NS_PER_S))
    loop.apply(book(NS_PER_S))
    assert leave(loop.decide(NS_PER_S)).reason is SessionReason.DRAWDOWN


def test_a_fill_is_taken_once_however_often_it_is_told() -> None:
    loop, batch = quoting_loop()
    bid = batch.orders[0]
    told = fill("a", Side.BUY, bid.price, bid.lots)
    assert loop.apply(change(2 * NS_PER_S, bid.lots, told)) == (told,)
    assert loop.apply(change(2 * NS_PER_S, bid.lots, told)) == ()
    assert loop.apply(account(3 * NS_PER_S, bid.lots, (told,))) == ()
    assert loop.progress(LatencySamples()).fills == 1


def test_fills_of_the_ledger_are_not_taken_again() -> None:
    loop = make_loop(known=frozenset({"a"}), facts=EMPTY)
    assert loop.apply(account(NS_PER_S, 0, (fill("a", Side.BUY, 1, 1),))) == ()


def test_inventory_moves_both_sides_down() -> None:
    loop, batch = quoting_loop()
    lots = 50
    loop.apply(change(2 * NS_PER_S, lots, fill("a", Side.BUY, batch.orders[0].price, lots)))
    loop.apply(book(2 * NS_PER_S))
    moved = sent(loop.decide(2 * NS_PER_S))
    assert moved.orders[0].price < batch.orders[0].price
    asks = [order.price for order in moved.orders if order.side is Side.SELL]
    before = [order.price for order in batch.orders if order.side is Side.SELL]
    assert asks[0] < before[0]


def test_a_position_the_fills_do_not_explain_ends_the_session() -> None:
    loop, _ = quoting_loop()
    loop.apply(change(2 * NS_PER_S, 77))
    for second in range(2, 9):
        loop.apply(book(second * NS_PER_S))
        actions = loop.decide(second * NS_PER_S)
    assert leave(actions).reason is SessionReason.RESYNC


def test_after_a_margin_refusal_only_the_reducing_side_is_quoted() -> None:
    loop, batch = quoting_loop()
    lots = batch.orders[0].lots
    loop.apply(change(2 * NS_PER_S, lots, fill("a", Side.BUY, batch.orders[0].price, lots)))
    loop.apply(book(2 * NS_PER_S))
    second = sent(loop.decide(2 * NS_PER_S))
    loop.apply(refused(second, RejectReason.MARGIN, old_gone=None))
    assert kinds(loop.decide(2 * NS_PER_S)) == [ClearAll]
    cleared(loop, 3 * NS_PER_S)
    loop.apply(book(3 * NS_PER_S))
    third = sent(loop.decide(3 * NS_PER_S))
    assert {order.side for order in third.orders} == {Side.SELL}


def test_refused_credentials_end_the_session() -> None:
    loop, batch = quoting_loop()
    loop.apply(refused(batch, RejectReason.AUTH, old_gone=False))
    assert leave(loop.decide(2 * NS_PER_S)).reason is SessionReason.REFUSED


def test_an_audit_that_disagrees_twice_clears_the_market() -> None:
    loop, batch = quoting_loop()
    ids = tuple(order.client_order_id for order in batch.orders)
    for second in (10, 25):
        loop.apply(book(second * NS_PER_S))
        loop.apply(Audited(resting=(*ids, "stranger"), asked_ns=second * NS_PER_S))
    assert kinds(loop.decide(25 * NS_PER_S)) == [ClearAll]


def test_an_audit_that_agrees_is_forgotten() -> None:
    loop, batch = quoting_loop()
    ids = tuple(order.client_order_id for order in batch.orders)
    loop.apply(book(30 * NS_PER_S))
    loop.apply(Audited(resting=(*ids, "stranger"), asked_ns=10 * NS_PER_S))
    loop.apply(Audited(resting=ids, asked_ns=20 * NS_PER_S))
    loop.apply(Audited(resting=(*ids, "stranger"), asked_ns=30 * NS_PER_S))
    assert loop.decide(30 * NS_PER_S) == []


def test_after_leave_nothing_is_sent() -> None:
    loop, _ = quoting_loop()
    loop.leave()
    loop.apply(book(9 * NS_PER_S, mid=700_000))
    loop.apply(Tick(9 * NS_PER_S))
    assert loop.decide(9 * NS_PER_S) == []


def test_a_clearing_that_a_batch_overtook_is_made_again() -> None:
    loop, _ = quoting_loop()
    loop.apply(book(2 * NS_PER_S, mid=601_000))
    on_its_way = sent(loop.decide(2 * NS_PER_S))
    loop.apply(FeedLost(reason="cut", received_ns=2 * NS_PER_S))
    assert kinds(loop.decide(2 * NS_PER_S)) == [ClearAll]
    # The cancel-all was confirmed and zero was listed; then the batch arrived and rests.
    cleared(loop, 3 * NS_PER_S)
    assert loop.decide(3 * NS_PER_S) == []
    loop.apply(accepted(on_its_way))
    assert kinds(loop.decide(4 * NS_PER_S)) == [ClearAll]
    cleared(loop, 5 * NS_PER_S)
    assert loop.decide(5 * NS_PER_S) == []
    assert loop.progress(LatencySamples()).phase == "waiting"


def test_a_long_wait_told_by_the_venue_pulls_what_would_grow_stale() -> None:
    loop, _ = quoting_loop()
    loop.apply(book(2 * NS_PER_S, mid=600_100))
    second = sent(loop.decide(2 * NS_PER_S))
    told = refused(second, RejectReason.RATE_LIMITED, old_gone=False)
    loop.apply(replace(told, outcome=replace(told.outcome, retry_after_s=30.0)))
    assert kinds(loop.decide(2 * NS_PER_S)) == [ClearAll]
