"""What each source of OCX says, and what it costs to ask: the adapter against answers by hand."""

import asyncio
import random

import pytest

from desk.errors import Refused, Unresolved
from desk.orders import AccountEvent, AccountLost
from desk.payments import PaymentKind
from desk.ports import Venue
from desk.sources import Authority, SourceView
from tests.venues.ocx.scripted import (
    INSTRUMENT,
    SYMBOL,
    Answer,
    ScriptedVenue,
    SystemClock,
    frame,
    running,
    scripted_venue,
)
from venues.ocx import build

POSITIONS, BALANCES, USER = "/perps/positions", "/perps/balances", "/perps/stream/user"
FUNDS = Answer(body=b'{"equity":"1000.25","available":"900"}')
LONG = {"id": "p1", "marketId": SYMBOL, "side": "long", "quantity": "0.0123"}


def says_positions(scripted: ScriptedVenue, body: bytes) -> None:
    scripted.say(POSITIONS, Answer(body=body))
    scripted.say(BALANCES, FUNDS)


async def heard(venue: Venue, scripted: ScriptedVenue, position: dict[str, str]) -> None:
    """Wait until the adapter took in a first snapshot."""
    news = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(venue.account.run(INSTRUMENT, lambda _: news.set()))
        await news.wait()
        news.clear()
        scripted.feed(USER, frame("snapshot", {"positions": [position]}, seq=1))
        await asyncio.wait_for(news.wait(), 10)
        task.cancel()


def by_authority(views: list[SourceView]) -> dict[Authority, SourceView]:
    return {view.source.authority: view for view in views}


async def test_both_sources_tell_signed_lots_and_only_the_endpoint_tells_equity() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        says_positions(
            scripted,
            b'[{"marketId":"BTC-USDC-PERP","side":"short","quantity":"0.02"},'
            b'{"marketId":"BTC-USDC-PERP","side":"long","quantity":"0.005"},'
            b'{"marketId":"GONE","side":"long","quantity":"9","status":"closed"}]',
        )
        await heard(venue, scripted, LONG)
        endpoint, stream = await venue.account.views()
    assert [endpoint.source, stream.source] == list(venue.account.sources)
    assert endpoint.positions == {SYMBOL: -150}
    assert stream.positions == {SYMBOL: 123}
    assert str(endpoint.equity) == "1000.25"
    assert stream.equity is None


async def test_a_market_nobody_listed_to_us_is_told_in_small_units() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        says_positions(scripted, b'[{"marketId":"OLD-PERP","side":"long","quantity":"1.5"}]')
        (endpoint,) = await venue.account.views()
    assert endpoint.positions == {"OLD-PERP": 150_000_000}


async def test_a_stream_counts_only_from_its_snapshot_until_it_is_lost() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        says_positions(scripted, b"[]")
        assert list(by_authority(list(await venue.account.views()))) == [Authority.ENDPOINT]
        await heard(venue, scripted, LONG)
        assert Authority.STREAM in by_authority(list(await venue.account.views()))
        scripted.feed(USER, b"")
        await scripted.until(lambda: len(scripted.streams[USER]) > 1)
        assert list(by_authority(list(await venue.account.views()))) == [Authority.ENDPOINT]


async def test_a_stream_nobody_holds_any_more_has_no_say() -> None:
    async with scripted_venue() as scripted:
        given = {"base_url": scripted.base_url, "api_key": "ocx_sk_x"}
        venue = build(given, account="main", clock=SystemClock(), random=random.Random(1))
        says_positions(scripted, b"[]")
        async with asyncio.TaskGroup() as group:
            holder = group.create_task(venue.run())
            await scripted.until(lambda: scripted.streams[USER])
            await heard(venue, scripted, LONG)
            assert len(await venue.account.views()) == 2
            holder.cancel()
        assert len(await venue.account.views()) == 1
        await venue.close()


async def test_a_stream_with_unreadable_figures_is_left_out() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        says_positions(scripted, b"[]")
        await heard(venue, scripted, LONG | {"quantity": "0.00001"})
        assert list(by_authority(list(await venue.account.views()))) == [Authority.ENDPOINT]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(body=b'[{"marketId":"BTC-USDC-PERP","quantity":"x"}]'), Unresolved),
        (Answer(status=403), Refused),
        (Answer(cut=True), Unresolved),
    ],
)
async def test_an_endpoint_that_cannot_say_raises(answer: Answer, error: type[Exception]) -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        scripted.say(BALANCES, FUNDS)
        scripted.say(POSITIONS, answer)
        with pytest.raises(error):
            await venue.account.views()


async def test_every_read_is_counted() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        says_positions(scripted, b"[]")
        scripted.say("/perps/orders", Answer(body=b"[]"))
        scripted.say("/perps/trades", Answer(body=b"[]"))
        costs = []
        for read in (
            lambda: venue.account.open_orders(None),
            venue.account.views,
            venue.account.balance,
            venue.account.held,
            lambda: venue.account.fills(INSTRUMENT, 0),
            lambda: venue.account.payments(0),
        ):
            before = venue.requests
            await read()
            costs.append(venue.requests - before)
        seen = sum(len(scripted.seen[path]) for path in scripted.seen if path != USER)
        assert costs == [1, 2, 2, 1, 1, 0]
        assert venue.requests == seen


async def test_a_second_try_with_the_other_credential_is_counted_too() -> None:
    async with (
        scripted_venue() as scripted,
        running(scripted, session_jwt="x.eyJleHAiOjk5OTk5OTk5OTl9.x") as venue,
    ):
        says_positions(scripted, b"[]")
        scripted.say(POSITIONS, Answer(status=403), Answer(body=b"[]"))
        before = venue.requests
        await venue.account.held()
        assert len(scripted.seen[POSITIONS]) == 2
        assert venue.requests - before == 2


async def test_no_payments_are_claimed() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        assert venue.capabilities.tells_payments == frozenset[PaymentKind]()
        assert await venue.account.payments(0) == ()


async def test_a_stream_that_goes_on_contradicting_is_started_anew_at_its_next_word() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        says_positions(scripted, b"[]")
        await heard(venue, scripted, LONG)
        said: list[AccountEvent] = []
        async with asyncio.TaskGroup() as group:
            ear = group.create_task(venue.account.run(INSTRUMENT, said.append))
            assert len(await venue.account.views()) == 2
            scripted.feed(USER, b":still here\n\n")
            await venue.account.views()
            assert len(scripted.streams[USER]) == 1, "they may be apart for a moment"
            # As if they had been apart since the machine started.
            venue.account._quarrel._since_ns = 0  # type: ignore[attr-defined]
            await venue.account.views()
            scripted.feed(USER, b":still here\n\n")
            await scripted.until(lambda: len(scripted.streams[USER]) == 2)
            lost = [one for one in said if isinstance(one, AccountLost)]
            assert [one.reason for one in lost] == ["it contradicts the account endpoint"]
            scripted.feed(USER, frame("snapshot", {"positions": []}, seq=1))
            async with asyncio.timeout(10):
                while len(views := await venue.account.views()) < 2:
                    await asyncio.sleep(0.01)
            assert [dict(view.positions) for view in views] == [{}, {}]
            ear.cancel()


async def test_both_are_read_again_when_the_stream_moved_meanwhile() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        says_positions(scripted, b"[]")
        await heard(venue, scripted, LONG)
        scripted.say(POSITIONS, Answer(body=b"[]"))
        scripted.say(BALANCES, Answer(body=FUNDS.body, slow_s=0.3), FUNDS)
        before = venue.requests
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(venue.account.views())
            await scripted.until(lambda: scripted.seen[BALANCES])
            scripted.feed(USER, frame("delta", {"removedIds": ["p1"]}, seq=2))
        endpoint, stream = looking.result()
        assert venue.requests - before == 4
        assert (dict(endpoint.positions), dict(stream.positions)) == ({}, {})
