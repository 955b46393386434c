"""Plans: when a requote is due, what it touches, and what never waits."""

from dataclasses import replace
from decimal import Decimal

import pytest

from desk.identity import OrderIdentity, Slot
from desk.orders import Batch
from desk.planning import PlanReason, PlanRules, plan
from desk.quoting.decide import TargetLevel
from desk.units import Lots, Side, Ticks
from desk.working import WorkingOrder, WorkingState
from tests.desk.planning_samples import ATOMIC, STEPS, TAG, level, shown

LADDER = tuple(
    level(side, depth, 100_000 - side.sign * (10 + 10 * depth)) for side in Side for depth in (0, 1)
)
OPEN = [
    (WorkingState.IN_FLIGHT, PlanReason.IN_FLIGHT),
    (WorkingState.CANCELLING, PlanReason.CANCELLING),
    (WorkingState.UNRESOLVED, PlanReason.UNRESOLVED),
]


def send(
    target: tuple[TargetLevel, ...],
    working: tuple[WorkingOrder, ...],
    rules: PlanRules,
    *,
    cycle: int = 2,
) -> Batch | None:
    return plan(
        target, working, rules=rules, identity=(TAG, 1, cycle), now_ns=0, last_sent_ns=None
    ).batch


def test_first_ladder_is_placed_whole_with_ids_that_decode() -> None:
    for rules in (ATOMIC, STEPS):
        batch = send(LADDER, (), rules, cycle=77)
        assert batch is not None
        assert (batch.batch_id, batch.symbol) == (f"b{TAG}-1-25", rules.symbol)
        assert batch.replace_all is rules.atomic_ladder
        placed = {(order.slot, order.price, order.lots) for order in batch.orders}
        assert placed == {(wanted.slot, wanted.price, wanted.lots) for wanted in LADDER}
        for order in batch.orders:
            identity = OrderIdentity(tag=TAG, epoch=1, cycle=77, slot=order.slot)
            assert OrderIdentity.decode(order.client_order_id) == identity
            assert order.side is order.slot.side
            assert order.post_only
            assert not order.reduce_only


@pytest.mark.parametrize("rules", [ATOMIC, STEPS])
def test_a_ladder_as_wanted_is_left_alone(rules: PlanRules) -> None:
    answer = plan(
        LADDER, shown(LADDER), rules=rules, identity=(TAG, 1, 2), now_ns=0, last_sent_ns=None
    )
    assert (answer.batch, answer.reason) == (None, PlanReason.UNCHANGED)
    assert answer.retry_at_ns is None


@pytest.mark.parametrize("rules", [ATOMIC, STEPS])
def test_price_tolerance_ends_exactly_where_it_says(rules: PlanRules) -> None:
    # Half a basis point of 100 000 ticks is five.
    wanted = (level(Side.BUY, 0, 100_000),)
    for drift, changed in ((5, False), (-5, False), (6, True), (-6, True)):
        resting = shown((level(Side.BUY, 0, 100_000 + drift),))
        assert (send(wanted, resting, rules) is not None) is changed


@pytest.mark.parametrize(
    ("size", "remaining", "changed"),
    [
        (100, 100, False),
        (120, 120, False),
        (121, 121, True),
        (121, 120, False),
        (80, 80, False),
        (79, 79, True),
        (100, 79, False),
        (100, 50, False),
        (100, 49, True),
    ],
)
def test_size_is_left_alone_within_a_fifth_and_refilled_below_half(
    size: Lots, remaining: Lots, changed: bool
) -> None:
    wanted = (level(Side.SELL, 0, 100_000, 100),)
    (resting,) = shown((level(Side.SELL, 0, 100_000, size),))
    working = (replace(resting, remaining=remaining),)
    for rules in (ATOMIC, STEPS):
        assert (send(wanted, working, rules) is not None) is changed


def test_an_atomic_ladder_is_resent_whole_for_one_level() -> None:
    moved = (replace(LADDER[0], price=LADDER[0].price - 50), *LADDER[1:])
    batch = send(moved, shown(LADDER), ATOMIC)
    assert batch is not None
    assert batch.replace_all
    assert not batch.cancels
    assert [order.price for order in batch.orders] == [wanted.price for wanted in moved]


def test_an_atomic_ladder_is_resent_when_something_extra_rests() -> None:
    extra = (*LADDER, level(Side.BUY, 2, 99_000))
    batch = send(LADDER, shown(extra), ATOMIC)
    assert batch is not None
    assert len(batch.orders) == len(LADDER)


def test_an_atomic_ladder_longer_than_a_batch_keeps_its_innermost_levels() -> None:
    short = replace(ATOMIC, max_batch_orders=2)
    batch = send(LADDER, (), short)
    assert batch is not None
    assert {order.slot for order in batch.orders} == {Slot(side, 0) for side in Side}
    assert send(LADDER, shown(LADDER[::2]), short) is None


def test_step_by_step_only_what_changed_is_touched() -> None:
    moved = (replace(LADDER[0], price=LADDER[0].price - 50), *LADDER[1:])
    resting = shown((*LADDER, level(Side.BUY, 5, 90_000)))
    batch = send(moved, resting, STEPS)
    assert batch is not None
    (order,) = batch.orders
    assert (order.slot, order.price) == (moved[0].slot, moved[0].price)
    assert order.replaces == resting[0].order.client_order_id
    assert batch.cancels == (resting[-1].order.client_order_id,)

    batch = send(moved, resting, replace(STEPS, replaces_orders=False))
    assert batch is not None
    assert batch.orders[0].replaces is None
    assert set(batch.cancels) == {w.order.client_order_id for w in (resting[0], resting[-1])}


def test_two_orders_in_one_slot_become_one() -> None:
    (first,) = shown(LADDER[:1])
    (second,) = shown(LADDER[:1], cycle=9)
    batch = send(LADDER[:1], (first, second), STEPS)
    assert batch is not None
    assert not batch.orders
    assert batch.cancels == (second.order.client_order_id,)


@pytest.mark.parametrize(("state", "reason"), OPEN)
def test_one_open_order_holds_an_atomic_ladder(state: WorkingState, reason: PlanReason) -> None:
    first, *others = shown(LADDER)
    working = (replace(first, state=state), *others)
    for target in ((), LADDER[:2]):
        answer = plan(
            target, working, rules=ATOMIC, identity=(TAG, 1, 2), now_ns=0, last_sent_ns=None
        )
        assert (answer.batch, answer.reason) == (None, reason)


@pytest.mark.parametrize(("state", "reason"), OPEN)
def test_one_open_order_holds_its_slot_alone(state: WorkingState, reason: PlanReason) -> None:
    first, *others = shown(LADDER)
    working = (replace(first, state=state), *others)
    moved = tuple(
        replace(wanted, price=wanted.price - 50 * wanted.slot.side.sign) for wanted in LADDER
    )
    batch = send(moved, working, STEPS)
    assert batch is not None
    assert {order.slot for order in batch.orders} == {wanted.slot for wanted in LADDER[1:]}
    answer = plan(LADDER, working, rules=STEPS, identity=(TAG, 1, 2), now_ns=0, last_sent_ns=None)
    assert (answer.batch, answer.reason) == (None, reason)


def test_the_gravest_open_state_is_the_reason() -> None:
    states = [state for state, _ in OPEN]
    working = tuple(replace(w, state=s) for w, s in zip(shown(LADDER[:3]), states, strict=True))
    answer = plan((), working, rules=ATOMIC, identity=(TAG, 1, 2), now_ns=0, last_sent_ns=None)
    assert answer.reason is PlanReason.UNRESOLVED


def test_closed_orders_hold_nothing() -> None:
    closed = tuple(replace(w, state=WorkingState.CLOSED) for w in shown(LADDER))
    for rules in (ATOMIC, STEPS):
        batch = send(LADDER, closed, rules)
        assert batch is not None
        assert len(batch.orders) == len(LADDER)


@pytest.mark.parametrize("rules", [ATOMIC, STEPS])
def test_a_requote_waits_for_the_debounce_and_says_until_when(rules: PlanRules) -> None:
    moved = tuple(replace(wanted, price=wanted.price - 9) for wanted in LADDER)
    early = plan(
        moved, shown(LADDER), rules=rules, identity=(TAG, 1, 2), now_ns=1_099, last_sent_ns=1_000
    )
    assert (early.batch, early.reason) == (None, PlanReason.DEBOUNCED)
    assert early.retry_at_ns == 1_100
    due = plan(
        moved, shown(LADDER), rules=rules, identity=(TAG, 1, 2), now_ns=1_100, last_sent_ns=1_000
    )
    assert due.batch is not None
    assert due.reason is PlanReason.REQUOTE


@pytest.mark.parametrize("rules", [ATOMIC, STEPS])
def test_pulling_quotes_does_not_wait(rules: PlanRules) -> None:
    working = shown(LADDER)
    answer = plan((), working, rules=rules, identity=(TAG, 1, 2), now_ns=0, last_sent_ns=0)
    assert answer.reason is PlanReason.PULL
    assert answer.batch is not None
    assert not answer.batch.orders
    gone = {w.order.client_order_id for w in working}
    assert answer.batch.replace_all or set(answer.batch.cancels) == gone


@pytest.mark.parametrize("rules", [ATOMIC, STEPS])
def test_pulling_one_side_does_not_wait(rules: PlanRules) -> None:
    asks = tuple(wanted for wanted in LADDER if wanted.slot.side is Side.SELL)
    answer = plan(asks, shown(LADDER), rules=rules, identity=(TAG, 1, 2), now_ns=0, last_sent_ns=0)
    assert answer.reason is PlanReason.UNSAFE
    assert answer.batch is not None


@pytest.mark.parametrize("rules", [ATOMIC, STEPS])
@pytest.mark.parametrize(("jump", "urgent"), [(19, False), (20, True), (-19, False), (-20, True)])
def test_a_quote_on_the_wrong_side_of_the_target_does_not_wait(
    rules: PlanRules, jump: Ticks, urgent: bool
) -> None:
    tight = (level(Side.BUY, 0, 99_990), level(Side.SELL, 0, 100_010))
    moved = tuple(replace(wanted, price=wanted.price + jump) for wanted in tight)
    answer = plan(moved, shown(tight), rules=rules, identity=(TAG, 1, 2), now_ns=0, last_sent_ns=0)
    assert answer.reason is (PlanReason.UNSAFE if urgent else PlanReason.DEBOUNCED)
    assert (answer.batch is not None) is urgent


def test_a_quote_within_tolerance_still_goes_when_it_meets_the_other_side() -> None:
    wide = replace(STEPS, tolerance_bps=Decimal(10))
    tight = (level(Side.BUY, 0, 99_999), level(Side.SELL, 0, 100_000))
    batch = send(tight, shown((level(Side.BUY, 0, 100_000),)), wide)
    assert batch is not None
    assert {order.slot.side for order in batch.orders} == set(Side)


def test_what_does_not_fit_a_batch_waits_and_wrong_quotes_go_first() -> None:
    short = replace(STEPS, max_batch_orders=1)
    moved = replace(LADDER[1], price=LADDER[1].price - 50)
    answer = plan(
        (LADDER[0], moved),
        shown((LADDER[1],)),
        rules=short,
        identity=(TAG, 1, 2),
        now_ns=500,
        last_sent_ns=None,
    )
    assert answer.batch is not None
    assert [order.slot for order in answer.batch.orders] == [moved.slot]
    assert answer.retry_at_ns == 600


def test_an_unsafe_quote_that_cannot_be_replaced_now_is_cancelled() -> None:
    short = replace(STEPS, max_batch_orders=1)
    moved = tuple(replace(wanted, price=wanted.price + 50) for wanted in LADDER)
    working = shown(LADDER)
    batch = send(moved, working, short)
    assert batch is not None
    asks = {w.order.client_order_id for w in working if w.order.side is Side.SELL}
    replaced = {order.replaces for order in batch.orders}
    assert set(batch.cancels) | replaced >= asks


def test_no_level_is_placed_into_an_open_order_of_ours() -> None:
    (ask,) = shown((level(Side.SELL, 0, 100_010),))
    lost = replace(ask, state=WorkingState.UNRESOLVED)
    target = (
        level(Side.BUY, 0, 100_010),
        level(Side.BUY, 1, 100_009),
        level(Side.SELL, 0, 100_030),
    )
    batch = send(target, (lost,), STEPS)
    assert batch is not None
    assert [order.slot for order in batch.orders] == [target[1].slot]


def test_an_unsafe_quote_goes_even_from_a_slot_with_an_open_order() -> None:
    (stale,) = shown((level(Side.SELL, 0, 100_010),))
    (other,) = shown((level(Side.SELL, 0, 100_040),), cycle=9)
    lost = replace(other, state=WorkingState.UNRESOLVED)
    target = (level(Side.BUY, 0, 100_020), level(Side.SELL, 0, 100_040))
    batch = send(target, (stale, lost), STEPS)
    assert batch is not None
    assert batch.cancels == (stale.order.client_order_id,)
    assert [order.slot for order in batch.orders] == [target[0].slot]


def test_an_unsafe_quote_goes_even_when_its_new_level_must_wait() -> None:
    (stale,) = shown((level(Side.BUY, 0, 100_030),))
    (other,) = shown((level(Side.SELL, 1, 100_005),), cycle=9)
    lost = replace(other, state=WorkingState.UNRESOLVED)
    target = (level(Side.BUY, 0, 100_010), level(Side.SELL, 0, 100_020))
    batch = send(target, (stale, lost), STEPS)
    assert batch is not None
    assert batch.cancels == (stale.order.client_order_id,)
    assert [order.slot for order in batch.orders] == [target[1].slot]
