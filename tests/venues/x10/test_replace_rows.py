"""Replace, row by row of x10.md sections 8.2 and 8.3: what becomes of both orders and of the slot.

The real adapter and a real session at the simulated venue, judged by the engine's log; `quoting`
holds every case to one live order a slot, every fill booked once and no order sent twice.
"""

from dataclasses import replace
from decimal import Decimal

import pytest

from desk.identity import MarketId, OrderIdentity, Slot
from desk.orders import Batch, NewOrder, OutcomeKind, RejectReason
from desk.records import FillSeen, OrderSent
from desk.units import NS_PER_MS, Side
from quoting.actions import AskFate
from tests.support.approve import approve
from tests.venues.x10.harness import ACCOUNT, X10Harness
from tests.venues.x10.quoting_stage import (
    LIMITS,
    ONE_LEVEL,
    SYMBOL,
    TOUCH,
    fills_of,
    quoting,
    until,
)
from tests.venues.x10.replace_outcomes import (
    cleared,
    ends_of,
    filled_again,
    followed,
    lost,
    move,
    refused,
    rejected,
    sent_between,
)
from venues.simulation.events import CancelReason, OrderCancelled, OrderRejected
from venues.simulation.faults import FaultKind
from venues.x10.simulator.settings import Answers, Orders, ReplaceEvents, Streams

# --- 8.2, level A: the reply is an error -----------------------------------------------------


@pytest.mark.parametrize("code", [1128, 1141])
async def test_a_refused_replace_leaves_the_old_order_which_is_then_pulled(code: int) -> None:
    async with quoting() as stage:
        cycle_s = await stage.cycle_s()
        stage.arm(FaultKind.ORDER_REFUSED, code=code)
        move(stage)
        new, old, since_ns = await refused(stage, code)
        await until(lambda: bool(ends_of(stage, old)), "the stale quote was left resting")
        assert ends_of(stage, old) == [CancelReason.ASKED]
        assert stage.told(new.client_order_id) == [], "it never existed"
        await filled_again(stage, new.side, since_ns, cycle_s, {old, new.client_order_id})
        assert not fills_of(stage.log)


async def test_a_margin_refusal_pulls_the_stale_quote_and_is_not_tried_again() -> None:
    async with quoting() as stage:
        await stage.cycle_s()
        stage.arm(FaultKind.ORDER_REFUSED, code=1140)
        move(stage)
        new, old, _ = await refused(stage, 1140)
        await until(lambda: not stage.loop.orders.open, "quotes were left")
        assert ends_of(stage, old) == [CancelReason.ASKED]
        assert stage.told(new.client_order_id) == []
        count = len(stage.loop.sent)
        for by in (9, 12, 15):
            await stage.moved(by)
        assert len(stage.loop.sent) == count


# --- 8.2, level B: accepted, then the matching engine ends both ------------------------------


@pytest.mark.parametrize("book_every_s", [0.02, 0.4], ids=["book first", "reject first"])
async def test_a_post_only_replacement_that_crosses_is_priced_anew_not_retried(
    book_every_s: float,
) -> None:
    streams = Streams(ping_s=0.3, book_interval_s=book_every_s)
    async with quoting(streams=streams) as stage:
        cycle_s = await stage.cycle_s()
        old = stage.resting(Side.BUY)
        assert old is not None
        stage.arm(FaultKind.LATENCY, delay_s=0.1, spread=0.0, for_s=0.5)
        stage.show(TOUCH[0] + 19, TOUCH[1] + 50)
        new = await stage.next_bid()
        # While it is on its way, others offer below it.
        stage.show(TOUCH[0], new.price - 3)
        rejection, replaced, since_ns = await rejected(stage)
        assert (rejection, replaced) == (new, old.client_order_id)
        (told,) = stage.told(new.client_order_id)
        assert isinstance(told, OrderRejected)
        assert told.reason is RejectReason.POST_ONLY
        assert ends_of(stage, replaced) == [CancelReason.REPLACE_FAILED]
        dead = {replaced, new.client_order_id}
        fresh = await filled_again(stage, Side.BUY, since_ns, cycle_s, dead)
        following = stage.buys()[stage.buys().index(new) + 1]
        assert following is fresh, "there was a try in between"
        assert fresh.price < TOUCH[0] < new.price, "the same price would have been a retry"
        assert not cleared(stage)
        assert not fills_of(stage.log)


@pytest.mark.parametrize("reason", ["PREV_ORDER_TRIGGERED", "PREV_ORDER_CONFLICT", "UNKNOWN"])
async def test_both_orders_of_a_failed_replace_are_gone_and_the_slot_is_free(reason: str) -> None:
    async with quoting() as stage:
        cycle_s = await stage.cycle_s()
        stage.arm(FaultKind.ENGINE_REJECT, reason=reason)
        move(stage)
        new, old, since_ns = await rejected(stage)
        assert ends_of(stage, old) == [CancelReason.REPLACE_FAILED]
        assert not ends_of(stage, new.client_order_id)
        await filled_again(stage, new.side, since_ns, cycle_s, {old, new.client_order_id})
        assert not cleared(stage)


async def test_an_order_filled_after_validation_is_booked_before_the_slot_is_filled() -> None:
    """PREV_ORDER_NOT_FOUND on the stream, after an OK."""
    async with quoting() as stage:
        cycle_s = await stage.cycle_s()
        stage.arm(FaultKind.FILL_INSIDE_REPLACE)
        move(stage)
        new, old, since_ns = await rejected(stage)
        (fill,) = fills_of(stage.log)
        assert (fill.maker_client_order_id, fill.maker_remaining) == (old, 0)
        fresh = await filled_again(stage, new.side, since_ns, cycle_s, {old, new.client_order_id})
        records = stage.ledger.records
        booked = next(i for i, one in enumerate(records) if isinstance(one, FillSeen))
        placed = next(
            i
            for i, one in enumerate(records)
            if isinstance(one, OrderSent) and one.client_order_id == fresh.client_order_id
        )
        assert booked < placed


# --- 8.3: what 1142 can mean -----------------------------------------------------------------


@pytest.mark.parametrize("told_after_s", [0.1, 1.5], ids=["told by the stream", "asked for"])
async def test_cause_1_a_fill_on_its_way_is_booked_before_the_slot_is_filled(
    told_after_s: float,
) -> None:
    async with quoting() as stage:
        cycle_s = await stage.cycle_s()
        stage.arm(FaultKind.FILL_RACING_REPLACE, delay_s=told_after_s)
        move(stage)
        new, old, since_ns = await refused(stage, 1142)
        (fill,) = fills_of(stage.log)
        assert (fill.maker_client_order_id, fill.maker_remaining) == (old, 0)
        assert stage.told(new.client_order_id) == [], "it never existed"
        await filled_again(stage, new.side, since_ns, cycle_s, {old, new.client_order_id})
        (booked,) = set(stage.booked())
        assert sent_between(stage, new.side, new.client_order_id, booked) == []
        assert (AskFate(old) in stage.loop.actions) == (told_after_s > 1)
        assert not cleared(stage)


@pytest.mark.parametrize(
    "told_after_s",
    [
        pytest.param(0.1, id="told by the stream"),
        pytest.param(1.5, id="asked for"),
    ],
)
async def test_cause_1_a_possible_fill_counts_against_the_cap_until_it_is_settled(
    told_after_s: float,
) -> None:
    """The cap has room for one fill: had the slot been filled too early, it would be broken."""
    tight = replace(ONE_LEVEL, inventory_cap=Decimal(302))
    async with quoting(parameters=tight) as stage:
        await stage.cycle_s()
        stage.arm(FaultKind.FILL_RACING_REPLACE, delay_s=told_after_s)
        move(stage)
        new, _, since_ns = await refused(stage, 1142)
        await until(lambda: bool(stage.booked()), "the fill was never heard")
        other = new.side.opposite
        for by in (9, 12):
            await followed(stage, other, by)
        assert stage.accepted_at(new.side, since_ns) is None
        lots = stage.harness.sim.engine.position(ACCOUNT, SYMBOL).lots
        assert abs(lots) * TOUCH[0] <= 302 * 10**5


async def test_cause_1_fills_that_only_a_question_told_count_against_max_position() -> None:
    """There is room for two fills; the stream tells of neither while a third is wanted."""
    limit = Decimal(620)
    async with quoting(limits=replace(LIMITS, max_position=limit)) as stage:
        await stage.cycle_s()
        stage.hush(4.5)
        stage.fill(Side.BUY)
        move(stage)
        _, old, since_ns = await refused(stage, 1142)
        await until(lambda: stage.accepted_at(Side.BUY, since_ns) is not None, "no second bid")
        stage.fill(Side.BUY)
        await until(lambda: len(stage.booked()) == 2, "the second fill was never asked for")
        await stage.moved(9)
        await until(lambda: stage.denials() > 0, "the gate saw nothing wrong")
        assert AskFate(old) in stage.loop.actions
    assert stage.worst_lots <= limit * 10**5 / TOUCH[0]


@pytest.mark.parametrize("hushed_s", [0.2, 1.5], ids=["told by the stream", "asked for"])
@pytest.mark.parametrize(
    "reason", [CancelReason.DEAD_MAN, CancelReason.SELF_TRADE, CancelReason.TIMED_OUT]
)
async def test_causes_2_and_3_an_order_that_ended_unheard_is_placed_afresh(
    reason: CancelReason, hushed_s: float
) -> None:
    async with quoting() as stage:
        cycle_s = await stage.cycle_s()
        gone = stage.resting(Side.BUY)
        assert gone is not None
        stage.hush(hushed_s)
        stage.harness.sim.engine.cancel(
            ACCOUNT, client_order_id=gone.client_order_id, reason=reason
        )
        move(stage)
        new, old, since_ns = await refused(stage, 1142)
        assert (new.side, old) == (Side.BUY, gone.client_order_id)
        await filled_again(stage, Side.BUY, since_ns, cycle_s, {old, new.client_order_id})
        assert not cleared(stage)
        assert not fills_of(stage.log)


async def test_cause_4_a_lost_reply_is_settled_by_the_stream_and_nothing_is_sent_again() -> None:
    async with quoting() as stage:
        await stage.cycle_s()
        stage.arm(FaultKind.RESPONSE_LOST)
        move(stage)
        new, old, _ = await lost(stage)
        await stage.agreed()
        assert ends_of(stage, old) == [CancelReason.REPLACED]
        rests = stage.resting(new.side)
        assert rests is not None
        assert rests.client_order_id == new.client_order_id
        await followed(stage, new.side, 9)
        replaced = [one.replaces for one in stage.loop.sent if one.side is new.side]
        assert replaced[-1] == new.client_order_id, "the next one names the one that rests"
        assert not cleared(stage)
        assert not [one for one in stage.answers() if " 1142 " in one.message]


@pytest.mark.parametrize("kind", [FaultKind.RESPONSE_LOST, FaultKind.REQUEST_LOST])
async def test_cause_4_a_lost_reply_that_nothing_settles_takes_everything_away(
    kind: FaultKind,
) -> None:
    async with quoting() as stage:
        cycle_s = await stage.cycle_s()
        stage.arm(kind)
        stage.hush(1.0)
        move(stage)
        new, old, since_ns = await lost(stage)
        await filled_again(stage, new.side, since_ns, cycle_s, {old, new.client_order_id})
        assert cleared(stage)
        if kind is FaultKind.RESPONSE_LOST:
            assert ends_of(stage, old) == [CancelReason.REPLACED]
            assert ends_of(stage, new.client_order_id) == [CancelReason.ASKED]
        else:
            assert ends_of(stage, old) == [CancelReason.ASKED]
            assert stage.told(new.client_order_id) == []
        assert not [one for one in stage.answers() if " 1142 " in one.message]


async def test_cause_5_an_order_is_not_replaced_before_it_is_booked() -> None:
    async with quoting(orders=Orders(booking_delay_s=0.4)) as stage:
        await stage.cycle_s()
        gone = stage.resting(Side.BUY)
        assert gone is not None
        stage.harness.sim.engine.cancel(ACCOUNT, client_order_id=gone.client_order_id)
        fresh = await stage.next_bid()
        assert fresh.replaces is None
        for by in (9, 12, 15):
            await stage.moved(by)
        following = await stage.next_bid() if stage.buys()[-1] is fresh else stage.buys()[-1]
        assert stage.buys()[-2:] == [fresh, following]
        assert following.replaces == fresh.client_order_id
        booked = stage.told(fresh.client_order_id)[0]
        sent = next(
            one
            for one in stage.ledger.records
            if isinstance(one, OrderSent) and one.client_order_id == following.client_order_id
        )
        assert (sent.sent_at_ms + 1) * NS_PER_MS >= booked.at_ns
        assert not [one for one in stage.answers() if " 1142 " in one.message]
        await stage.agreed()


async def test_cause_5_an_order_that_was_acknowledged_and_never_booked_frees_its_slot() -> None:
    async with quoting() as stage:
        cycle_s = await stage.cycle_s()
        gone = stage.resting(Side.BUY)
        assert gone is not None
        stage.arm(FaultKind.ENGINE_REJECT, reason="POST_ONLY_FAILED")
        stage.harness.sim.engine.cancel(ACCOUNT, client_order_id=gone.client_order_id)
        new, old, since_ns = await rejected(stage)
        assert (new.side, old) == (Side.BUY, "")
        await filled_again(stage, Side.BUY, since_ns, cycle_s, {new.client_order_id})
        assert not [one for one in stage.answers() if " 1142 " in one.message]


async def test_cause_6_an_order_of_an_earlier_run_is_cancelled_and_never_replaced() -> None:
    identity = OrderIdentity(
        tag=MarketId("x10", ACCOUNT, SYMBOL).tag, epoch=1, cycle=9, slot=Slot(Side.BUY, 0)
    )

    async def leave_one(harness: X10Harness) -> None:
        left = NewOrder(
            client_order_id=identity.encode(),
            slot=identity.slot,
            side=Side.BUY,
            price=59_990,
            lots=500,
        )
        batch = Batch(batch_id="earlier", symbol=SYMBOL, orders=(left,))
        approved = approve(batch, harness.instrument, mid_x2=2 * 60_005, position=0)
        outcome = await harness.venue.execution.send(approved, harness.instrument)
        assert outcome.orders[0].kind is OutcomeKind.ACCEPTED

    async with quoting(epoch=2, before=leave_one) as stage:
        assert ends_of(stage, identity.encode()) == [CancelReason.ASKED]
        assert isinstance(stage.log[0], OrderCancelled), "before anything of the new run"
        await stage.cycle_s()
        assert identity.encode() not in {one.replaces for one in stage.loop.sent}
        assert not [one for one in stage.answers() if " 1142 " in one.message]


async def test_cause_6_the_code_alone_does_not_make_a_resting_order_dead() -> None:
    """A venue that says 1142 of an order that rests: asked about, found, and replaced later."""
    async with quoting() as stage:
        await stage.cycle_s()
        stage.arm(FaultKind.ORDER_REFUSED, code=1142)
        move(stage)
        new, old, _ = await refused(stage, 1142)
        await until(lambda: AskFate(old) in stage.loop.actions, "nobody asked")
        await until(lambda: bool(ends_of(stage, old)), "it was never replaced")
        assert ends_of(stage, old) == [CancelReason.REPLACED]
        assert stage.told(new.client_order_id) == []
        await stage.agreed()
        assert not cleared(stage)


# --- 8.3: the events of a replace ------------------------------------------------------------


@pytest.mark.parametrize("order", ReplaceEvents)
@pytest.mark.parametrize(
    "answers",
    [Answers(reply_delay_s=0.05), Answers(event_delay_s=0.05)],
    ids=["reply last", "reply first"],
)
async def test_a_replace_is_done_in_whatever_order_its_events_come(
    order: ReplaceEvents, answers: Answers
) -> None:
    async with quoting(orders=Orders(replace_events=order), answers=answers) as stage:
        for by in (3, 6, 9):
            old = stage.resting(Side.BUY)
            assert old is not None
            following = stage.next_bid()
            move(stage, by)
            new = await following
            assert new.replaces == old.client_order_id
            await stage.agreed()
            assert ends_of(stage, old.client_order_id or "") == [CancelReason.REPLACED]
        assert {one.kind for one in stage.answers()} == {OutcomeKind.ACCEPTED}
        assert not cleared(stage)
