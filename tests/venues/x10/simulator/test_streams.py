"""What streams tell, in which order and cadence, and what they do with slow or silent clients."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from desk.units import Side
from tests.venues.x10.simulator.bench import MAKER, TAKER, Bench, Stream, running, until
from venues.simulation.faults import FaultKind
from venues.x10.simulator.settings import Answers, Orders, Streams

_FAST = Streams(book_interval_s=0.02, price_interval_s=0.02, funding_interval_s=0.02)


async def test_a_book_is_told_whole_and_then_by_its_changes() -> None:
    async with running(streams=_FAST) as bench:
        await bench.place("buy", "990", "0.10")
        async with bench.listening("/orderbooks/BTC-USD") as stream:
            first = await stream.next()
            assert (first["type"], first["seq"]) == ("SNAPSHOT", 1)
            assert first["data"] == {
                "m": "BTC-USD",
                "b": [{"p": "990.0", "q": "0.10"}],
                "a": [],
                "d": "f",
            }
            await bench.place("buy", "990", "0.05", key=TAKER)
            second = await stream.next()
            assert (second["type"], second["seq"]) == ("DELTA", 2)
            assert second["data"]["b"] == [{"p": "990.0", "q": "0.05", "c": "0.15"}]
            bench.sim.world.crowd_trade("BTC-USD", Side.SELL, 15)
            third = await stream.next()
            assert third["data"]["b"] == [{"p": "990.0", "q": "-0.15", "c": "0.00"}]


async def test_changes_within_one_interval_come_together() -> None:
    async with (
        running(streams=Streams(book_interval_s=0.1)) as bench,
        bench.listening("/orderbooks/BTC-USD") as stream,
    ):
        await stream.next()
        started = time.monotonic()
        for price in ("990", "991", "992"):
            await bench.place("buy", price)
        delta = await stream.next()
        assert len(delta["data"]["b"]) == 3 or time.monotonic() - started > 0.1


async def test_applying_every_change_gives_the_venues_book() -> None:
    async with (
        running(streams=_FAST) as bench,
        bench.listening("/orderbooks/BTC-USD") as stream,
    ):
        sides: tuple[dict[str, str], dict[str, str]] = ({}, {})
        _apply(sides, await stream.next())
        for number in range(12):
            await bench.place("buy", str(980 + number), "0.10")
            await bench.place("sell", str(1010 - number), f"0.{10 + number}")
            if number % 3 == 2:
                await bench.post("/user/order/massCancel", {"cancelAll": True})
                await asyncio.sleep(0.03)
        await bench.place("buy", "1", "0.77", name="last")
        while "1.0" not in sides[0]:
            _apply(sides, await stream.next())
        instrument = bench.sim.engine.market_rules("BTC-USD").instrument
        for side, told in zip(bench.sim.engine.book("BTC-USD"), sides, strict=True):
            assert {Decimal(price): Decimal(size) for price, size in told.items()} == {
                instrument.price(ticks): instrument.quantity(lots) for ticks, lots in side
            }


def _apply(sides: tuple[dict[str, str], dict[str, str]], message: dict[str, Any]) -> None:
    for side, name in zip(sides, ("b", "a"), strict=True):
        if message["type"] == "SNAPSHOT":
            side.clear()
        for level in message["data"][name]:
            side[level["p"]] = level.get("c", level["q"])
            if Decimal(side[level["p"]]) == 0:
                del side[level["p"]]


async def test_a_new_snapshot_comes_now_and_then() -> None:
    rules = Streams(book_interval_s=0.02, snapshot_interval_s=0.1)
    async with (
        running(streams=rules) as bench,
        bench.listening("/orderbooks/BTC-USD") as stream,
    ):
        told = [await stream.next() for _ in range(3)]
        assert [(one["type"], one["seq"]) for one in told] == [
            ("SNAPSHOT", 1),
            ("SNAPSHOT", 2),
            ("SNAPSHOT", 3),
        ]


async def test_the_top_of_the_book_comes_in_snapshots_only() -> None:
    async with running() as bench:
        await bench.place("buy", "990")
        await bench.place("buy", "980")
        async with bench.listening("/orderbooks/BTC-USD?depth=1") as stream:
            first = await stream.next()
            assert (first["type"], first["data"]["d"], len(first["data"]["b"])) == (
                "SNAPSHOT",
                "1",
                1,
            )
            await bench.place("buy", "970")
            await bench.place("buy", "991")
            second = await stream.next()
            assert (second["type"], second["data"]["b"][0]["p"]) == ("SNAPSHOT", "991.0")


async def test_all_markets_on_one_connection_share_the_sequence() -> None:
    async with running(streams=_FAST) as bench, bench.listening("/orderbooks") as stream:
        told = [await stream.next() for _ in range(2)]
        assert [(one["data"]["m"], one["seq"]) for one in told] == [("BTC-USD", 1), ("ETH-USD", 2)]


async def test_prices_and_funding() -> None:
    async with (
        running(streams=_FAST) as bench,
        bench.listening("/prices/mark/BTC-USD") as marks,
        bench.listening("/prices/index/BTC-USD") as indexes,
        bench.listening("/funding/BTC-USD") as funding,
    ):
        assert (await marks.next())["type"] == "MP"
        assert (await indexes.next())["data"]["p"] == "1000"
        bench.sim.engine.set_index("BTC-USD", Decimal(1001))
        told = await indexes.next()
        assert (told["type"], told["data"]["m"], told["data"]["p"]) == ("IP", "BTC-USD", "1001")
        rate = (await funding.next())["data"]
        assert (rate["m"], rate["f"]) == ("BTC-USD", "0")


@pytest.mark.parametrize("path", ["/orderbooks/X", "/publicTrades/X", "/orderbooks?depth=2"])
async def test_streams_that_are_not_there(path: str) -> None:
    async with running() as bench:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with bench.listening(path):
                pass


async def test_the_account_stream_starts_with_what_there_is() -> None:
    async with running() as bench:
        await bench.place("buy", "990", "0.10")
        bench.sim.world.crowd_trade("BTC-USD", Side.SELL, 4)
        async with bench.listening("/account", MAKER) as stream:
            orders, balance, positions = [await stream.next() for _ in range(3)]
        assert all(one["data"]["isSnapshot"] for one in (orders, balance, positions))
        (order,) = orders["data"]["orders"]
        (rest,) = (await bench.get("/user/orders")).json()["data"]
        assert order == rest
        assert order["expireTime"] == order["expiryTime"]
        assert balance["data"]["balance"]["collateralName"] == "USD"
        (position,) = positions["data"]["positions"]
        assert (position["side"], position["size"]) == ("LONG", "0.04")
        assert position["createdAt"] == position["createdTime"]


@pytest.mark.parametrize("trade_first", [False, True])
async def test_a_fill_is_told_by_order_trade_position_and_balance(trade_first: bool) -> None:
    async with running(orders=Orders(trade_event_first=trade_first)) as bench:
        name = await bench.place("buy", "990", "0.10")
        async with bench.account() as stream:
            bench.sim.world.crowd_trade("BTC-USD", Side.SELL, 4)
            told = [await stream.next() for _ in range(4)]
        first = ["TRADE", "ORDER"] if trade_first else ["ORDER", "TRADE"]
        assert [one["type"] for one in told] == [*first, "POSITION", "BALANCE"]
        trades = [each for one in told for each in one["data"].get("trades", ())]
        assert [(one["externalOrderId"], one["qty"], one["isTaker"]) for one in trades] == [
            (name, "0.04", False)
        ]
        listed = (await bench.get("/user/trades")).json()["data"]
        assert trades == listed


async def test_a_closed_position_is_told_with_size_zero() -> None:
    async with running() as bench:
        await bench.place("buy", "990", "0.10")
        bench.sim.world.crowd_trade("BTC-USD", Side.SELL, 10)
        await bench.place("sell", "1000", "0.10")
        async with bench.account() as stream:
            bench.sim.world.crowd_trade("BTC-USD", Side.BUY, 10)
            told = [await stream.next() for _ in range(4)]
        (position,) = next(one for one in told if one["type"] == "POSITION")["data"]["positions"]
        assert (position["status"], position["size"]) == ("CLOSED", "0.00")


async def test_an_event_may_come_before_the_reply_and_after_it() -> None:
    async with (
        running(answers=Answers(reply_delay_s=0.3)) as bench,
        bench.account() as stream,
        asyncio.TaskGroup() as group,
    ):
        sent = group.create_task(bench.place("buy", "990"))
        assert (await stream.orders(1))[0][1] == "NEW"
        assert not sent.done()
    async with running(answers=Answers(event_delay_s=0.2)) as bench, bench.account() as stream:
        await bench.place("buy", "990")
        with pytest.raises(TimeoutError):
            await stream.next(within_s=0.1)
        assert (await stream.orders(1))[0][1] == "NEW"


async def test_two_connections_of_one_account_hear_the_same() -> None:
    async with running() as bench, bench.account() as first, bench.account() as second:
        name = await bench.place("buy", "990")
        assert await first.orders(1) == await second.orders(1) == [(name, "NEW", "NONE")]


async def test_a_hostile_stream_says_what_no_client_expects() -> None:
    async with running(streams=Streams(hostile=True)) as bench, bench.account() as stream:
        name = await bench.place("buy", "990")
        assert [one[:2] for one in await stream.orders(2)] == [(name, "TRIGGERED"), (name, "NEW")]


async def test_pings_keep_a_client_that_answers_and_cut_one_that_does_not() -> None:
    rules = Streams(ping_s=0.05, pong_s=0.15)
    async with running(streams=rules) as bench:
        async with bench.listening("/account", MAKER, autoping=False) as stream:
            seen = [(await stream.socket.receive(2)).type for _ in range(5)]
            assert seen[-1] in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, _PING}
            assert _PING in seen
            while (await stream.socket.receive(2)).type is _PING:
                pass
        async with bench.account() as stream:
            await _keep_hearing(bench, stream, 0.4)


_PING = aiohttp.WSMsgType.PING


async def _keep_hearing(bench: Bench, stream: Stream, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        await bench.place("buy", "990")
        assert (await stream.orders(1))[0][1] == "NEW"
        await asyncio.sleep(0.02)


async def test_a_client_that_never_reads_is_cut_and_holds_up_nobody() -> None:
    async with running(streams=Streams(backlog=50)) as bench:
        deaf = await _deaf(bench)
        try:
            async with bench.account() as stream, asyncio.timeout(20):
                while bench.sim.world.outbox.listeners("maker") > 1:
                    for _ in range(10):
                        bench.sim.world.outbox.post("maker", ("ORDER", {"pad": _PAD}))
                    for _ in range(10):
                        await stream.next()
                name = await bench.place("buy", "990")
                assert await stream.orders(1) == [(name, "NEW", "NONE")]
        finally:
            deaf.close()


_PAD = "x" * 100_000


async def _deaf(bench: Bench) -> asyncio.StreamWriter:
    """An upgraded connection whose client never reads a byte."""
    port = int(bench.sim.base_url.split(":")[2].split("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(
        b"GET /stream.extended.exchange/v1/account HTTP/1.1\r\nHost: x\r\nUser-Agent: deaf\r\n"
        b"X-Api-Key: key-maker\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    await until(lambda: bench.sim.world.outbox.listeners("maker") == 1)
    return writer


async def test_a_deep_snapshot_leaves_the_book_right() -> None:
    async with running(streams=_FAST) as bench:
        await bench.place("buy", "990")
        await bench.place("sell", "1001")
        bench.arm(FaultKind.DEEP_SNAPSHOT, levels=2000)
        async with bench.listening("/orderbooks/BTC-USD", max_msg_size=0) as stream:
            data = (await stream.next())["data"]
            assert (len(data["b"]), len(data["a"])) == (1000, 1000)
            assert (data["b"][0]["p"], data["a"][0]["p"]) == ("990.0", "1001.0")
            assert min(Decimal(one["p"]) for one in data["b"]) > 0
