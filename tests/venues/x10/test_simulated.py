"""The adapter against the simulated X10 where its documents leave room for several readings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from desk.market import BookDelta, BookSnapshot, FeedLost
from desk.orders import AccountLost, AccountSnapshot, OrderUpdate, OutcomeKind, RejectReason
from desk.units import Side
from tests.venues.conformance.harness import Target
from tests.venues.conformance.stage import Stage, eventually, heard_book, heard_end, heard_fills
from tests.venues.x10.harness import MARKET, X10Harness, settings, x10_harness
from venues.simulation.faults import Fault, FaultKind
from venues.x10.simulator.settings import (
    Answers,
    CountdownUnit,
    DeadMan,
    Orders,
    ReplaceEvents,
    SimulatorSettings,
    Streams,
)

_FAST = Streams(ping_s=0.3, book_interval_s=0.02)


@asynccontextmanager
async def _staged(
    given: SimulatorSettings | None = None, **overrides: object
) -> AsyncIterator[tuple[X10Harness, Stage]]:
    async with x10_harness(given, **overrides) as harness:
        stage = Stage(harness)
        await stage.still()
        yield harness, stage


_READINGS = {
    "errors-with-200": settings(answers=Answers(error_status=200, not_found_as_text=True)),
    "errors-with-422": settings(answers=Answers(error_status=422)),
    "events-late": settings(answers=Answers(event_delay_s=0.1)),
    "answers-late": settings(answers=Answers(reply_delay_s=0.1)),
    "hostile": settings(streams=replace(_FAST, hostile=True)),
    "new-first": settings(orders=Orders(replace_events=ReplaceEvents.NEW_FIRST)),
    "trades-first": settings(orders=Orders(trade_event_first=True)),
    "no-history": settings(orders=Orders(maker_history=True)),
    "slow-mass-cancel": settings(orders=Orders(mass_cancel_delay_s=0.15)),
    "post-only-cancelled": settings(orders=Orders(post_only_status="CANCELLED")),
    "late-booking": settings(orders=Orders(booking_delay_s=0.05)),
    "empty-timer-body": settings(dead_man=DeadMan(empty_body=True)),
}


@pytest.mark.parametrize("reading", _READINGS)
async def test_an_order_lives_and_dies_however_the_venue_is_read(reading: str) -> None:
    async with (
        _staged(_READINGS[reading]) as (harness, stage),
        stage.account() as ear,
    ):
        heard = len(ear.events)
        assert harness.venue.dead_man is not None
        await harness.venue.dead_man.keep("here")
        old = await stage.place_inside(Side.BUY)
        await stage.hit(old, stage.unit)
        await ear.until(lambda events: len(heard_fills(events)) == 1, "the fill")
        new = stage.order(
            Side.BUY, old.price - 1, client_order_id="new-1", replaces=old.client_order_id
        )
        outcome = await stage.send(new)
        assert outcome.orders[0].kind is OutcomeKind.ACCEPTED
        ended = await heard_end(ear, old)
        assert (ended.filled, ended.remaining, ended.reason) == (stage.unit, 0, None)
        await stage.rests({"new-1"})
        again = stage.order(Side.BUY, old.price - 2, client_order_id="new-2", replaces="new-1x")
        (answer,) = (await stage.send(again)).orders
        assert (answer.reason, answer.replaced_gone) == (RejectReason.UNKNOWN_ORDER, True)
        taking = stage.order(Side.BUY, (await stage.touch())[1] + 2, client_order_id="new-3")
        (answer,) = (await stage.send(taking)).orders
        assert answer.kind is OutcomeKind.ACCEPTED
        assert (await heard_end(ear, taking)).reason is RejectReason.POST_ONLY
        outcome = await stage.send(cancels=("new-1",))
        assert outcome.old_gone is True
        await stage.rests(())
        assert (await harness.venue.execution.cancel(harness.instrument, "new-1")).confirmed
        assert not [event for event in ear.events[heard:] if isinstance(event, AccountLost)]


@pytest.mark.parametrize("status", ["CANCELLED", "REJECTED"])
async def test_a_replacement_the_engine_refuses_ends_both(status: str) -> None:
    given = settings(orders=Orders(failed_replace_status=status))
    async with _staged(given) as (harness, stage), stage.account() as ear:
        old = await stage.place_inside(Side.BUY)
        harness.sim.faults.add(Fault(kind=FaultKind.FILL_INSIDE_REPLACE, path="*/user/order"))
        new = stage.order(
            Side.BUY, old.price - 1, client_order_id="new-1", replaces=old.client_order_id
        )
        (answer,) = (await stage.send(new)).orders
        assert answer.kind is OutcomeKind.ACCEPTED
        assert (await heard_end(ear, new)).reason is RejectReason.UNKNOWN_ORDER
        await ear.until(lambda events: bool(heard_fills(events)), "the fill of the old order")
        await stage.rests(())


async def test_the_1142_of_a_late_fill_comes_before_the_fill() -> None:
    async with _staged() as (harness, stage), stage.account() as ear:
        old = await stage.place_inside(Side.BUY)
        fault = Fault(kind=FaultKind.FILL_RACING_REPLACE, path="*/user/order", delay_s=0.2)
        harness.sim.faults.add(fault)
        new = stage.order(
            Side.BUY, old.price - 1, client_order_id="new-1", replaces=old.client_order_id
        )
        (answer,) = (await stage.send(new)).orders
        assert (answer.reason, answer.replaced_gone) == (RejectReason.UNKNOWN_ORDER, True)
        assert heard_fills(ear.events) == {}
        ended = await heard_end(ear, old)
        assert (ended.filled, ended.reason) == (old.lots, None)


async def test_an_empty_order_snapshot_ends_no_order() -> None:
    async with _staged() as (harness, stage), stage.account() as ear:
        (order, *_) = await stage.ladder(1)
        await stage.place(order)
        await ear.until(lambda events: any(isinstance(e, OrderUpdate) for e in events), "it")
        harness.sim.faults.add(Fault(kind=FaultKind.EMPTY_SNAPSHOT, path="*/account"))
        heard = len(ear.events)
        await harness.add_fault("stream_closed", target=Target.ACCOUNT_STREAM)
        lost = await ear.hears(AccountLost, heard)
        await ear.hears(AccountSnapshot, lost)
        await asyncio.sleep(0.1)
        assert not [
            event for event in ear.events if isinstance(event, OrderUpdate) and not event.resting
        ]
        await stage.rests({order.client_order_id})


async def test_a_deep_book_is_told_near_the_touch_and_stays_the_venues() -> None:
    async with _staged(None, **{"streams.depth": 10}) as (harness, stage):
        await harness.add_fault("deep_snapshot", target=Target.BOOK_STREAM, levels=6_000)
        async with stage.feed() as ear:
            first = next(event for event in ear.events if isinstance(event, BookSnapshot))
            assert (len(first.bids), len(first.asks)) == (10, 10)
            for _ in range(4):
                heard = len(ear.events)
                await harness.trade(Side.SELL, 10 * stage.size())
                await ear.hears(BookDelta, heard)

            # Of the far levels that only the snapshot showed the venue itself knows nothing.
            real = min(10, *map(len, await harness.book()))

            async def same() -> bool:
                bids, asks = await harness.book()
                told = heard_book(ear.events, real)
                return told == (list(bids)[:real], list(asks)[:real])

            assert real > 0
            await eventually(same, bool)
            assert not [event for event in ear.events if isinstance(event, FeedLost)]


@pytest.mark.parametrize("unit", list(CountdownUnit))
async def test_the_timer_counts_in_the_unit_it_was_told(unit: CountdownUnit) -> None:
    told = {CountdownUnit.SECONDS: "seconds", CountdownUnit.MILLISECONDS: "milliseconds"}[unit]
    given = settings(dead_man=DeadMan(unit=unit))
    async with _staged(given, **{"dead_man.unit": told}) as (harness, stage):
        assert harness.venue.dead_man is not None
        await harness.venue.dead_man.keep("here")
        await stage.place(*(orders := await stage.ladder(1)))
        await asyncio.sleep(0.3)
        await stage.rests(order.client_order_id for order in orders)

        async def resting() -> set[str | None]:
            return await stage.really_resting()

        await eventually(resting, lambda names: not names)


async def test_a_diagnosis_finds_nothing_at_a_venue_that_fits_and_a_wrong_vault() -> None:
    async with _staged() as (harness, _):
        assert list(await harness.venue.diagnose()) == []
    async with _staged(vault=7) as (harness, stage):
        (finding,) = await harness.venue.diagnose()
        assert finding.startswith("vault:")
        outcome = await stage.send(*(await stage.ladder(1))[:1])
        assert outcome.orders[0].reason is RejectReason.AUTH


async def test_orders_signed_for_another_domain_are_refused_and_explained() -> None:
    given = settings()
    given = replace(given, domain=replace(given.domain, chain_id="SN_OTHER"))
    async with _staged(given) as (harness, stage):
        assert list(await harness.venue.diagnose()) == []
        outcome = await stage.send(*(await stage.ladder(1))[:1])
        assert outcome.orders[0].reason is RejectReason.AUTH
        (finding,) = await harness.venue.diagnose()
        assert finding.startswith("domain:")


async def test_a_market_that_takes_fewer_orders_says_so() -> None:
    few = replace(MARKET, max_num_orders=2)
    async with _staged(settings(markets=(few,))) as (_, stage):
        outcome = await stage.send(*await stage.ladder(2))
        assert {one.reason for one in outcome.orders} == {RejectReason.INVALID}
        assert "takes 2" in outcome.orders[0].message
        await stage.place(*(await stage.ladder(1)))
        outcome = await stage.send(*(await stage.ladder(1))[:1])
        assert outcome.orders[0].reason is RejectReason.OTHER
        assert "1126" in outcome.orders[0].message


async def test_prices_far_from_the_mark_are_refused_on_the_wrong_side_only() -> None:
    async with _staged() as (_, stage):
        bid, ask = await stage.touch()
        low = stage.order(Side.BUY, bid * 8 // 10, client_order_id="low")
        await stage.place(low)
        high = stage.order(Side.BUY, ask * 12 // 10, client_order_id="high", post_only=False)
        outcome = await stage.send(high)
        assert outcome.orders[0].reason is RejectReason.PRICE_BAND
        await stage.rests({"low"})
