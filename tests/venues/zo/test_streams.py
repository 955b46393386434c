"""Streams: nothing is told before a snapshot, every loss is told first, no fill twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from desk.instrument import Instrument
from desk.market import BookDelta, BookSnapshot, FeedAlive, FeedEvent, FeedLost
from desk.orders import (
    AccountChange,
    AccountEvent,
    AccountLost,
    AccountSnapshot,
    Liquidity,
    OrderUpdate,
)
from desk.ports import Venue
from desk.units import Side
from tests.venues.zo.scripted import (
    ACCOUNT_ID,
    INSTRUMENT,
    MARKET,
    SYMBOL,
    ScriptedVenue,
    account,
    batch,
    name,
    running,
    scripted_venue,
)
from venues._transport.websocket import StreamEnded
from venues.zo.streams import Continuity

BOOK_STREAM = f"deltas@{SYMBOL}&trades@{SYMBOL}"
OURS = f"account@{ACCOUNT_ID}"
BOOK = "/market/0/orderbook"


def _delta(last: int, update: int, *bids: tuple[float, float]) -> dict[str, Any]:
    return {
        "delta": {
            "last_update_id": last,
            "update_id": update,
            "market_symbol": SYMBOL,
            "bids": bids,
            "asks": [],
        }
    }


def _book(update: int) -> dict[str, Any]:
    return {"updateId": update, "asks": [[65001.0, 1]], "bids": [[65000.0, 2]]}


def _update(last: int, update: int, **parts: Any) -> dict[str, Any]:
    told = {"last_update_id": last, "update_id": update, "account_id": ACCOUNT_ID, **parts}
    return {"account": told}


def _trade(number: int, *, order_id: int, lots: float, maker: bool = True) -> dict[str, Any]:
    return {
        "time": f"2026-11-20T10:00:{number:02}.000Z",
        "actionId": str(900 + number),
        "tradeId": str(number),
        "takerId": 9 if maker else ACCOUNT_ID,
        "takerSide": "ask" if maker else "bid",
        "makerId": ACCOUNT_ID if maker else 9,
        "marketId": 0,
        "orderId": str(order_id),
        "price": 64000.0,
        "baseSize": lots,
    }


@asynccontextmanager
async def _feed(
    scripted: ScriptedVenue, venue: Venue, instrument: Instrument = INSTRUMENT
) -> AsyncIterator[list[FeedEvent]]:
    events: list[FeedEvent] = []

    def sink(event: FeedEvent) -> None:
        events.append(event)
        scripted.changed.set()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(venue.feed.run(instrument, sink))
        try:
            yield events
        finally:
            task.cancel()


@asynccontextmanager
async def _account(scripted: ScriptedVenue, venue: Venue) -> AsyncIterator[list[AccountEvent]]:
    events: list[AccountEvent] = []

    def sink(event: AccountEvent) -> None:
        events.append(event)
        scripted.changed.set()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(venue.account.run(INSTRUMENT, sink))
        try:
            yield events
        finally:
            task.cancel()


def _kinds(events: list[FeedEvent]) -> list[type]:
    return [type(event) for event in events if not isinstance(event, FeedAlive)]


async def test_a_book_starts_from_a_read_and_goes_on_in_an_unbroken_chain() -> None:
    async with (
        scripted_venue() as scripted,
        running(scripted, hold=False, streams={"silence_s": 30}) as venue,
    ):
        scripted.say(BOOK, _book(5), _book(9))
        async with _feed(scripted, venue) as events:
            await scripted.until(lambda: events)
            for frame in (
                _delta(3, 4, (64999.0, 9)),
                _delta(5, 6, (64999.0, 1)),
                _delta(6, 7, (64999.0, 0)),
                _delta(6, 7, (64999.0, 5)),
                _delta(8, 9, (64998.0, 5)),
            ):
                await scripted.feed(BOOK_STREAM, frame)
            await scripted.until(lambda: len(_kinds(events)) == 5)
            venue.feed.resnapshot(SYMBOL, "crossed")
            await scripted.until(lambda: len(_kinds(events)) == 7)
    told = [event for event in events if not isinstance(event, FeedAlive)]
    kinds = [BookSnapshot, BookDelta, BookDelta, FeedLost, BookSnapshot, FeedLost, BookSnapshot]
    assert _kinds(events) == kinds
    first, one, two, gap, _, crossed, _ = told
    assert isinstance(first, BookSnapshot)
    assert isinstance(one, BookDelta)
    assert isinstance(two, BookDelta)
    assert isinstance(gap, FeedLost)
    assert isinstance(crossed, FeedLost)
    assert (first.bids, first.asks) == ([(650_000, 200_000)], [(650_010, 100_000)])
    assert (one.bids, one.previous, one.sequence) == ([(649_990, 100_000)], 5, 6)
    assert (two.bids, two.previous, two.sequence) == ([(649_990, 0)], 6, 7)
    assert "gap" in gap.reason
    assert "crossed" in crossed.reason


async def test_silence_is_harmless_while_the_venue_shows_the_same_book() -> None:
    async with (
        scripted_venue() as scripted,
        running(scripted, hold=False, streams={"silence_s": 0.05}) as venue,
    ):
        scripted.say(BOOK, _book(5), _book(5), _book(5), _book(8))
        async with _feed(scripted, venue) as events:
            await scripted.until(lambda: any(isinstance(event, FeedLost) for event in events))
    lost = next(event for event in events if isinstance(event, FeedLost))
    assert _kinds(events)[:4] == [BookSnapshot] * 3 + [FeedLost]
    assert lost.reason == "silent since update 5, and the venue is at 8"


async def test_a_market_without_an_order_book_is_lost_with_the_reason() -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.say("/info", {"markets": [{**MARKET, "mode": "rfq"}], "tokens": []})
        async with _feed(scripted, venue) as events:
            await scripted.until(lambda: events)
    assert isinstance(events[0], FeedLost)
    assert "takes no limit orders" in events[0].reason


async def test_a_fill_is_told_with_the_venues_trade_and_never_twice() -> None:
    async with (
        scripted_venue() as scripted,
        running(scripted, fills_interval_s=0.01) as venue,
        _account(scripted, venue) as events,
    ):
        await scripted.until(lambda: any(isinstance(one, AccountSnapshot) for one in events))
        placed = await venue.execution.send(batch(1, 1), INSTRUMENT)
        order_id = int(placed.orders[0].venue_order_id or 0)
        trade = _trade(1, order_id=order_id, lots=0.001)
        held = {"baseSize": 0.001, "price": 64000, "isLong": True}
        # The list is behind the stream for one read, and both roles are asked.
        scripted.say("/trades", {"items": []}, {"items": []}, {"items": [trade]}, {"items": []})
        scripted.say(
            f"/account/{ACCOUNT_ID}",
            account(updateId=11, positions=[{"marketId": 0, "openOrders": 0, "perp": held}]),
        )
        fill = {
            "side": "bid",
            "quantity": 0.001,
            "remaining": 0.0,
            "price": 64000.0,
            "market_id": 0,
            "maker_id": ACCOUNT_ID,
            "taker_id": 9,
        }
        await scripted.feed(OURS, _update(10, 11, fills={str(order_id): fill}))
        await scripted.until(
            lambda: any(isinstance(one, AccountChange) and one.fills for one in events)
        )
        async with _account(scripted, venue) as late:
            await scripted.until(lambda: late)
    update = next(one for one in events if isinstance(one, OrderUpdate))
    told = next(one for one in events if isinstance(one, AccountChange) and one.fills)
    assert (update.client_order_id, update.resting, update.filled) == (name(1), False, 100)
    (heard,) = told.fills
    assert (heard.trade_id, heard.side, heard.lots) == ("0-1", Side.BUY, 100)
    assert (heard.liquidity, heard.client_order_id) == (Liquidity.MAKER, name(1))
    assert told.position is not None
    assert told.position.lots == 100
    assert isinstance(late[0], AccountSnapshot)
    assert [one.trade_id for one in late[0].fills] == ["0-1"]


async def test_a_gap_in_the_account_stream_is_a_loss_and_a_new_snapshot() -> None:
    async with (
        scripted_venue() as scripted,
        running(scripted) as venue,
        _account(scripted, venue) as events,
    ):
        await scripted.until(lambda: any(isinstance(one, AccountSnapshot) for one in events))
        before = len(events)
        await scripted.feed(OURS, _update(10, 11))
        await scripted.feed(OURS, _update(12, 13))
        await scripted.until(
            lambda: any(isinstance(one, AccountSnapshot) for one in events[before:])
        )
    lost = next(one for one in events[before:] if isinstance(one, AccountLost))
    assert lost.reason == "gap: update 13 follows 12, and not 11"


async def test_an_account_that_went_on_without_its_stream_is_a_loss() -> None:
    async with (
        scripted_venue() as scripted,
        running(scripted, account_poll_s=0.05, fills_interval_s=0.01) as venue,
        _account(scripted, venue) as events,
    ):
        await scripted.until(lambda: any(isinstance(one, AccountSnapshot) for one in events))
        before = len(events)
        scripted.say(f"/account/{ACCOUNT_ID}", account(updateId=20))
        await scripted.until(lambda: any(isinstance(one, AccountLost) for one in events[before:]))
    lost = next(one for one in events[before:] if isinstance(one, AccountLost))
    assert lost.reason == "the venue was at update 20 and the stream is at 10"


async def test_the_venues_own_cancel_ends_an_order() -> None:
    async with (
        scripted_venue() as scripted,
        running(scripted) as venue,
        _account(scripted, venue) as events,
    ):
        await scripted.until(lambda: any(isinstance(one, AccountSnapshot) for one in events))
        placed = await venue.execution.send(batch(1, 1), INSTRUMENT)
        gone = {"side": "bid", "current_size": 0.0004, "price": 64000.0, "market_id": 0}
        cancels = {placed.orders[0].venue_order_id or "": gone}
        await scripted.feed(OURS, _update(10, 11, cancels=cancels))
        await scripted.until(lambda: any(isinstance(one, OrderUpdate) for one in events))
    update = next(one for one in events if isinstance(one, OrderUpdate))
    assert (update.client_order_id, update.resting) == (name(1), False)
    assert (update.filled, update.remaining) == (60, 0)


async def test_all_pages_of_own_trades_are_read_in_both_roles() -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.say(
            "/trades",
            {"items": [_trade(3, order_id=1, lots=0.003)], "nextStartInclusive": "2"},
            {"items": [_trade(2, order_id=1, lots=0.002)]},
            {"items": [_trade(4, order_id=5, lots=0.001, maker=False)]},
        )
        fills = await venue.account.fills(INSTRUMENT, 1_000)
        asked = scripted.seen["/trades"]
    assert [(one.trade_id, one.lots) for one in fills] == [("0-2", 200), ("0-3", 300), ("0-4", 100)]
    assert [one.liquidity for one in fills] == [Liquidity.MAKER] * 2 + [Liquidity.TAKER]
    assert {one.side for one in fills} == {Side.BUY}
    assert "startInclusive=2" in asked[1]
    assert all("since=1970-01-01T00%3A00%3A01.000Z" in one for one in asked)
    assert ["makerId" in one for one in asked] == [True, True, False]


def test_a_first_update_may_begin_anew_but_a_later_beginning_asks_for_another_reading() -> None:
    numbers = Continuity(strict=False)
    numbers.start(10)
    assert not numbers.is_new(9, 8)
    assert numbers.is_new(12, 0)
    for _ in range(3):
        numbers.start(10)
        with pytest.raises(StreamEnded, match="gap"):
            numbers.is_new(13, 12)
    numbers.start(10)
    assert numbers.is_new(13, 12)
    with pytest.raises(StreamEnded, match="gap"):
        numbers.is_new(15, 14)


def test_a_strict_reader_never_takes_a_later_beginning() -> None:
    numbers = Continuity(strict=True)
    for _ in range(9):
        numbers.start(10)
        with pytest.raises(StreamEnded, match="gap"):
            numbers.is_new(13, 12)
