"""What rests no more is said once and with a word; what the venue never took is not said."""

from desk.orders import RejectReason
from desk.units import NS_PER_S
from quoting.inbox import Cleared, Settled
from quoting.loop import MarketLoop
from tests.quoting.builders import (
    STEPWISE,
    accepted,
    book,
    change,
    fill,
    quoting_loop,
    refused,
    sent,
    unresolved,
)
from tests.quoting.stepwise import update


def gone(loop: MarketLoop) -> dict[str, str]:
    told = loop.orders.take_gone()
    assert len({one for one, _ in told}) == len(told), "none is told twice"
    return dict(told)


def cleared(now_ns: int) -> Cleared:
    return Cleared(verified=True, attempts=1, message="", at_ns=now_ns)


def test_a_ladder_that_is_replaced_has_ended() -> None:
    loop, first = quoting_loop()
    loop.apply(book(3 * NS_PER_S, 610_000))
    second = sent(loop.decide(3 * NS_PER_S))
    assert gone(loop) == {}, "until the venue answers both may rest"
    loop.apply(accepted(second))
    assert gone(loop) == {one.client_order_id: "cancelled" for one in first.orders}
    assert gone(loop) == {}
    assert {one.order for one in loop.orders.open} == set(second.orders)


def test_an_order_that_was_filled_has_ended_and_the_others_rest() -> None:
    loop, batch = quoting_loop()
    bid = batch.orders[0]
    sign = bid.side.sign
    part = fill("t1", bid.side, bid.price, bid.lots - 1, bid.client_order_id)
    loop.apply(change(2 * NS_PER_S, sign * part.lots, part))
    assert gone(loop) == {}
    rest = fill("t2", bid.side, bid.price, 1, bid.client_order_id)
    loop.apply(change(2 * NS_PER_S, sign * bid.lots, rest))
    assert gone(loop) == {bid.client_order_id: "filled"}


def test_what_the_venue_refused_never_rested() -> None:
    loop, _ = quoting_loop()
    loop.apply(book(3 * NS_PER_S, 610_000))
    second = sent(loop.decide(3 * NS_PER_S))
    loop.apply(refused(second, RejectReason.POST_ONLY, old_gone=False))
    assert not set(gone(loop)) & {one.client_order_id for one in second.orders}


def test_an_unknown_outcome_ends_when_the_market_is_cleared() -> None:
    loop, first = quoting_loop()
    loop.apply(book(3 * NS_PER_S, 610_000))
    second = sent(loop.decide(3 * NS_PER_S))
    loop.apply(unresolved(second))
    loop.decide(3 * NS_PER_S)
    assert gone(loop) == {}
    loop.apply(cleared(4 * NS_PER_S))
    ids = [one.client_order_id for one in (*first.orders, *second.orders)]
    assert gone(loop) == dict.fromkeys(ids, "cleared")


def test_an_end_that_was_not_asked_for_keeps_the_venues_word() -> None:
    loop, batch = quoting_loop(capabilities=STEPWISE)
    bid, *_ = batch.orders
    loop.apply(update(bid, 2 * NS_PER_S))
    loop.apply(update(bid, 2 * NS_PER_S, resting=False, reason=RejectReason.POST_ONLY))
    assert gone(loop) == {bid.client_order_id: RejectReason.POST_ONLY.value}


def test_an_order_the_venue_does_not_know_has_ended() -> None:
    loop, batch = quoting_loop(capabilities=STEPWISE)
    bid, *_ = batch.orders
    loop.apply(update(bid, 2 * NS_PER_S))
    loop.orders.doubt(bid.client_order_id, 2 * NS_PER_S)
    loop.apply(Settled(client_order_id=bid.client_order_id, resting=False))
    assert gone(loop) == {bid.client_order_id: "not at the venue"}
