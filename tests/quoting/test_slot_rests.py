"""A place of the ladder that is refused three times in a row rests; the others are quoted on.

The price differs each time: the very same request is not sent a fourth time (`test_breakers.py`).
"""

from dataclasses import replace
from decimal import Decimal

import pytest

from desk.identity import OrderIdentity, Slot
from desk.lifecycle import SessionReason
from desk.orders import Batch, BatchOutcome, NewOrder, OrderOutcome, OutcomeKind, RejectReason
from desk.quoting.decide import QuoteTarget, TargetLevel
from desk.units import NS_PER_S, Side
from quoting.actions import Action, ClearAll, Leave
from quoting.inbox import Answered, Cleared, Tick
from quoting.loop import MarketLoop
from quoting.progress import LatencySamples
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
from tests.quoting.stepwise import ONE_LEVEL, acknowledged, answered, update

OUTER = Slot(Side.SELL, 2)
BAND = RejectReason.PRICE_BAND
REST_S = 30


def name(cycle: int, slot: Slot = OUTER) -> str:
    return OrderIdentity(tag="0000000", epoch=1, cycle=cycle, slot=slot).encode()


def order(cycle: int, slot: Slot = OUTER) -> NewOrder:
    return NewOrder(client_order_id=name(cycle, slot), slot=slot, side=slot.side, price=1, lots=1)


def outcome(cycle: int, reason: RejectReason | None, slot: Slot = OUTER) -> BatchOutcome:
    """The answer to one order: refused for a reason, or accepted."""
    kind = OutcomeKind.REJECTED if reason else OutcomeKind.ACCEPTED
    one = OrderOutcome(client_order_id=name(cycle, slot), kind=kind, reason=reason)
    return BatchOutcome(batch_id="b", orders=(one,), old_gone=True, sent_ns=1)


def left(refusals: Refusals, now_ns: int) -> tuple[set[Slot], str]:
    """What of a ladder of two may be sent, and the reason it gives."""
    slots = (Slot(Side.BUY, 0), OUTER)
    target = QuoteTarget(
        levels=tuple(TargetLevel(slot=slot, price=1, lots=1) for slot in slots),
        spread_bps=Decimal(1),
        skew_bps=Decimal(0),
    )
    allowed = refusals.allowed(target, 0, now_ns)
    return {level.slot for level in allowed.levels}, allowed.reason


def heard(*reasons: RejectReason | None) -> Refusals:
    """Refusals after one answer a cycle for the outer slot."""
    refusals = Refusals(INSTRUMENT)
    for cycle, reason in enumerate(reasons):
        refusals.hear(outcome(cycle, reason), 0)
    return refusals


def test_the_third_refusal_in_a_row_rests_the_slot_alone_and_says_so() -> None:
    assert left(heard(BAND, BAND), 0) == ({Slot(Side.BUY, 0), OUTER}, "")
    slots, reason = left(heard(BAND, BAND, BAND), 0)
    assert slots == {Slot(Side.BUY, 0)}
    assert reason == "sell 2: rests, refused 3 times in a row (outside_price_band)"


def test_the_rest_ends_and_one_more_refusal_begins_another() -> None:
    refusals = heard(BAND, BAND, BAND)
    assert OUTER not in left(refusals, REST_S * NS_PER_S - 1)[0]
    assert OUTER in left(refusals, REST_S * NS_PER_S)[0]
    refusals.hear(outcome(3, BAND), REST_S * NS_PER_S)
    assert OUTER not in left(refusals, REST_S * NS_PER_S)[0]
    assert OUTER in left(refusals, 2 * REST_S * NS_PER_S)[0]


def test_an_accepted_order_in_between_starts_the_count_over() -> None:
    assert OUTER in left(heard(BAND, BAND, None, BAND, BAND), 0)[0]


@pytest.mark.parametrize(
    "routine",
    [
        RejectReason.POST_ONLY,
        RejectReason.RATE_LIMITED,
        RejectReason.UNKNOWN_ORDER,
        RejectReason.MARGIN,
    ],
)
def test_routine_refusals_do_not_count(routine: RejectReason) -> None:
    refusals = heard(BAND, BAND, routine)
    # A margin refusal has a rule of its own for half a minute: look after it.
    later = REST_S * NS_PER_S if routine is RejectReason.MARGIN else 0
    assert OUTER in left(refusals, later)[0]


def test_a_venue_that_told_us_to_wait_refused_no_slot() -> None:
    refusals = heard(BAND, BAND)
    refusals.hear(replace(outcome(2, BAND), retry_after_s=1.0), 0)
    assert OUTER in left(refusals, 0)[0]


def test_other_slots_do_not_add_to_the_count() -> None:
    refusals = heard(BAND, BAND)
    refusals.hear(outcome(2, BAND, Slot(Side.SELL, 1)), 0)
    assert OUTER in left(refusals, 0)[0]


def test_one_order_refused_counts_once_however_often_it_is_told() -> None:
    refusals = heard(BAND, BAND)
    told = update(order(1), 0, resting=False, reason=BAND)
    refusals.hear_update(told, 0)
    refusals.hear_update(told, 0)
    assert OUTER in left(refusals, 0)[0]


def test_an_acknowledgement_is_no_proof_where_refusals_came_after_it() -> None:
    refusals = Refusals(INSTRUMENT)
    for cycle in range(3):
        refusals.hear(outcome(cycle, None), 0)
        refusals.hear_update(update(order(cycle), 0, resting=False, reason=BAND), 0)
    assert OUTER not in left(refusals, 0)[0]


def test_an_order_that_rests_starts_the_count_over_unless_it_is_an_older_one() -> None:
    older, newer = heard(BAND, BAND), heard(BAND, BAND)
    older.hear_update(update(order(0), 0), 0)
    newer.hear_update(update(order(2), 0), 0)
    for refusals in (older, newer):
        refusals.hear(outcome(3, BAND), 0)
    assert OUTER not in left(older, 0)[0]
    assert OUTER in left(newer, 0)[0]


# --- in the loop -----------------------------------------------------------------------------


def again(loop: MarketLoop, at_s: int, mid: int) -> list[Action]:
    loop.apply(Tick(at_s * NS_PER_S))
    loop.apply(account(at_s * NS_PER_S))
    loop.apply(book(at_s * NS_PER_S, mid=mid))
    return loop.decide(at_s * NS_PER_S)


def without_outer(batch: Batch) -> Answered:
    """All accepted but the outermost ask."""
    whole = accepted(batch)
    orders = tuple(
        replace(one, kind=OutcomeKind.REJECTED, reason=BAND) if new.slot == OUTER else one
        for new, one in zip(batch.orders, whole.outcome.orders, strict=True)
    )
    return replace(whole, outcome=replace(whole.outcome, orders=orders))


def test_the_ladder_is_sent_without_the_slot_and_later_with_it_again() -> None:
    loop = make_loop()
    for second in (1, 2, 3):
        batch = sent(again(loop, second, 599_700 + 100 * second))
        assert OUTER in {one.slot for one in batch.orders}
        loop.apply(without_outer(batch))
    assert again(loop, 4, 600_000) == []
    assert "sell 2: rests" in loop.progress(LatencySamples()).reason
    moved = sent(again(loop, 5, 600_500))
    assert len(moved.orders) == 5
    assert OUTER not in {one.slot for one in moved.orders}
    loop.apply(accepted(moved))
    whole = sent(again(loop, 3 + REST_S, 600_500))
    assert OUTER in {one.slot for one in whole.orders}
    loop.apply(accepted(whole))
    again(loop, 4 + REST_S, 600_500)
    assert loop.progress(LatencySamples()).reason == ""


def test_a_slot_refused_after_its_acknowledgement_rests_too() -> None:
    loop = make_loop(capabilities=STEPWISE, parameters=ONE_LEVEL)
    sold: dict[str, NewOrder] = {}
    for second in (1, 2, 3):
        batch = sent(again(loop, second, 599_700 + 100 * second))
        loop.apply(answered(batch, *(acknowledged(one) for one in batch.orders)))
        for one in batch.orders:
            bid = one.side is Side.BUY
            reason = RejectReason.INVALID if bid else None
            loop.apply(update(one, second * NS_PER_S, resting=not bid, reason=reason))
            if one.replaces is not None:
                loop.apply(update(sold[one.replaces], second * NS_PER_S, resting=False))
            sold[one.client_order_id] = one
    assert again(loop, 4, 600_000) == []
    assert "buy 0: rests" in loop.progress(LatencySamples()).reason


def test_a_ladder_refused_as_a_whole_rests_and_ends_the_session_at_the_fifth_time() -> None:
    loop = make_loop()
    seconds = (1, 2, 3, 3 + REST_S, 3 + 2 * REST_S)
    for number, second in enumerate(seconds):
        batch = sent(again(loop, second, 600_000 + 100 * number))
        assert len(batch.orders) == 6
        loop.apply(refused(batch, BAND, old_gone=True))
        if second in seconds[2:4]:
            assert again(loop, second + 1, 600_000) == []
    (left_with,) = again(loop, 4 + 2 * REST_S, 600_000)
    assert isinstance(left_with, Leave)
    assert left_with.reason is SessionReason.REFUSED


def test_what_rests_in_the_venue_is_pulled_when_every_slot_must_rest() -> None:
    loop = make_loop()
    batch = sent(again(loop, 1, 600_000))
    loop.apply(accepted(batch))
    for second in (2, 3, 4):
        batch = sent(again(loop, second, 600_000 + 500 * second))
        loop.apply(refused(batch, BAND, old_gone=False))
    (pulled,) = again(loop, 5, 600_000)
    assert isinstance(pulled, ClearAll)
    assert "sell 2: rests" in pulled.reason
    loop.apply(Cleared(verified=True, attempts=1, message="", at_ns=5 * NS_PER_S))
    assert again(loop, 6, 600_000) == []
