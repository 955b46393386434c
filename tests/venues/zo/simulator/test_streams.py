"""Streams: no snapshot, every update chained to the one before, and nobody waits for a reader."""

import asyncio
import json
import socket
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from desk.units import Side as DeskSide
from tests.venues.zo.simulator.bench import (
    ASK,
    BID,
    IOC,
    LIMIT,
    TAKER,
    Bench,
    cancelling,
    error_of,
    placing,
    running,
)
from venues.simulation.hand import crowd_trade
from venues.zo.simulator.settings import (
    BalanceKey,
    FillCount,
    FillKey,
    FillSide,
    LevelShape,
    Pings,
    SimMarket,
    SimulatorSettings,
    Streams,
    TradesShape,
)

LIVELY = SimMarket(symbol="BTCUSD", price=Decimal(60_000), price_decimals=1, size_decimals=5)


async def test_deltas_hold_absolute_sizes_and_zero_removes() -> None:
    async with running() as bench:
        maker = await bench.trader()
        await maker.rest(BID, 9_900, 10)
        async with bench.listening("deltas@BTCUSD") as ear:
            order_id = await maker.rest(BID, 9_900, 20)
            first = await ear.next("delta")
            assert (first["bids"], first["asks"]) == ([[990.0, 0.03]], [])
            await maker.cancel(order_id)
            second = await ear.next("delta")
            assert second["bids"] == [[990.0, 0.01]]
            assert second["last_update_id"] == first["update_id"]
            await maker.rest(ASK, 10_000, 5)
            crowd_trade(bench.sim.engine, "BTCUSD", DeskSide.BUY, 5, None)
            placed, gone = await ear.next("delta"), await ear.next("delta")
            assert (placed["asks"], gone["asks"]) == ([[1000.0, 0.005]], [[1000.0, 0]])


async def test_a_snapshot_and_the_deltas_after_it_are_the_book() -> None:
    """The procedure of section 3.2: buffer, snapshot, drop the old, apply the rest in order."""
    async with running(markets=(LIVELY,)) as bench, bench.listening("deltas@BTCUSD") as ear:
        held = [await ear.next("delta") for _ in range(3)]
        shot = await bench.get("/market/0/orderbook")
        book = {side: dict(map(tuple, shot[side])) for side in ("bids", "asks")}
        update_id = shot["updateId"]
        for _ in range(12):
            delta = held.pop(0) if held else await ear.next("delta")
            if delta["update_id"] <= update_id:
                continue
            assert delta["last_update_id"] == update_id
            update_id = delta["update_id"]
            for side in ("bids", "asks"):
                _apply(book[side], delta[side])
        bench.sim.pump.set_quiet("BTCUSD", quiet=True)
        await _catch_up(bench, ear, book, update_id)


async def _catch_up(bench: Bench, ear: Any, book: dict[str, Any], update_id: int) -> None:
    shot = await bench.get("/market/0/orderbook")
    while update_id < shot["updateId"]:
        delta = await ear.next("delta")
        update_id = delta["update_id"]
        for side in ("bids", "asks"):
            _apply(book[side], delta[side])
    assert update_id == shot["updateId"]
    assert sorted(book["bids"].items(), reverse=True) == [tuple(one) for one in shot["bids"]]
    assert sorted(book["asks"].items()) == [tuple(one) for one in shot["asks"]]
    assert len(shot["bids"]) == shot["bidsSummary"]["count"] > 3


def _apply(side: dict[float, float], changes: list[list[float]]) -> None:
    for price, size in changes:
        if size:
            side[price] = size
        else:
            assert side.pop(price, None) is not None


async def test_account_updates_tell_places_fills_and_cancels_in_a_chain() -> None:
    async with running() as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        async with bench.listening("account@1") as ear:
            order_id = await maker.rest(ASK, 10_000, 100, client_order_id=4)
            placed = await ear.next("account")
            shown = {
                "side": "ask",
                "current_size": 0.1,
                "price": 1000,
                "market_id": 0,
                "client_order_id": 4,
            }
            assert placed["places"] == {str(order_id): shown}
            assert (placed["fills"], placed["cancels"], placed["account_id"]) == ({}, {}, 1)
            await taker.place(BID, 10_000, 30, IOC)
            filled = await ear.next("account")
            (fill,) = filled["fills"].items()
            assert fill[0] == str(order_id)
            assert (fill[1]["side"], fill[1]["quantity"], fill[1]["remaining"]) == (
                "ask",
                0.03,
                0.07,
            )
            assert (fill[1]["maker_id"], fill[1]["taker_id"]) == (1, 2)
            assert filled["last_update_id"] == placed["update_id"]
            await maker.atomic(cancelling(order_id), placing(BID, 9_000), placing(BID, 8_000))
            both = await ear.next("account")
            assert both["cancels"][str(order_id)]["current_size"] == 0.07
            assert len(both["places"]) == 2
            assert both["last_update_id"] == filled["update_id"]
            assert (await bench.get("/account/1"))["updateId"] == both["update_id"]


@pytest.mark.parametrize("count", list(FillCount))
async def test_a_taker_with_several_fills(count: FillCount) -> None:
    async with running(streams=Streams(fill_count=count)) as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        await maker.rest(ASK, 10_000, 10)
        await maker.rest(ASK, 10_100, 30)
        async with bench.listening("account@2") as ear:
            await taker.place(BID, 10_100, 60, LIMIT)
            updates = [await ear.next("account")]
            if count is FillCount.SPLIT:
                updates.append(await ear.next("account"))
                assert updates[1]["last_update_id"] == updates[0]["update_id"]
            fills = [fill for update in updates for fill in update["fills"].values()]
            told = [(fill["side"], fill["quantity"], fill["price"]) for fill in fills]
            split = [("bid", 0.01, 1_000), ("bid", 0.03, 1_010)]
            assert told == (split if count is FillCount.SPLIT else [("bid", 0.04, 1_007.5)])
            (place,) = updates[-1]["places"].values()
            assert place["current_size"] == 0.02


async def test_what_a_fill_names_is_a_setting() -> None:
    rules = Streams(fill_key=FillKey.MAKER, fill_side=FillSide.TAKER, balance_key=BalanceKey.SYMBOL)
    async with running(streams=rules) as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        order_id = await maker.rest(ASK, 10_000, 10)
        async with bench.listening("account@1&account@2") as ear:
            await taker.place(BID, 10_000, 10, IOC)
            for _ in range(2):
                update = await ear.next("account")
                (fill,) = update["fills"].items()
                assert (fill[0], fill[1]["side"]) == (str(order_id), "bid")
                assert list(update["balances"]) == ["USDC"]


@pytest.mark.parametrize("shape", list(TradesShape))
async def test_the_three_shapes_of_trades(shape: TradesShape) -> None:
    async with running(streams=Streams(trades=shape, levels=LevelShape.OBJECT)) as bench:
        maker = await bench.trader()
        await maker.rest(ASK, 10_000, 10)
        async with bench.listening("trades@BTCUSD") as ear:
            crowd_trade(bench.sim.engine, "BTCUSD", DeskSide.BUY, 10, None)
            body = await ear.next("trades")
            assert body["market_symbol"] == "BTCUSD"
            if shape is TradesShape.FLAT:
                assert (body["price"], body["base_size"], body["taker_side"]) == (1000, 0.01, "bid")
                return
            (trade,) = body["trades"]
            assert (trade["side"], trade["price"], trade["size"]) == ("bid", 1000, 0.01)
            assert ("update_id" in body) == ("order_id" in trade) == (shape is TradesShape.SDK)
            assert ("trade_id" in trade) == (shape is TradesShape.LIVE)


async def test_candles_are_flat_and_whole() -> None:
    async with running() as bench:
        maker = await bench.trader()
        await maker.rest(ASK, 10_000, 10)
        async with bench.listening("candle@BTCUSD:60") as ear:
            crowd_trade(bench.sim.engine, "BTCUSD", DeskSide.BUY, 10, None)
            body = json.loads(await ear.socket.recv())
            assert (body["res"], body["mid"], body["c"], body["v"]) == ("60", 0, 1000, 0.01)
            assert all(isinstance(body[name], int | float) for name in "tohlcv")


@pytest.mark.parametrize(
    ("streams", "status"),
    [
        ("deltas@NONE", 404),
        ("account@99", 404),
        ("account@x", 404),
        ("candle@BTCUSD:7", 404),
        ("gossip@BTCUSD", 404),
        ("", 400),
        ("&".join(f"candle@BTCUSD:{width}" for width in range(13)), 400),
    ],
)
async def test_streams_that_do_not_exist_are_refused(streams: str, status: int) -> None:
    async with running() as bench:
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"{bench.sim.stream_url}/ws/{streams}")
        assert caught.value.response.status_code == status


@pytest.mark.parametrize("rule", list(Pings))
async def test_client_pings_are_a_setting(rule: Pings) -> None:
    async with (
        running(streams=Streams(pings=rule)) as bench,
        bench.listening("deltas@BTCUSD") as ear,
    ):
        pong = await ear.socket.ping()
        if rule is Pings.ANSWER:
            async with asyncio.timeout(5):
                await pong
            return
        if rule is Pings.CLOSE:
            with pytest.raises(ConnectionClosed) as closed:
                await ear.socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1011
            return
        maker = await bench.trader()
        await maker.rest(BID, 9_900)
        await ear.next("delta")
        assert not asyncio.ensure_future(pong).done()


async def test_the_server_may_ping() -> None:
    async with running(streams=Streams(ping_s=0.02)) as bench, ClientSession() as session:
        url = f"{bench.sim.stream_url}/ws/deltas@BTCUSD"
        async with session.ws_connect(url, autoping=False) as stream:
            for _ in range(2):
                message = await stream.receive(timeout=5)
                assert message.type is WSMsgType.PING


async def test_the_first_delta_may_name_no_predecessor() -> None:
    async with running(streams=Streams(first_last_id_zero=True)) as bench:
        maker = await bench.trader()
        await maker.rest(BID, 9_900)
        async with bench.listening("deltas@BTCUSD") as ear:
            await maker.rest(BID, 9_800)
            await maker.rest(BID, 9_700)
            first, second = await ear.next("delta"), await ear.next("delta")
            assert first["last_update_id"] == 0
            assert second["last_update_id"] == first["update_id"]


async def test_a_reader_that_does_not_read_is_cut_off_and_blocks_nobody() -> None:
    async with running(streams=Streams(queue=20)) as bench:
        maker = await bench.trader()
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        narrow.setblocking(False)
        await asyncio.get_running_loop().sock_connect(narrow, _address(bench))
        reader, writer = await asyncio.open_connection(sock=narrow, limit=1)
        writer.write(
            b"GET /ws/deltas@BTCUSD HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        feeds = bench.sim.world.feeds
        await reader.read(1)
        await _eventually(lambda: bool(feeds._listeners.get("deltas@BTCUSD")))
        engine = bench.sim.engine
        for round_ in range(400):
            if not feeds._listeners["deltas@BTCUSD"]:
                break
            levels = [(DeskSide.BUY, 1 + place, 1 + round_ % 2) for place in range(1_000)]
            if not round_:
                engine.open_account("crowd:test", Decimal(0), house=True)
            engine.set_levels("crowd:test", "BTCUSD", levels)
            await asyncio.sleep(0)
        assert error_of(await maker.place(BID, 9_900)) is None
        await _eventually(lambda: not feeds._listeners["deltas@BTCUSD"])
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def _address(bench: Bench) -> tuple[str, int]:
    host, _, port = bench.sim.base_url.removeprefix("http://").partition(":")
    return host, int(port)


async def _eventually(true: Any) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


async def test_a_client_that_leaves_is_forgotten() -> None:
    async with running() as bench:
        async with bench.listening("deltas@BTCUSD&account@1"):
            assert bench.sim.world.feeds._listeners["account@1"]
        await _eventually(lambda: not bench.sim.world.feeds._listeners["account@1"])


def test_settings_have_the_venues_bounds() -> None:
    settings = SimulatorSettings()
    assert (settings.streams.max_streams, settings.actions.max_subactions) == (12, 4)
    assert (settings.actions.max_body, settings.actions.tolerance_s) == (1024, 60)
