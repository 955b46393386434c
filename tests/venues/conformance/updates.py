"""V-7xx: where answers only acknowledge, updates say when an order rests, and how it ends."""

import pytest

from desk.orders import AccountEvent, NewOrder, OrderUpdate, OutcomeKind, RejectReason, TimeInForce
from desk.units import Side
from tests.venues.conformance.harness import Harness, Target, Trouble, skip_without, trouble
from tests.venues.conformance.stage import Ear, Stage, heard_end, heard_fills


def _replaces(harness: Harness) -> None:
    skip_without("replaces_orders", has=harness.venue.capabilities.replaces_orders)


async def _heard_resting(ear: Ear[AccountEvent], order: NewOrder) -> OrderUpdate:
    def rests(event: AccountEvent) -> bool:
        return (
            isinstance(event, OrderUpdate)
            and event.client_order_id == order.client_order_id
            and event.resting
        )

    await ear.until(lambda events: any(map(rests, events)), f"{order.client_order_id} to rest")
    update = next(event for event in ear.events if rests(event))
    assert isinstance(update, OrderUpdate)
    return update


class UpdateCases:
    @pytest.fixture
    def stage(self, harness: Harness) -> Stage:
        skip_without("order updates", has=harness.venue.capabilities.pushes_order_updates)
        return Stage(harness)

    async def test_v710_an_accepted_order_is_told_to_rest(self, stage: Stage) -> None:
        async with stage.account() as ear:
            (order, *_) = await stage.ladder(1)
            outcome = await stage.place(order)
            update = await _heard_resting(ear, order)
        assert (update.remaining, update.filled, update.reason) == (order.lots, 0, None)
        assert update.venue_order_id == outcome.orders[0].venue_order_id

    async def test_v711_a_cancelled_order_is_told_to_end_without_a_reason(
        self, stage: Stage
    ) -> None:
        async with stage.account() as ear:
            (order, *_) = await stage.ladder(1)
            await stage.place(order)
            await stage.venue.execution.cancel(stage.instrument, order.client_order_id)
            update = await heard_end(ear, order)
        assert (update.remaining, update.filled, update.reason) == (0, 0, None)

    async def test_v712_a_filled_order_ends_with_all_its_fills(self, stage: Stage) -> None:
        await stage.still()
        async with stage.account() as ear:
            order = await stage.place_inside(Side.BUY)
            await stage.hit(order, stage.unit)
            await stage.hit(order, order.lots - stage.unit)
            update = await heard_end(ear, order)
            await ear.until(lambda events: len(heard_fills(events)) == 2, "both fills")
            fills = heard_fills(ear.events).values()
        assert (update.remaining, update.filled, update.reason) == (0, order.lots, None)
        assert sum(fill.lots for fill in fills) == order.lots
        assert {fill.client_order_id for fill in fills} == {order.client_order_id}

    async def test_v713_an_immediate_order_that_finds_nothing_ends(self, stage: Stage) -> None:
        bid, _ = await stage.still()
        async with stage.account() as ear:
            order = stage.order(Side.BUY, bid - 40, time_in_force=TimeInForce.IOC, post_only=False)
            await stage.send(order)
            update = await heard_end(ear, order)
        assert (update.filled, update.reason) == (0, RejectReason.NOT_FILLED)
        await stage.rests(())

    async def test_v720_a_replaced_order_ends_and_its_successor_rests(
        self, harness: Harness, stage: Stage
    ) -> None:
        _replaces(harness)
        async with stage.account() as ear:
            old, new = await _pair(stage)
            await stage.place(old)
            await _heard_resting(ear, old)
            outcome = await stage.send(new)
            assert outcome.orders[0].kind is OutcomeKind.ACCEPTED
            assert (await heard_end(ear, old)).filled == 0
            await _heard_resting(ear, new)
        await stage.rests({new.client_order_id})

    async def test_v721_replacing_what_is_gone_says_that_it_is_gone(
        self, harness: Harness, stage: Stage
    ) -> None:
        _replaces(harness)
        _, new = await _pair(stage)
        outcome = await stage.send(new)
        (answer,) = outcome.orders
        assert answer.kind is OutcomeKind.REJECTED
        assert (answer.reason, answer.replaced_gone) == (RejectReason.UNKNOWN_ORDER, True)
        await stage.rests(())

    async def test_v722_a_refused_replace_leaves_the_old_order(
        self, harness: Harness, stage: Stage
    ) -> None:
        _replaces(harness)
        old, new = await _pair(stage)
        await stage.place(old)
        await trouble(harness, Trouble.MARGIN_REJECT, Target.ORDERS)
        outcome = await stage.send(new)
        (answer,) = outcome.orders
        assert (answer.reason, answer.replaced_gone) == (RejectReason.MARGIN, False)
        await stage.rests({old.client_order_id})

    async def test_v723_a_lost_replace_says_nothing_of_either(
        self, harness: Harness, stage: Stage
    ) -> None:
        _replaces(harness)
        old, new = await _pair(stage)
        await stage.place(old)
        await trouble(harness, Trouble.RESPONSE_LOST, Target.ORDERS)
        outcome = await stage.send(new)
        (answer,) = outcome.orders
        assert answer.kind is OutcomeKind.UNRESOLVED
        assert answer.replaced_gone is None
        await stage.rests({new.client_order_id})

    async def test_v724_a_post_only_replacement_that_would_take_ends_both(
        self, harness: Harness, stage: Stage
    ) -> None:
        _replaces(harness)
        async with stage.account() as ear:
            await stage.still()  # first: nobody shall come and trade with what rests inside
            old = await stage.place_inside(Side.BUY)
            _, ask = await stage.touch()
            new = stage.order(Side.BUY, ask + 2, replaces=old.client_order_id)
            outcome = await stage.send(new)
            if outcome.orders[0].kind is OutcomeKind.ACCEPTED:
                await heard_end(ear, new)
                await heard_end(ear, old)
                await stage.rests(())
            else:
                assert outcome.orders[0].replaced_gone is False
                await stage.rests({old.client_order_id})
        assert await harness.fills() == []


async def _pair(stage: Stage) -> tuple[NewOrder, NewOrder]:
    """An order, and one that takes its place."""
    (old, *_) = await stage.ladder(1)
    (shape, *_) = await stage.ladder(1)
    new = stage.order(
        shape.side,
        shape.price,
        client_order_id=shape.client_order_id,
        replaces=old.client_order_id,
    )
    return old, new
