"""What could not be sent, or names an order that is gone, is no refusal of the place itself."""

from dataclasses import replace

from desk.lifecycle import SessionReason
from desk.orders import RejectReason
from desk.units import NS_PER_S
from desk.working import WorkingState
from quoting.actions import AskFate, Leave
from quoting.inbox import Tick
from quoting.refusals import Refusals
from tests.quoting.builders import (
    INSTRUMENT,
    STEPWISE,
    accepted,
    account,
    book,
    make_loop,
    refused,
    sent,
)
from tests.quoting.stepwise import ONE_LEVEL
from tests.quoting.test_stepwise_loop import again

PLAIN = replace(STEPWISE, replaces_orders=False, pushes_order_updates=False, venue_dead_man=False)


def test_batches_that_cannot_be_sent_end_the_session_until_they_can() -> None:
    loop = make_loop(capabilities=PLAIN, parameters=ONE_LEVEL)
    at_ns = NS_PER_S
    for _ in range(5):
        batch = sent(again(loop, at_ns))
        loop.apply(refused(batch, RejectReason.NOT_SENT, old_gone=None))
        at_ns += NS_PER_S
    (leave,) = again(loop, at_ns)
    assert isinstance(leave, Leave)
    assert leave.reason is SessionReason.FEED, "a hold that is tried again, not a pause"


def test_a_batch_that_went_in_part_is_a_sign_that_the_venue_can_be_reached() -> None:
    """The rest of a large ladder may have waited too long for a connection, time after time."""
    batch = sent(again(make_loop(capabilities=PLAIN, parameters=ONE_LEVEL), NS_PER_S))
    unsent = refused(batch, RejectReason.NOT_SENT, old_gone=None).outcome
    went = (*accepted(batch).outcome.orders[:1], *unsent.orders[1:])
    refusals = Refusals(INSTRUMENT)
    for _ in range(4):
        refusals.hear(unsent, NS_PER_S)
    refusals.hear(replace(unsent, orders=went), NS_PER_S)
    refusals.hear(unsent, NS_PER_S)
    assert refusals.must_leave() is None
    for _ in range(4):
        refusals.hear(unsent, NS_PER_S)
    assert refusals.must_leave() is not None


def test_a_cancel_of_an_order_that_is_gone_is_settled_by_asking() -> None:
    loop = make_loop(capabilities=PLAIN, parameters=ONE_LEVEL)
    loop.apply(Tick(NS_PER_S))
    loop.apply(account(NS_PER_S))
    loop.apply(book(NS_PER_S))
    first = sent(loop.decide(NS_PER_S))
    loop.apply(accepted(first))
    second = sent(again(loop, 2 * NS_PER_S, mid=600_100))
    assert set(second.cancels) == {order.client_order_id for order in first.orders}
    loop.apply(refused(second, RejectReason.UNKNOWN_ORDER, old_gone=False))
    assert {one.state for one in loop.orders.open} == {WorkingState.SETTLING}
    asked = again(loop, 3 * NS_PER_S)
    assert asked == [AskFate(order.client_order_id) for order in first.orders]
