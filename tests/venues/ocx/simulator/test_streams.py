"""Streams: a snapshot first, merged differences after it, and the engine's book to the letter."""

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.instrument import Instrument
from desk.units import Level, Side
from tests.venues.ocx.simulator.bench import (
    MAKER,
    TAKER,
    Bench,
    Stream,
    level,
    listening,
    order,
    running,
)
from venues.ocx.simulator.settings import OutOfRange, Streams
from venues.ocx.simulator.sources import BookSource
from venues.simulation.hand import CROWD

FAST: dict[str, Any] = {"marketId": "BTC-PERP", "intervalMs": 50}


class ClientBook:
    """What a client knows: snapshot, then updates applied, trimmed to the depth."""

    def __init__(self, payload: dict[str, Any], depth: int) -> None:
        self.depth = depth
        self.sides: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        self.apply(payload)

    def apply(self, payload: dict[str, Any]) -> None:
        for name, side in self.sides.items():
            for one in payload[name]:
                if one["size"] == "0":
                    side.pop(one["price"], None)
                else:
                    side[one["price"]] = one["size"]
            ranked = sorted(side, key=float, reverse=name == "bids")
            self.sides[name] = {price: side[price] for price in ranked[: self.depth]}

    def shown(self) -> list[list[tuple[str, str]]]:
        return [list(side.items()) for side in self.sides.values()]


def engine_book(bench: Bench, depth: int) -> list[list[tuple[str, str]]]:
    instrument = bench.sim.world.instrument("BTC-PERP")
    return [_shown(instrument, side) for side in bench.sim.engine.book("BTC-PERP", depth)]


def _shown(instrument: Instrument, side: list[Level]) -> list[tuple[str, str]]:
    return [(str(instrument.price(ticks)), str(instrument.quantity(lots))) for ticks, lots in side]


@pytest.mark.parametrize("zero", [True, False])
async def test_the_book_stream_reproduces_the_engines_book(zero: bool) -> None:
    depth = 3
    async with (
        running(streams=Streams(zero_when_leaving_window=zero)) as bench,
        listening(bench, "/perps/book-stream", depth=depth, **FAST) as stream,
    ):
        first = await stream.next()
        assert (first.name, first.sse_id, first.data["eventSeq"]) == ("snapshot", "1", 1)
        book = ClientBook(first.payload, depth)
        ladders = [
            [(Side.BUY, 1900 - n * step, 10 + n) for n in range(6)]
            + [(Side.SELL, 2100 + n * step, 5 + n) for n in range(6)]
            for step in (1, 2, 3, 1)
        ]
        for number, ladder in enumerate(ladders):
            stale = [(side, ticks, 0) for side, ticks, _ in ladders[number - 1]]
            bench.sim.engine.set_levels(CROWD, "BTC-PERP", stale)
            bench.sim.engine.set_levels(CROWD, "BTC-PERP", ladder)
            update = await stream.next()
            assert (update.name, update.data["eventSeq"]) == ("update", number + 2)
            book.apply(update.payload)
            assert book.shown() == engine_book(bench, depth)


@given(st.lists(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 3)), max_size=8), max_size=6))
@settings(max_examples=15, deadline=None)
def test_any_sequence_of_books_survives_the_differences(
    changes: list[list[tuple[int, int]]],
) -> None:
    asyncio.run(_replayed(changes))


async def _replayed(changes: list[list[tuple[int, int]]]) -> None:
    async with running() as bench:
        source = BookSource(bench.sim.world, "BTC-PERP", 3)
        book = ClientBook(source.snapshot(), 3)
        for change in changes:
            levels = [(Side.BUY, 1900 - distance, lots) for distance, lots in change]
            bench.sim.engine.set_levels(CROWD, "BTC-PERP", levels)
            payload = source.changes()
            if payload is not None:
                book.apply(payload)
            assert book.shown() == engine_book(bench, 3)
            assert source.changes() is None


async def test_totals_are_cumulative() -> None:
    async with running() as bench:
        await bench.quote(level("buy", "990"), level("buy", "989", "0.20"))
        async with listening(bench, "/perps/book-stream", **FAST) as stream:
            bids = (await stream.next()).payload["bids"]
            assert [one["total"] for one in bids] == ["0.10", "0.30"]


async def test_changes_within_one_interval_merge() -> None:
    async with (
        running() as bench,
        listening(bench, "/perps/book-stream", marketId="BTC-PERP", intervalMs=800) as stream,
    ):
        await stream.next()
        for price in ("990", "980", "970"):
            await bench.quote(level("buy", price))
        update = await stream.next()
        assert [one["price"] for one in update.payload["bids"]] == ["970.0"]


async def test_a_quiet_stream_sends_only_the_heartbeat() -> None:
    for text in (":heartbeat", ": keepalive"):
        rules = Streams(heartbeat=text, heartbeat_s=0.1)
        async with (
            running(streams=rules) as bench,
            listening(bench, "/perps/book-stream", **FAST) as stream,
        ):
            await stream.next()
            assert await stream.comment() == text


async def test_the_user_stream_tells_fills_and_positions_and_no_orders() -> None:
    async with running() as bench:
        await bench.place("sell", "1000", "0.10")
        await bench.post("/perps/orders", order("buy", "1000", "0.04"), TAKER)
        async with listening(bench, "/perps/stream/user", MAKER, intervalMs=100) as stream:
            first = await stream.next()
            assert (first.name, first.data["eventType"]) == ("snapshot", "PerpStreamSnapshot")
            (told,) = first.payload["trades"]
            assert set(told) == {
                "marketId",
                "side",
                "price",
                "quantity",
                "liquidity",
                "createdAt",
            }
            await bench.place("sell", "1001")
            await bench.post("/perps/orders", order("buy", "1000", "0.06"), TAKER)
            delta = await stream.next()
            assert (delta.name, delta.data["eventSeq"]) == ("delta", 2)
            assert [one["quantity"] for one in delta.payload["trades"]] == ["0.06"]
            (held,) = delta.payload["positions"]
            assert (held["side"], held["quantity"]) == ("short", "0.10")
            rest = (await bench.get("/perps/trades", MAKER)).json()
            assert [{key: one[key] for key in told} for one in rest] == [
                told,
                *delta.payload["trades"],
            ]


async def test_a_flat_position_is_removed_when_only_open_ones_are_asked_for() -> None:
    async with running() as bench:
        await bench.place("sell", "1000", "0.10")
        await bench.post("/perps/orders", order("buy", "1000", "0.10"), TAKER)
        path, fast = "/perps/stream/user", {"intervalMs": 100}
        async with (
            listening(bench, path, TAKER, openOnly="true", **fast) as only,
            listening(bench, path, TAKER, **fast) as every,
        ):
            (held,) = (await only.next()).payload["positions"]
            await every.next()
            await bench.place("buy", "1000", "0.10")
            await bench.post("/perps/positions/close", {"marketId": "BTC-PERP"}, TAKER)
            assert (await only.next()).payload["removedIds"] == [held["id"]]
            (closed,) = (await every.next()).payload["positions"]
            assert (closed["status"], closed["quantity"]) == ("closed", "0")


async def test_fills_carry_ids_only_behind_the_switch() -> None:
    async with running(streams=Streams(fill_ids=True)) as bench:
        await bench.place("sell", "1000", clientOrderId="mine")
        await bench.post("/perps/orders", order("buy", "1000"), TAKER)
        async with listening(bench, "/perps/stream/user", MAKER) as stream:
            (told,) = (await stream.next()).payload["trades"]
            assert told["clientOrderId"] == "mine"
            assert told["fee"] == "0.02"


async def test_the_events_stream_has_book_fills_and_position_of_one_market() -> None:
    async with running() as bench:
        params = {"marketId": "BTC-PERP", "intervalMs": 100}
        async with listening(bench, "/perps/stream/events", MAKER, **params) as stream:
            first = await stream.next()
            assert first.payload["orderbook"] == {"bids": [], "asks": []}
            await bench.place("sell", "1000")
            delta = await stream.next()
            assert delta.payload["orderbook"]["asks"][0]["price"] == "1000.0"
            await bench.post("/perps/orders", order("buy", "1000"), TAKER)
            delta = await stream.next()
            assert delta.payload["orderbook"]["asks"][0]["size"] == "0"
            assert len(delta.payload["trades"]) == 1


async def test_a_reconnect_starts_with_a_new_snapshot_whatever_id_it_names() -> None:
    async with running() as bench:
        headers = {"Last-Event-ID": "1"}
        async with bench.http.stream(
            "GET", "/perps/book-stream", params=FAST, headers=headers
        ) as response:
            event = await Stream(response).next()
            assert (event.name, event.data["eventSeq"]) == ("snapshot", 1)


async def _status(bench: Bench, path: str, key: str | None, **params: Any) -> int:
    async with bench.http.stream(
        "GET", path, params=params, headers={} if key is None else {"x-api-key": key}
    ) as response:
        return int(response.status_code)


async def test_parameters_out_of_bounds_are_clamped_or_refused() -> None:
    for rule, status in ((OutOfRange.CLAMP, 200), (OutOfRange.REFUSE, 400)):
        async with running(streams=Streams(out_of_range=rule)) as bench:
            path = "/perps/book-stream"
            assert await _status(bench, path, None, marketId="BTC-PERP", depth=101) == status
            assert await _status(bench, path, None, marketId="BTC-PERP", intervalMs=49) == status
            assert await _status(bench, path, None, marketId="BTC-PERP", depth="x") == 400
            assert await _status(bench, path, None) == 400
            assert await _status(bench, path, None, marketId="X") == 404
            assert await _status(bench, "/perps/stream/user", None) == 401


async def test_a_market_that_expires_ends_its_stream_with_a_fatal_error() -> None:
    async with (
        running() as bench,
        listening(bench, "/perps/book-stream", **FAST) as stream,
    ):
        await stream.next()
        await bench.post("/_sim/expire", {"marketId": "BTC-PERP"})
        event = await stream.next()
        assert (event.name, event.data["retryable"]) == ("error", False)
        with pytest.raises((EOFError, httpx.HTTPError)):
            await stream.next()
