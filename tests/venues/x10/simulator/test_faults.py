"""Every fault the venue can have is reachable, does what it says, and nothing more."""

import asyncio
import json
import time

import aiohttp
import httpx
import pytest

from desk.units import Side
from tests.venues.x10.simulator.bench import MAKER, Bench, code, running, until
from venues.simulation.faults import FaultKind
from venues.x10.simulator.settings import Streams

_ORDER = "*/user/order"
_FAST = Streams(book_interval_s=0.02, ping_s=0.05, pong_s=5)


@pytest.mark.parametrize(
    ("kind", "applied"), [(FaultKind.REQUEST_LOST, False), (FaultKind.RESPONSE_LOST, True)]
)
async def test_a_lost_message_closes_the_connection(kind: FaultKind, applied: bool) -> None:
    async with running() as bench:
        bench.arm(kind, path=_ORDER)
        with pytest.raises(httpx.RemoteProtocolError):
            await bench.send("buy", "990")
        assert len(await bench.resting()) == int(applied)


@pytest.mark.parametrize(
    ("kind", "applied"), [(FaultKind.ERROR_BEFORE, False), (FaultKind.ERROR_AFTER, True)]
)
async def test_a_server_error_before_and_after(kind: FaultKind, applied: bool) -> None:
    async with running() as bench:
        bench.arm(kind, path=_ORDER, status=503)
        assert (await bench.send("buy", "990")).status_code == 503
        assert len(await bench.resting()) == int(applied)


async def test_unreadable_bodies() -> None:
    async with running() as bench:
        bench.arm(FaultKind.NOT_JSON, path=_ORDER)
        answer = await bench.send("buy", "990")
        assert answer.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            answer.json()
        bench.arm(FaultKind.TRUNCATED_BODY, path=_ORDER)
        with pytest.raises(httpx.RemoteProtocolError):
            await bench.send("buy", "980")
        assert len(await bench.resting()) == 2


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (FaultKind.RATE_LIMITED, 429),
        (FaultKind.SESSION_EXPIRED, 401),
        (FaultKind.IP_FORBIDDEN, 403),
        (FaultKind.KEY_REVOKED, 401),
        (FaultKind.MARGIN_REJECT, 400),
        (FaultKind.DUPLICATE_ID, 400),
        (FaultKind.ORDER_REFUSED, 400),
    ],
)
async def test_refusals_apply_nothing(kind: FaultKind, status: int) -> None:
    async with running() as bench:
        await bench.place("buy", "980")
        bench.arm(kind, path=_ORDER, account="maker")
        assert (await bench.send("buy", "990")).status_code == status
        assert [one.price for one in bench.sim.engine.open_orders("maker")] == [1960]


async def test_a_slow_answer_is_applied_at_once_and_latency_before() -> None:
    async with running() as bench:
        for kind, early in ((FaultKind.SLOW_RESPONSE, True), (FaultKind.LATENCY, False)):
            number = bench.arm(kind, path=_ORDER, delay_s=0.3, spread=0.0)
            started = time.monotonic()
            before = len(bench.sim.engine.open_orders("maker"))
            async with asyncio.TaskGroup() as group:
                group.create_task(bench.place("buy", "990"))
                await asyncio.sleep(0.15)
                now = len(bench.sim.engine.open_orders("maker"))
                assert (now > before) is early
            assert time.monotonic() - started >= 0.3
            bench.sim.faults.remove(number)


async def test_latency_has_a_tail() -> None:
    async with running() as bench:
        bench.arm(FaultKind.LATENCY, path="*/info/status", delay_s=0.005, spread=1.2)
        taken = []
        for _ in range(60):
            started = time.monotonic()
            await bench.get("/info/status")
            taken.append(time.monotonic() - started)
        taken.sort()
        assert taken[-1] > 3 * taken[30]


@pytest.mark.parametrize("fraction", [1.0, 0.5])
async def test_a_fill_racing_a_cancel_is_told_after_the_answer(fraction: float) -> None:
    async with running() as bench:
        name = await bench.place("sell", "1000", "0.10")
        async with bench.account() as stream:
            bench.arm(FaultKind.FILL_RACING_CANCEL, delay_s=0.3, fraction=fraction)
            answer = await bench.delete("/user/order", externalId=name)
            assert answer.status_code == (404 if fraction == 1 else 200)
            with pytest.raises(TimeoutError):
                await stream.next(within_s=0.1)
            ends = await stream.orders(1 if fraction == 1 else 2)
            assert ends[-1][1] == ("FILLED" if fraction == 1 else "CANCELLED")
            (fill,) = (await bench.get("/user/trades")).json()["data"]
            assert float(fill["qty"]) == pytest.approx(0.1 * fraction)


async def test_a_crossing_reject_can_be_had_without_a_cross() -> None:
    async with running() as bench:
        bench.arm(FaultKind.POST_ONLY_REJECT)
        name = await bench.place("buy", "990", post_only=True)
        assert await bench.known(name) == ("REJECTED", "POST_ONLY_FAILED")


async def test_dropped_and_doubled_events_show_in_the_sequence() -> None:
    async with running() as bench:
        bench.arm(FaultKind.DROP_EVENT, path="*/account", skip=3)
        bench.arm(FaultKind.DUPLICATE_EVENT, path="*/account", skip=4)
        async with bench.account() as stream:
            for price in ("990", "991", "992"):
                await bench.place("buy", price)
            assert [(await stream.next())["seq"] for _ in range(3)] == [5, 6, 6]


async def test_a_delayed_event_comes_late() -> None:
    async with running() as bench:
        bench.arm(FaultKind.DELAY_EVENT, path="*/account", skip=3, delay_s=0.3)
        async with bench.account() as stream:
            started = time.monotonic()
            await bench.place("buy", "990")
            await stream.next()
            assert time.monotonic() - started >= 0.25


@pytest.mark.parametrize("path", ["/account", "/orderbooks/BTC-USD"])
async def test_a_silent_stream_keeps_its_socket_and_says_nothing(path: str) -> None:
    async with (
        running(streams=_FAST) as bench,
        bench.listening(path, MAKER, autoping=False) as stream,
    ):
        for _ in range(3 if path == "/account" else 1):
            await stream.next()
        bench.arm(FaultKind.SILENT_STREAM, path=f"*{path}", for_s=0.5)
        started = time.monotonic()
        await bench.place("buy", "990")
        kinds = [await stream.socket.receive(2)]
        while kinds[-1].type is aiohttp.WSMsgType.PING and time.monotonic() - started < 0.05:
            kinds.append(await stream.socket.receive(2))
        assert time.monotonic() - started >= 0.4


async def test_a_frame_cut_in_the_middle() -> None:
    async with running() as bench:
        for at in (None, 20):
            bench.arm(FaultKind.CUT_FRAME, path="*/account", at=at)
            async with bench.listening("/account", MAKER) as stream:
                with pytest.raises(EOFError):
                    await stream.next()


async def test_a_stream_that_the_venue_closes() -> None:
    async with running() as bench, bench.account() as stream:
        bench.arm(FaultKind.STREAM_CLOSED, path="*/account")
        message = await stream.socket.receive(3)
        assert message.type is aiohttp.WSMsgType.CLOSE


async def test_reconnects_can_be_refused_for_a_while() -> None:
    async with running() as bench:
        bench.arm(FaultKind.CONNECT_REFUSED, path="*/account", status=429, count=2)
        for _ in range(2):
            with pytest.raises(aiohttp.WSServerHandshakeError, match="429"):
                async with bench.listening("/account", MAKER):
                    pass
        async with bench.account():
            pass
        bench.arm(FaultKind.REQUEST_LOST, path="*/account", count=None)
        with pytest.raises(aiohttp.ClientError):
            async with bench.listening("/account", MAKER):
                pass


async def test_an_order_snapshot_can_be_empty_although_orders_rest() -> None:
    async with running() as bench:
        await bench.place("buy", "990")
        bench.arm(FaultKind.EMPTY_SNAPSHOT)
        for found in (0, 1):
            async with bench.listening("/account", MAKER) as stream:
                assert len((await stream.next())["data"]["orders"]) == found
        assert len(await bench.resting()) == 1


async def test_a_book_can_be_told_whole_again() -> None:
    async with (
        running(streams=_FAST) as bench,
        bench.listening("/orderbooks/BTC-USD") as stream,
    ):
        await stream.next()
        bench.arm(FaultKind.SNAPSHOT_REPEATS, market="BTC-USD")
        assert (await stream.next())["type"] == "SNAPSHOT"


async def test_a_stale_index_leaves_no_mark_and_no_band() -> None:
    async with running() as bench:
        number = bench.arm(FaultKind.INDEX_STALE, market="BTC-USD")
        bench.sim.pump.step()
        assert bench.sim.engine.mark("BTC-USD") is None
        await bench.place("buy", "1200")
        bench.sim.faults.remove(number)
        bench.sim.pump.step()
        assert code(await bench.send("buy", "1200")) == 1141


async def test_a_storm_of_429_spares_nothing_and_ends() -> None:
    async with running() as bench:
        bench.arm(FaultKind.RATE_LIMITED, count=3)
        seen = [(await bench.get("/user/orders")).status_code for _ in range(4)]
        assert seen == [429, 429, 429, 200]


async def test_a_fault_can_wait_for_one_markets_orders() -> None:
    async with running() as bench:
        bench.arm(FaultKind.ORDER_REFUSED, market="ETH-USD", code=1003)
        await bench.place("buy", "990")
        assert code(await bench.send("buy", "99", market="ETH-USD")) == 1003


async def test_held_back_messages_keep_their_order() -> None:
    async with running() as bench, bench.account() as stream:
        first = await bench.place("buy", "990")
        second = await bench.place("buy", "980")
        await stream.orders(2)
        bench.arm(FaultKind.FILL_RACING_CANCEL, delay_s=0.2, fraction=0.5)
        await bench.delete("/user/order", externalId=first)
        await bench.delete("/user/order", externalId=second)
        assert [one[:2] for one in await stream.orders(3)] == [
            (first, "PARTIALLY_FILLED"),
            (first, "CANCELLED"),
            (second, "CANCELLED"),
        ]


async def test_the_crowd_may_be_told_to_trade_beside_all_faults() -> None:
    async with running() as bench:
        await _rest(bench)
        assert bench.sim.world.crowd_trade("BTC-USD", Side.SELL, 3, 1980).filled == 3
        assert bench.sim.world.crowd_trade("BTC-USD", Side.SELL, 3, 1990).filled == 0
        await until(lambda: len(bench.events("Trade")) == 1)


async def _rest(bench: Bench) -> None:
    await bench.place("buy", "990")
