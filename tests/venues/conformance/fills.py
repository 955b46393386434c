"""V-4xx: every fill is heard once, whatever the stream does, and positions are their sum."""

from collections import Counter

import pytest

from desk.orders import AccountEvent, AccountLost, AccountSnapshot, Fill, Liquidity, NewOrder
from desk.units import Side
from tests.venues.conformance.harness import Harness, Target, Trouble, trouble
from tests.venues.conformance.stage import Ear, Stage, heard_fills, heard_position

_HITS = 6


def _figures(fills: list[Fill]) -> Counter[tuple[Side, int, int]]:
    return Counter((fill.side, fill.price, fill.lots) for fill in fills)


async def _all_heard(harness: Harness, ear: Ear[AccountEvent]) -> list[Fill]:
    """Wait until as many fills were heard as the venue booked; they are the same ones."""
    booked = await harness.fills()
    await ear.until(lambda events: len(heard_fills(events)) >= len(booked), f"{len(booked)} fills")
    heard = list(heard_fills(ear.events).values())
    assert _figures(heard) == Counter((one.side, one.price, one.lots) for one in booked)
    return heard


async def _hit_often(stage: Stage, order: NewOrder, hits: int = _HITS) -> None:
    for _ in range(hits):
        await stage.hit(order, stage.unit)


class FillCases:
    async def test_v410_every_fill_is_heard_once_with_all_its_facts(self, harness: Harness) -> None:
        stage = Stage(harness)
        await stage.still()
        async with stage.account() as ear:
            order = await stage.place_inside(Side.BUY)
            await stage.hit(order, stage.unit)
            await stage.hit(order, order.lots - stage.unit)
            heard = await _all_heard(harness, ear)
            fees = harness.instrument.maker_fee_bps
            for fill in heard:
                assert (fill.symbol, fill.side) == (harness.instrument.symbol, Side.BUY)
                assert fill.liquidity is Liquidity.MAKER
                assert fill.client_order_id in {None, order.client_order_id}
                if harness.venue.capabilities.fills_name_orders:
                    assert fill.client_order_id == order.client_order_id
                expected = harness.instrument.notional(fill.price, fill.lots) * fees / 10_000
                assert abs(fill.fee - expected) < abs(expected) / 100 + harness.instrument.tick_size

    @pytest.mark.parametrize(
        "kind",
        [
            Trouble.DUPLICATE_EVENT,
            Trouble.DROP_EVENT,
            Trouble.CUT_FRAME,
            Trouble.SPLIT_FRAMES,
            Trouble.SNAPSHOT_REPEATS,
        ],
    )
    async def test_v411_every_fill_is_heard_once_whatever_the_stream_does(
        self, harness: Harness, kind: Trouble
    ) -> None:
        stage = Stage(harness)
        await stage.still()
        async with stage.account() as ear:
            order = await stage.place_inside(Side.BUY, 40 * harness.instrument.min_lots)
            await _hit_often(stage, order)
            await _all_heard(harness, ear)
            await trouble(harness, kind, Target.ACCOUNT_STREAM, count=2)
            for _ in range(3):
                await _hit_often(stage, order)
                await _heard_change(ear)
            await _all_heard(harness, ear)
            if kind in {Trouble.DROP_EVENT, Trouble.CUT_FRAME}:
                assert any(isinstance(event, AccountLost) for event in ear.events)
            assert heard_position(ear.events) == sum(
                fill.side.sign * fill.lots for fill in heard_fills(ear.events).values()
            )

    async def test_v412_the_stream_and_the_account_name_fills_alike(self, harness: Harness) -> None:
        stage = Stage(harness)
        await stage.still()
        async with stage.account() as ear:
            order = await stage.place_inside(Side.SELL, 40 * harness.instrument.min_lots)
            await _hit_often(stage, order, 12)
            heard = await _all_heard(harness, ear)
            since_ms = min(fill.traded_at_ms for fill in heard)
            told = await harness.venue.account.fills(harness.instrument, since_ms)
            assert {fill.trade_id for fill in told} == {fill.trade_id for fill in heard}
            assert len(told) == len(heard)
            assert [fill.traded_at_ms for fill in told] == sorted(f.traded_at_ms for f in told)

    async def test_v413_a_later_listener_hears_of_earlier_fills(self, harness: Harness) -> None:
        stage = Stage(harness)
        await stage.still()
        async with stage.account() as ear:
            order = await stage.place_inside(Side.BUY)
            await stage.hit(order, 2 * stage.unit)
            first = await _all_heard(harness, ear)
        async with stage.account() as later:
            again = await _all_heard(harness, later)
        assert {fill.trade_id for fill in again} == {fill.trade_id for fill in first}

    async def test_v415_a_lost_account_stream_is_told_and_followed_by_a_snapshot(
        self, harness: Harness
    ) -> None:
        stage = Stage(harness)
        await stage.still()
        async with stage.account() as ear:
            order = await stage.place_inside(Side.BUY)
            heard = len(ear.events)
            await trouble(harness, Trouble.CUT_FRAME, Target.ACCOUNT_STREAM)
            await stage.hit(order, stage.unit)
            lost = await ear.hears(AccountLost, heard)
            assert lost < await ear.hears(AccountSnapshot, heard)
            await _all_heard(harness, ear)

    async def test_v420_the_position_is_the_sum_of_the_fills(self, harness: Harness) -> None:
        stage = Stage(harness)
        await stage.still()
        async with stage.account() as ear:
            bid = await stage.place_inside(Side.BUY)
            await stage.hit(bid, 3 * stage.unit)
            await stage.cancel_all()
            ask = await stage.place_inside(Side.SELL)
            await stage.hit(ask, stage.unit)
            heard = await _all_heard(harness, ear)
            total = sum(fill.side.sign * fill.lots for fill in heard)
            assert total == 2 * stage.unit
            assert (await harness.venue.account.position(harness.instrument)).lots == total
            await ear.until(lambda events: heard_position(events) == total, "the position")

    async def test_v421_a_flat_account_is_told_as_flat(self, harness: Harness) -> None:
        position = await harness.venue.account.position(harness.instrument)
        assert (position.symbol, position.lots) == (harness.instrument.symbol, 0)

    @pytest.mark.parametrize("target", [Target.CANCELS, Target.CANCEL_ONE])
    async def test_v430_a_fill_that_races_a_cancel_is_still_heard(
        self, harness: Harness, target: Target
    ) -> None:
        stage = Stage(harness)
        await stage.still()
        async with stage.account() as ear:
            order = await stage.place_inside(Side.BUY)
            await trouble(harness, Trouble.FILL_RACING_CANCEL, target, delay_s=0.3)
            execution, instrument = harness.venue.execution, harness.instrument
            if target is Target.CANCELS:
                outcome = await execution.cancel_all(instrument)
            else:
                outcome = await execution.cancel(instrument, order.client_order_id)
            assert outcome.confirmed
            assert heard_fills(ear.events) == {}
            await ear.until(lambda events: bool(heard_fills(events)), "the late fill")
            heard = await _all_heard(harness, ear)
            assert sum(fill.lots for fill in heard) == order.lots

    async def test_v490_what_is_held_is_named_and_what_keeps_it_is_told(
        self, harness: Harness
    ) -> None:
        stage, account = Stage(harness), harness.venue.account
        await stage.still()
        assert list(await account.held()) == []
        order = await stage.place_inside(Side.BUY)
        await stage.hit(order, order.lots)
        assert list(await account.held()) == [harness.instrument.symbol]
        funds = await account.balance()
        assert funds.exposure is not None
        if funds.maintenance is not None:
            # Some part of what is held, and less than the equity of an account in good order.
            assert 0 < funds.maintenance < min(funds.exposure, funds.equity)


async def _heard_change(ear: Ear[AccountEvent]) -> None:
    """Wait until the stream said anything new, so that faults strike in turn."""
    heard = len(ear.events)
    await ear.until(lambda events: len(events) > heard, "anything")
