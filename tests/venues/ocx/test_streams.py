"""Streams fed by hand: a loss is always told, a fill is told once and never dropped."""

import asyncio
from dataclasses import replace

from structlog.testing import capture_logs

from desk.market import BookDelta, BookSnapshot, FeedAlive, FeedEvent, FeedLost
from desk.orders import (
    AccountAlive,
    AccountChange,
    AccountEvent,
    AccountLost,
    AccountSnapshot,
)
from tests.venues.ocx.scripted import (
    INSTRUMENT,
    SYMBOL,
    frame,
    running,
    scripted_venue,
)

BOOK, USER = "/perps/book-stream", "/perps/stream/user"
LEVELS = {"bids": [{"price": "1.00", "size": "2"}], "asks": [{"price": "2.00", "size": "1"}]}
TRADE = {
    "marketId": SYMBOL,
    "side": "buy",
    "price": "64250.00",
    "quantity": "0.01",
    "liquidity": "maker",
    "createdAt": "2026-04-24T10:00:00.000Z",
}


async def test_a_book_is_told_from_its_snapshot_and_again_after_every_loss() -> None:
    events: list[FeedEvent] = []
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:

        def sink(event: FeedEvent) -> None:
            events.append(event)
            scripted.changed.set()

        async with asyncio.TaskGroup() as group:
            feed = group.create_task(venue.feed.run(INSTRUMENT, sink))
            await scripted.until(lambda: scripted.streams[BOOK])
            scripted.feed(BOOK, frame("snapshot", LEVELS, seq=7, sse_id=True))
            scripted.feed(BOOK, b": keepalive\n")
            scripted.feed(BOOK, frame("update", LEVELS, seq=8, sse_id=True))
            scripted.feed(BOOK, frame("update", LEVELS, seq=8, sse_id=True))
            scripted.feed(BOOK, frame("update", LEVELS, seq=10, sse_id=True))
            await scripted.until(lambda: len(scripted.streams[BOOK]) == 2)
            scripted.feed(BOOK, frame("snapshot", LEVELS, seq=1, sse_id=True))
            await scripted.until(lambda: len(events) == 6)
            venue.feed.resnapshot(SYMBOL, "crossed")
            await scripted.until(lambda: len(scripted.streams[BOOK]) == 3)
            scripted.feed(BOOK, b'event: error\ndata: {"code":"X","retryable":true}\n\n')
            await scripted.until(lambda: len(events) == 8)
            feed.cancel()
        target = scripted.seen[BOOK][0].target
    kinds = [type(event) for event in events]
    assert kinds == [
        BookSnapshot,
        FeedAlive,
        BookDelta,
        FeedAlive,
        FeedLost,
        BookSnapshot,
        FeedLost,
        FeedLost,
    ]
    first, change = events[0], events[2]
    assert isinstance(first, BookSnapshot)
    assert isinstance(change, BookDelta)
    assert first.bids == [(100, 20_000)]
    assert (first.sequence, change.previous, change.sequence) == (7, 7, 8)
    reasons = [event.reason for event in events if isinstance(event, FeedLost)]
    assert "gap" in reasons[0]
    assert "crossed" in reasons[1]
    assert "error event X" in reasons[2]
    assert f"marketId={SYMBOL}" in target


async def test_one_user_stream_serves_all_markets_and_repeats_no_fill() -> None:
    other = replace(INSTRUMENT, symbol="ETH-PERP")
    position = {"id": "p1", "marketId": SYMBOL, "side": "long", "quantity": "0.01"}
    mine: list[AccountEvent] = []
    theirs: list[AccountEvent] = []
    async with scripted_venue() as scripted, running(scripted) as venue:

        def wake(events: list[AccountEvent], event: AccountEvent) -> None:
            events.append(event)
            scripted.changed.set()

        async with asyncio.TaskGroup() as group:
            first = group.create_task(
                venue.account.run(INSTRUMENT, lambda event: wake(mine, event))
            )
            await scripted.until(lambda: len(mine) == 1)
            start = {"trades": [TRADE], "positions": [position]}
            scripted.feed(USER, frame("snapshot", start, seq=1))
            await scripted.until(lambda: len(mine) == 2)
            second = group.create_task(venue.account.run(other, lambda event: wake(theirs, event)))
            await scripted.until(lambda: len(theirs) == 1)
            change = {"trades": [TRADE], "positions": [], "removedIds": ["p1"]}
            scripted.feed(USER, frame("delta", change, seq=2))
            scripted.feed(USER, b": heartbeat\n")
            await scripted.until(lambda: len(mine) == 4)
            scripted.feed(USER, b"")
            await scripted.until(lambda: len(scripted.streams[USER]) == 2)
            again = {"trades": [TRADE, TRADE], "positions": []}
            scripted.feed(USER, frame("snapshot", again, seq=1))
            await scripted.until(lambda: len(mine) == 6)
            first.cancel()
            second.cancel()
        assert len(scripted.seen[USER]) == 2
    assert [type(event) for event in mine] == [
        AccountLost,
        AccountSnapshot,
        AccountChange,
        AccountAlive,
        AccountLost,
        AccountSnapshot,
    ]
    assert [type(event) for event in theirs] == [
        AccountSnapshot,
        AccountAlive,
        AccountAlive,
        AccountLost,
        AccountSnapshot,
    ]
    start_event, change_event, again_event = mine[1], mine[2], mine[5]
    assert isinstance(start_event, AccountSnapshot)
    assert isinstance(change_event, AccountChange)
    assert isinstance(again_event, AccountSnapshot)
    assert start_event.position.lots == 100
    assert change_event.position is not None
    assert change_event.position.lots == 0
    told = [start_event.fills[0].trade_id, change_event.fills[0].trade_id]
    assert len(set(told)) == 2
    assert [fill.trade_id for fill in again_event.fills] == told


async def test_fills_that_nobody_follows_are_noted_once_and_not_one_by_one() -> None:
    """A guardian follows nothing, and hears every fill of its account."""
    later = {**TRADE, "createdAt": "2026-04-24T10:00:01.000Z"}
    other = {**TRADE, "marketId": "SOL-PERP"}
    with capture_logs() as logs:
        async with scripted_venue() as scripted, running(scripted):
            await scripted.until(lambda: scripted.streams[USER])
            scripted.feed(USER, frame("snapshot", {"trades": [], "positions": []}, seq=1))
            for seq, trade in enumerate((TRADE, later, other), start=2):
                scripted.feed(USER, frame("delta", {"trades": [trade]}, seq=seq))
            async with asyncio.timeout(5):
                while not any("SOL-PERP" in one.get("symbols", ()) for one in logs):
                    await asyncio.sleep(0.01)
    noted = [one["symbols"] for one in logs if one["event"] == "ocx.fills_nobody_follows"]
    assert noted == [[SYMBOL], ["SOL-PERP"]]


async def test_fills_of_a_market_nobody_follows_wait_for_a_follower() -> None:
    events: list[AccountEvent] = []
    async with scripted_venue() as scripted, running(scripted) as venue:
        await scripted.until(lambda: scripted.streams[USER])
        scripted.feed(USER, frame("snapshot", {"trades": [], "positions": []}, seq=1))
        scripted.feed(USER, frame("delta", {"trades": [TRADE]}, seq=2))

        def sink(event: AccountEvent) -> None:
            events.append(event)
            scripted.changed.set()

        async with asyncio.TaskGroup() as group:
            follower = group.create_task(venue.account.run(INSTRUMENT, sink))
            await scripted.until(
                lambda: any(
                    isinstance(event, AccountSnapshot | AccountChange) and event.fills
                    for event in events
                )
            )
            follower.cancel()
