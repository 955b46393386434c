"""The adapter's streams against messages written by hand: gaps, losses, backfill, hostility."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from desk.market import BookDelta, BookSnapshot, FeedAlive, FeedEvent, FeedLost
from desk.orders import (
    AccountAlive,
    AccountChange,
    AccountEvent,
    AccountLost,
    AccountSnapshot,
    Liquidity,
    OrderUpdate,
    RejectReason,
)
from desk.ports import Venue
from tests.venues.conformance.stage import Ear
from tests.venues.ocx.scripted import Answer
from tests.venues.x10.scripted import (
    ACCOUNT,
    BOOK,
    INSTRUMENT,
    KEY,
    SYMBOL,
    ScriptedX10,
    ok,
    running,
    scripted_x10,
)

_TRADES, _POSITIONS = "GET /user/trades", "GET /user/positions"


def _book(kind: str, seq: int, bids: object = (), asks: object = ()) -> dict[str, object]:
    data = {"m": SYMBOL, "b": bids, "a": asks, "d": "f"}
    return {"type": kind, "data": data, "ts": 1, "seq": seq}


def _snapshot(seq: int = 1) -> dict[str, object]:
    return _book("SNAPSHOT", seq, [{"p": "100", "q": "1"}], [{"p": "102", "q": "2"}])


def _account(kind: str, seq: int, **data: object) -> dict[str, object]:
    return {"type": kind, "data": {"isSnapshot": False, **data}, "ts": 1, "seq": seq}


def _order(status: str, **changes: object) -> dict[str, object]:
    told = {"id": 9, "externalId": "c0", "market": SYMBOL, "side": "BUY", "price": "80000"}
    return {**told, "qty": "0.001", "status": status, **changes}


def _trade(number: int, **changes: object) -> dict[str, object]:
    told = {"id": number, "market": SYMBOL, "orderId": 9, "side": "BUY", "price": "80000"}
    more = {"qty": "0.001", "fee": "0.02", "createdTime": number, "isTaker": False}
    return {**told, **more, **changes}


def _position(size: str, updated: int) -> dict[str, object]:
    return {"market": SYMBOL, "side": "LONG", "size": size, "status": "OPENED",
            "openPrice": "80000", "updatedTime": updated}  # fmt: skip


@asynccontextmanager
async def _feed(scripted: ScriptedX10, venue: Venue) -> AsyncIterator[Ear[FeedEvent]]:
    ear: Ear[FeedEvent] = Ear()
    task = asyncio.ensure_future(venue.feed.run(INSTRUMENT, ear.hear))
    try:
        await scripted.until(lambda: scripted.streams[BOOK])
        yield ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def _listening(venue: Venue) -> AsyncIterator[Ear[AccountEvent]]:
    ear: Ear[AccountEvent] = Ear()
    task = asyncio.ensure_future(venue.account.run(INSTRUMENT, ear.hear))
    try:
        await ear.hears(AccountSnapshot)
        yield ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_book_is_told_in_absolute_sizes_and_without_the_key() -> None:
    async with (
        scripted_x10() as scripted,
        running(scripted) as venue,
        _feed(scripted, venue) as ear,
    ):
        await scripted.feed(BOOK, _snapshot())
        await scripted.feed(BOOK, _book("DELTA", 2, [{"p": "100", "q": "-0.4", "c": "0.6"}]))
        await scripted.feed(BOOK, _book("DELTA", 3, [{"p": "100", "q": "-0.1"}]))
        await scripted.feed(BOOK, _book("DELTA", 4, (), [{"p": "102", "q": "-2", "c": "0"}]))
        await ear.until(lambda events: len(events) >= 4, "four events")
        (upgrade,) = scripted.upgrades[BOOK]
    assert upgrade["user-agent"] == "flotilla"
    assert KEY not in str(upgrade)
    assert "sec-websocket-extensions" not in upgrade
    first, *changes = ear.events
    assert isinstance(first, BookSnapshot)
    assert (list(first.bids), list(first.asks)) == ([(100, 100_000)], [(102, 200_000)])
    told = [event for event in changes if isinstance(event, BookDelta)]
    assert [list(one.bids) for one in told] == [[(100, 60_000)], [(100, 50_000)], []]
    assert list(told[2].asks) == [(102, 0)]
    assert [(one.previous, one.sequence) for one in told] == [(1, 2), (2, 3), (3, 4)]


async def test_a_gap_is_a_loss_and_a_new_connection() -> None:
    async with (
        scripted_x10() as scripted,
        running(scripted) as venue,
        _feed(scripted, venue) as ear,
    ):
        await scripted.feed(BOOK, _snapshot())
        await scripted.feed(BOOK, _snapshot())
        await scripted.feed(BOOK, _book("DELTA", 3))
        await ear.hears(FeedLost)
        await scripted.until(lambda: len(scripted.streams[BOOK]) == 2)
        await scripted.feed(BOOK, _snapshot(7))
        await ear.until(lambda events: isinstance(events[-1], BookSnapshot), "a snapshot")
    kinds = [type(event) for event in ear.events]
    assert kinds == [BookSnapshot, FeedAlive, FeedLost, BookSnapshot]
    lost = ear.events[2]
    assert isinstance(lost, FeedLost)
    assert "gap" in lost.reason


async def test_a_crossed_book_and_an_unreadable_message_are_losses() -> None:
    bad: list[object] = [
        _book("DELTA", 2, [{"p": "103", "q": "1", "c": "1"}]),
        _book("DELTA", 2, [{"p": "100.5", "q": "1", "c": "1"}]),
        {"type": "DELTA", "seq": 2, "data": 17},
        {"type": "ERROR", "seq": 2, "error": {"code": 1}},
        ["what"],
    ]
    async with (
        scripted_x10() as scripted,
        running(scripted) as venue,
        _feed(scripted, venue) as ear,
    ):
        for number, message in enumerate(bad, start=1):
            await scripted.until(lambda: len(scripted.streams[BOOK]) == number)  # noqa: B023
            await scripted.feed(BOOK, _snapshot())
            await scripted.feed(BOOK, message)
            await ear.until(
                lambda events: sum(isinstance(one, FeedLost) for one in events) == number,  # noqa: B023
                f"loss {number}",
            )


async def test_a_stream_that_only_answers_pings_is_lost() -> None:
    quiet = {"ping_s": 0.05, "book_silence_s": 0.3, "refused_wait_s": 0.05}
    async with (
        scripted_x10() as scripted,
        running(scripted, streams=quiet) as venue,
        _feed(scripted, venue) as ear,
    ):
        await scripted.feed(BOOK, _snapshot())
        place = await ear.hears(FeedLost)
        assert any(isinstance(event, FeedAlive) for event in ear.events[:place])
        lost = ear.events[place]
        assert isinstance(lost, FeedLost)
        assert "no book message" in lost.reason


async def test_a_refused_upgrade_waits_longer_and_comes_back() -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        scripted.refuse[BOOK] = [403, 429]
        ear: Ear[FeedEvent] = Ear()
        task = asyncio.ensure_future(venue.feed.run(INSTRUMENT, ear.hear))
        await scripted.until(lambda: scripted.streams[BOOK])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    told = [event.reason for event in ear.events if isinstance(event, FeedLost)]
    assert [status for status in ("403", "429") if any(status in one for one in told)] == [
        "403",
        "429",
    ]


async def test_a_snapshot_of_the_account_comes_from_rest_and_news_follow() -> None:
    async with scripted_x10() as scripted:
        scripted.say(_TRADES, ok([_trade(7), _trade(6)]))
        scripted.say(_POSITIONS, ok([_position("0.002", 50)]))
        async with running(scripted) as venue, _listening(venue) as ear:
            (upgrade,) = scripted.upgrades[ACCOUNT]
            assert upgrade["x-api-key"] == KEY
            say = scripted.feed
            await say(ACCOUNT, _account("ORDER", 1, orders=[], isSnapshot=True))
            await say(ACCOUNT, _account("BALANCE", 2, balance={"equity": [1]}))
            await say(ACCOUNT, _account("POSITION", 3, positions=[_position("0.001", 40)]))
            await say(ACCOUNT, _account("ORDER", 4, orders=[_order("NEW")]))
            named = _trade(8, externalOrderId="c0", isTaker=True)
            await say(ACCOUNT, _account("TRADE", 5, trades=[_trade(7), named]))
            await say(ACCOUNT, _account("POSITION", 6, positions=[_position("0.003", 60)]))
            await say(ACCOUNT, _account("ORDER", 7, orders=[_order("FILLED", filledQty="0.001")]))

            def ended(event: AccountEvent) -> bool:
                return isinstance(event, OrderUpdate) and not event.resting

            await ear.until(lambda events: any(map(ended, events)), "the end")
    first = next(event for event in ear.events if isinstance(event, AccountSnapshot))
    assert [fill.trade_id for fill in first.fills] == ["6", "7"]
    assert (first.position.lots, first.position.entry_price) == (200, Decimal(80_000))
    updates = [event for event in ear.events if isinstance(event, OrderUpdate)]
    assert [(one.remaining, one.filled, one.resting, one.reason) for one in updates] == [
        (100, 0, True, None),
        (0, 100, False, None),
    ]
    changes = [event for event in ear.events if isinstance(event, AccountChange)]
    (fill,) = [fill for change in changes for fill in change.fills]
    assert (fill.trade_id, fill.client_order_id) == ("8", "c0")
    assert (fill.liquidity, fill.fee, fill.fee_estimated) == (
        Liquidity.TAKER,
        Decimal("0.02"),
        False,
    )
    # The older position of the stream's own snapshot is no news.
    assert [change.position.lots for change in changes if change.position] == [300]


async def test_a_fill_from_rest_knows_its_order_by_what_the_stream_said() -> None:
    async with scripted_x10() as scripted, running(scripted) as venue, _listening(venue) as ear:
        await scripted.feed(ACCOUNT, _account("ORDER", 1, orders=[_order("NEW")]))
        await ear.hears(OrderUpdate)
        scripted.say(_TRADES, ok([_trade(7)]))
        (fill,) = await venue.account.fills(INSTRUMENT, 0)
    assert fill.client_order_id == "c0"


async def test_after_a_loss_fills_are_paged_back_to_the_last_known_one() -> None:
    async with scripted_x10() as scripted:
        scripted.say(_TRADES, ok([_trade(6), _trade(5)]))
        async with running(scripted, trades_page=2) as venue, _listening(venue) as ear:
            scripted.say(
                _TRADES, ok([_trade(10), _trade(9)], 9), ok([_trade(8), _trade(7)], 7),
                ok([_trade(6)], 6),
            )  # fmt: skip
            scripted.seen.clear()
            heard = len(ear.events)
            await scripted.streams[ACCOUNT][0].close()
            lost = await ear.hears(AccountLost, heard)
            again = await ear.hears(AccountSnapshot, lost)
            assert len(scripted.seen[_TRADES]) == 3
    told = ear.events[again]
    assert isinstance(told, AccountSnapshot)
    assert [fill.trade_id for fill in told.fills] == ["5", "6", "7", "8", "9", "10"]


async def test_a_gap_of_the_account_stream_is_a_loss() -> None:
    async with scripted_x10() as scripted, running(scripted) as venue, _listening(venue) as ear:
        await scripted.feed(ACCOUNT, _account("ORDER", 1, orders=[]))
        heard = len(ear.events)
        await scripted.feed(ACCOUNT, _account("ORDER", 3, orders=[]))
        lost = await ear.hears(AccountLost, heard)
        assert lost < await ear.hears(AccountSnapshot, lost)


async def test_a_backfill_that_fails_is_a_loss_and_tried_again() -> None:
    async with scripted_x10() as scripted:
        scripted.say(_POSITIONS, Answer(status=503), ok([]))
        async with running(scripted) as venue, _listening(venue):
            assert len(scripted.seen[_POSITIONS]) == 2
            assert len(scripted.streams[ACCOUNT]) == 2


async def test_words_nobody_knows_end_nothing() -> None:
    async with scripted_x10() as scripted, running(scripted) as venue, _listening(venue) as ear:
        await scripted.feed(ACCOUNT, _account("NEW_THING", 1, anything=[{"a": 1}]))
        await scripted.feed(ACCOUNT, _account("ORDER", 2, orders=[_order("TRIGGERED_MAYBE")]))
        hostile = _order("CANCELLED", statusReason="ACCOUNT_LIQUIDATION", extra=1)
        await scripted.feed(ACCOUNT, _account("ORDER", 3, orders=[_order("TRIGGERED"), hostile]))
        await ear.until(
            lambda events: sum(isinstance(one, OrderUpdate) for one in events) == 2, "two updates"
        )
        assert not any(isinstance(event, AccountLost) for event in ear.events[1:])
    updates = [event for event in ear.events if isinstance(event, OrderUpdate)]
    assert [(one.resting, one.reason) for one in updates] == [
        (True, None),
        (False, RejectReason.MARGIN),
    ]


async def test_a_quiet_account_is_known_to_be_alive() -> None:
    async with (
        scripted_x10() as scripted,
        running(scripted, streams={"ping_s": 0.05, "refused_wait_s": 0.05}) as venue,
        _listening(venue) as ear,
    ):
        await ear.hears(AccountAlive)


async def test_fills_of_markets_nobody_follows_wait_for_who_comes_later() -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        async with _listening(venue):
            pass
        await scripted.feed(ACCOUNT, _account("TRADE", 1, trades=[_trade(7)]))
        ear: Ear[AccountEvent] = Ear()

        async def heard() -> bool:
            task = asyncio.ensure_future(venue.account.run(INSTRUMENT, ear.hear))
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            told = ear.events[-1]
            return isinstance(told, AccountSnapshot) and bool(told.fills)

        async with asyncio.timeout(10):
            while not await heard():
                pass
