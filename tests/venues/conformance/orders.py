"""V-1xx: placing, replacing and cancelling do exactly what they say."""

import asyncio

from desk.identity import OrderIdentity, Slot
from desk.orders import OutcomeKind
from desk.units import Side
from tests.venues.conformance.harness import Harness, skip_without
from tests.venues.conformance.stage import Stage


class OrderCases:
    async def test_v110_what_was_placed_is_listed_as_it_was_placed(self, harness: Harness) -> None:
        stage = Stage(harness)
        orders = await stage.ladder()
        outcome = await stage.place(*orders)
        listed = await stage.resting()
        for order in orders:
            seen = listed[order.client_order_id]
            assert (seen.side, seen.price, seen.remaining) == (order.side, order.price, order.lots)
            assert seen.symbol == harness.instrument.symbol
            assert seen.reduce_only is False
        assert outcome.answered_ns is not None
        assert outcome.sent_ns <= outcome.answered_ns

    async def test_v111_venue_order_ids_of_answers_and_listings_agree(
        self, harness: Harness
    ) -> None:
        stage = Stage(harness)
        outcome = await stage.place(*await stage.ladder())
        listed = await stage.resting()
        for order in outcome.orders:
            assert order.venue_order_id in {None, listed[order.client_order_id].venue_order_id}

    async def test_v112_the_longest_id_we_make_is_accepted(self, harness: Harness) -> None:
        stage = Stage(harness)
        (order, *_) = await stage.ladder()
        identity = OrderIdentity(
            tag="zzzzzzz", epoch=36**4, cycle=36**6, slot=Slot(Side.BUY, 19), exit=True
        )
        name = identity.encode()
        assert len(name) <= harness.venue.capabilities.client_order_id_length
        await stage.place(stage.order(Side.BUY, order.price, client_order_id=name))
        assert name in await stage.resting()

    async def test_v113_a_full_batch_is_accepted(self, harness: Harness) -> None:
        stage = Stage(harness)
        per_side = min(harness.venue.capabilities.max_batch_orders, 20) // 2
        orders = await stage.ladder(per_side)
        await stage.place(*orders)
        assert set(await stage.resting()) == {order.client_order_id for order in orders}

    async def test_v120_a_replaced_ladder_leaves_exactly_the_new_one(
        self, harness: Harness
    ) -> None:
        skip_without("atomic_ladder", has=harness.venue.capabilities.atomic_ladder)
        stage = Stage(harness)
        for levels in (2, 3, 1):
            orders = await stage.ladder(levels)
            outcome = await stage.send(*orders, replace_all=True)
            assert outcome.old_gone is True
            assert {order.kind for order in outcome.orders} == {OutcomeKind.ACCEPTED}
            await stage.rests(order.client_order_id for order in orders)

    async def test_v121_replacing_with_nothing_leaves_nothing(self, harness: Harness) -> None:
        stage = Stage(harness)
        await stage.place(*await stage.ladder())
        outcome = await stage.send(replace_all=True)
        assert outcome.old_gone is True
        await stage.rests(())

    async def test_v130_named_cancels_take_only_what_they_name(self, harness: Harness) -> None:
        stage = Stage(harness)
        orders = await stage.ladder()
        await stage.place(*orders)
        first, second, *kept = (order.client_order_id for order in orders)
        (newer, *_) = await stage.ladder(1)
        outcome = await stage.send(newer, cancels=(first, second))
        assert outcome.old_gone is True
        await stage.rests({*kept, newer.client_order_id})

    async def test_v140_cancelling_twice_is_confirmed_twice(self, harness: Harness) -> None:
        stage = Stage(harness)
        (order, *rest) = await stage.ladder()
        await stage.place(order, *rest)
        for _ in range(2):
            outcome = await harness.venue.execution.cancel(
                harness.instrument, order.client_order_id
            )
            assert outcome.confirmed
        await stage.rests(other.client_order_id for other in rest)

    async def test_v150_after_cancel_all_two_listings_show_nothing(self, harness: Harness) -> None:
        stage = Stage(harness)
        await stage.place(*await stage.ladder())
        outcome = await harness.venue.execution.cancel_all(harness.instrument)
        assert outcome.confirmed
        assert outcome.cancelled in {None, 4}
        await stage.rests(())
        await asyncio.sleep(harness.venue.capabilities.settling_ms / 1_000)
        assert await stage.resting() == {}
        assert await stage.really_resting() == set()

    async def test_v151_cancel_all_of_the_account_needs_no_market(self, harness: Harness) -> None:
        stage = Stage(harness)
        await stage.place(*await stage.ladder())
        assert (await harness.venue.execution.cancel_all(None)).confirmed
        await stage.rests(())
        assert list(await harness.venue.account.open_orders(None)) == []
        assert (await harness.venue.execution.cancel_all(None)).confirmed

    async def test_v160_an_order_is_found_by_its_own_id_while_it_rests(
        self, harness: Harness
    ) -> None:
        skip_without("finds_by_client_id", has=harness.venue.capabilities.finds_by_client_id)
        stage = Stage(harness)
        (order, *_) = await stage.ladder(1)
        name = order.client_order_id
        find = harness.venue.execution.find
        assert await find(harness.instrument, name) is None
        await stage.place(order)
        found = await find(harness.instrument, name)
        assert found is not None
        assert (found.client_order_id, found.remaining) == (name, order.lots)
        await harness.venue.execution.cancel(harness.instrument, name)
        await stage.rests(())
        assert await find(harness.instrument, name) is None

    async def test_v170_a_partly_filled_order_is_listed_with_what_is_left(
        self, harness: Harness
    ) -> None:
        stage = Stage(harness)
        await stage.still()
        order = await stage.place_inside(Side.BUY)
        await stage.hit(order, stage.unit)
        left = order.lots - stage.unit
        assert (await stage.resting())[order.client_order_id].remaining == left
