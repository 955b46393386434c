"""Every fault the venue can have is reachable, does what it says, and nothing more."""

import asyncio
import json
import time
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from tests.venues.zo.simulator.bench import (
    ACCOUNTS,
    ASK,
    BID,
    BTC,
    ETH,
    LIMIT,
    MAKER,
    TAKER,
    by_session,
    cancelling,
    error_of,
    placing,
    running,
    wallet_text,
)
from venues.simulation.faults import FaultKind
from venues.zo.schema.nord_pb2 import PlaceOrder
from venues.zo.simulator.server import serve
from venues.zo.simulator.settings import RateRules, SessionRules, SimulatorSettings

PLACES = "/action/orders/*"


@pytest.mark.parametrize(
    ("kind", "applied"), [(FaultKind.REQUEST_LOST, 0), (FaultKind.RESPONSE_LOST, 1)]
)
async def test_a_lost_message_closes_the_connection(kind: FaultKind, applied: int) -> None:
    async with running() as bench:
        maker = await bench.trader()
        bench.arm(kind, path=PLACES)
        with pytest.raises(httpx.RemoteProtocolError):
            await maker.place(BID, 9_900)
        assert len(await maker.resting()) == applied


@pytest.mark.parametrize(
    ("kind", "applied"), [(FaultKind.ERROR_BEFORE, 0), (FaultKind.ERROR_AFTER, 1)]
)
async def test_a_server_error_before_and_after(kind: FaultKind, applied: int) -> None:
    async with running() as bench:
        maker = await bench.trader()
        bench.arm(kind, path=PLACES, status=503)
        with pytest.raises(AssertionError, match="something went wrong"):
            await maker.place(BID, 9_900)
        assert len(await maker.resting()) == applied


async def test_bodies_that_are_no_receipt() -> None:
    async with running() as bench:
        maker = await bench.trader()
        bench.arm(FaultKind.NOT_JSON, path=PLACES)
        with pytest.raises(AssertionError):
            await maker.place(BID, 9_900)
        bench.arm(FaultKind.TRUNCATED_BODY, path=PLACES)
        with pytest.raises(httpx.RemoteProtocolError):
            await maker.place(BID, 9_800)
        bench.arm(FaultKind.NOT_JSON, path="/info")
        page = await bench.http.get("/info")
        assert page.text.startswith("<")
        assert page.headers["content-type"] == "text/html"
        assert len(await maker.resting()) == 2


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (FaultKind.SESSION_EXPIRED, "SESSION_NOT_FOUND"),
        (FaultKind.MARGIN_REJECT, "RISK_OMF_LESS_THAN_OR_EQUAL_IMF"),
        (FaultKind.POST_ONLY_REJECT, "POST_ONLY_MUST_NOT_FILL_ANY_OPPOSITE_ORDERS"),
        (FaultKind.DUPLICATE_ID, "REPEATED_ORDER_ID"),
    ],
)
@pytest.mark.parametrize("batch", [True, False])
async def test_refusals_apply_nothing(kind: FaultKind, name: str, batch: bool) -> None:
    async with running() as bench:
        maker = await bench.trader()
        old = await maker.rest(BID, 9_800)
        bench.arm(kind, path=PLACES, account="maker", market="BTCUSD")
        receipt = (
            await maker.atomic(cancelling(old), placing(BID, 9_900))
            if batch
            else await maker.place(BID, 9_900)
        )
        assert error_of(receipt) == name
        assert await maker.resting() == [("bid", 980.0, 0.1)]
        assert error_of(await maker.place(BID, 9_900)) is None


async def test_a_revoked_session_stays_revoked() -> None:
    async with running() as bench:
        maker = await bench.trader()
        bench.arm(FaultKind.KEY_REVOKED)
        for _ in range(2):
            assert error_of(await maker.place(BID, 9_900)) == "SESSION_NOT_FOUND"
        assert (await bench.get(f"/user/{wallet_text(MAKER)}"))["sessions"] == {}


@pytest.mark.parametrize(
    ("kind", "status"), [(FaultKind.RATE_LIMITED, 429), (FaultKind.IP_FORBIDDEN, 403)]
)
async def test_refusals_of_the_front_door(kind: FaultKind, status: int) -> None:
    async with running() as bench:
        bench.arm(kind, path="/timestamp", delay_s=1.5)
        answer = await bench.http.get("/timestamp")
        assert answer.status_code == status
        assert answer.json()["error"]
        assert answer.headers.get("Retry-After") == ("2" if status == 429 else None)
        assert (await bench.http.get("/timestamp")).status_code == 200


async def test_rates_are_counted_by_user_and_by_address() -> None:
    rates = RateRules(orders_per_s=2, cancels_per_s=1)
    async with running(rates=rates) as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        ids = [await maker.rest(BID, 9_900), await maker.rest(BID, 9_800)]
        with pytest.raises(AssertionError, match="too many"):
            await maker.place(BID, 9_700)
        assert error_of(await taker.place(BID, 9_700)) is None
        assert error_of(await maker.cancel(ids[0])) is None
        with pytest.raises(AssertionError, match="too many"):
            await maker.cancel(ids[1])
        assert await maker.resting() == [("bid", 980.0, 0.1)]
    async with running(rates=RateRules(requests_per_min=3)) as bench:
        statuses = [(await bench.http.get("/timestamp")).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]


async def test_a_slow_answer_is_applied_at_once() -> None:
    async with running() as bench, asyncio.TaskGroup() as group:
        maker = await bench.trader()
        bench.arm(FaultKind.SLOW_RESPONSE, path=PLACES, delay_s=0.3)
        started = time.monotonic()
        sent = group.create_task(maker.place(BID, 9_900))
        while not await maker.resting():
            assert not sent.done()
        assert error_of(await sent) is None
        assert time.monotonic() - started >= 0.3


async def test_latency_is_a_window_over_some_paths() -> None:
    async with running() as bench:
        bench.arm(FaultKind.LATENCY, path="/market/*", delay_s=0.1, spread=0.0)
        started = time.monotonic()
        for _ in range(2):
            await bench.get("/market/0/orderbook")
        assert time.monotonic() - started >= 0.2
        bench.sim.faults.clear()


async def test_making_a_session_can_take_long() -> None:
    async with running(sessions=SessionRules(create_delay_s=0.2)) as bench:
        started = time.monotonic()
        await bench.trader()
        assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize("fraction", [1.0, 0.5])
@pytest.mark.parametrize("batch", [True, False])
async def test_a_fill_racing_a_cancel_is_told_after_the_answer(
    fraction: float, batch: bool
) -> None:
    async with running() as bench:
        maker = await bench.trader()
        order_id = await maker.rest(BID, 9_900)
        kind = FaultKind.FILL_RACING_REPLACE if batch else FaultKind.FILL_RACING_CANCEL
        bench.arm(kind, delay_s=0.3, fraction=fraction)
        async with bench.listening("account@1") as ear:
            started = time.monotonic()
            receipt = (
                await maker.atomic(cancelling(order_id), placing(BID, 9_800))
                if batch
                else await maker.cancel(order_id)
            )
            assert error_of(receipt) == ("ORDER_NOT_FOUND" if fraction == 1 else None)
            update = await ear.next("account")
            assert time.monotonic() - started >= 0.3
            assert update["fills"][str(order_id)]["quantity"] == pytest.approx(0.1 * fraction)
        assert [row[1] for row in await maker.resting()] == (
            [980.0] if batch and fraction < 1 else []
        )


async def test_a_skewed_clock_shifts_what_the_engine_takes_for_now() -> None:
    async with running() as bench:
        maker = await bench.trader()
        before = await bench.get("/timestamp")
        bench.arm(FaultKind.CLOCK_SKEW, skew_s=500.0)
        assert await bench.get("/timestamp") >= before + 500
        bench.count[0] += 1
        now = int(time.time())
        action = bench.action(current_timestamp=now, place_order=_order(maker.session_id))
        receipt = await bench.post(by_session(action, maker.key))
        assert error_of(receipt) == "TIMESTAMP_OUT_OF_THRESHOLD"
        assert error_of(await maker.place(BID, 9_900)) is None


def _order(session_id: int) -> Any:
    return PlaceOrder(session_id=session_id, side=BID, price=9_900, size=1)


# --- streams --------------------------------------------------------------------------------


async def test_a_dropped_event_breaks_the_chain_and_a_double_repeats_it() -> None:
    async with running() as bench:
        maker = await bench.trader()
        bench.arm(FaultKind.DROP_EVENT, path="/ws/deltas@*", skip=1)
        bench.arm(FaultKind.DUPLICATE_EVENT, path="/ws/account@*")
        async with bench.listening("deltas@BTCUSD&account@1") as ear:
            for price in (9_900, 9_800, 9_700):
                await maker.rest(BID, price)
            updates = [json.loads(await ear.socket.recv()) for _ in range(6)]
            deltas = [one["delta"] for one in updates if "delta" in one]
            told = [one["account"] for one in updates if "account" in one]
            assert len(deltas) == 2
            assert deltas[1]["last_update_id"] > deltas[0]["update_id"]
            assert told[0] == told[1]
            assert told[2]["last_update_id"] == told[1]["update_id"]


async def test_a_silent_stream_stays_open_and_answers_nothing() -> None:
    async with running() as bench:
        maker = await bench.trader()
        async with bench.listening("deltas@BTCUSD") as ear:
            number = bench.arm(FaultKind.SILENT_STREAM)
            await maker.rest(BID, 9_900)
            pong = await ear.socket.ping()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await ear.socket.recv()
            assert not asyncio.ensure_future(pong).done()
            bench.sim.faults.remove(number)
            await maker.rest(BID, 9_800)
            assert (await ear.next("delta"))["bids"] == [[980.0, 0.1]]


async def test_a_frame_cut_in_the_middle_ends_the_connection() -> None:
    async with running() as bench:
        maker = await bench.trader()
        bench.arm(FaultKind.CUT_FRAME, path="/ws/deltas@*", at=20)
        async with bench.listening("deltas@BTCUSD") as ear:
            await maker.rest(BID, 9_900)
            with pytest.raises(ConnectionClosedError):
                await ear.socket.recv()


async def test_frames_split_into_bytes_are_whole_again() -> None:
    async with running() as bench:
        maker = await bench.trader()
        bench.arm(FaultKind.SPLIT_FRAMES, count=None)
        async with bench.listening("deltas@BTCUSD") as ear:
            for price in (9_900, 9_800):
                await maker.rest(BID, price)
                assert (await ear.next("delta"))["bids"] == [[price / 10, 0.1]]


async def test_a_delayed_event_and_a_closed_stream() -> None:
    async with running() as bench:
        maker = await bench.trader()
        bench.arm(FaultKind.DELAY_EVENT, delay_s=0.2)
        async with bench.listening("deltas@BTCUSD") as ear:
            started = time.monotonic()
            await maker.rest(BID, 9_900)
            await ear.next("delta")
            assert time.monotonic() - started >= 0.2
            bench.arm(FaultKind.STREAM_CLOSED)
            with pytest.raises(ConnectionClosed) as closed:
                await ear.socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001


async def test_a_stream_can_be_refused() -> None:
    async with running() as bench:
        bench.arm(FaultKind.CONNECT_REFUSED, status=502)
        with pytest.raises(InvalidStatus):
            async with bench.listening("deltas@BTCUSD"):
                pass


# --- reads ----------------------------------------------------------------------------------


async def test_spoilt_snapshots() -> None:
    async with running() as bench:
        maker = await bench.trader()
        await maker.rest(BID, 9_900)
        bench.arm(FaultKind.EMPTY_SNAPSHOT, path="/account/*")
        assert await maker.resting() == []
        assert len(await maker.resting()) == 1
        bench.arm(FaultKind.DEEP_SNAPSHOT, levels=100)
        assert len((await bench.get("/market/0/orderbook"))["bids"]) == 50
        bench.arm(FaultKind.MARK_MISSING, market="BTCUSD")
        assert (await bench.get("/market/0/stats"))["perpStats"]["mark_price"] is None


async def test_levers_tell_and_move_the_venue() -> None:
    async with running() as bench:
        maker = await bench.trader()
        await maker.rest(ASK, 10_000, 50)
        body = {"marketId": "BTCUSD", "side": "buy", "quantity": "0.02"}
        done = await bench.http.post("/_sim/trade", json=body)
        assert done.json()["filledQuantity"] == "0.02"
        state = (await bench.get("/_sim/state"))["maker"]
        assert (state["accountId"], state["fills"], state["orders"][0]["size"]) == (1, 1, 0.03)
        names = [one["event"] for one in await bench.get("/_sim/events")]
        assert names[:2] == ["OrderAccepted", "Trade"]
        armed = await bench.http.post("/_sim/faults", json={"kind": "rate_limited"})
        assert armed.json() == {"ids": [1]}


async def test_an_account_below_maintenance_is_liquidated() -> None:
    async with running(accounts=ACCOUNTS, markets=(BTC, ETH), steps_per_s=50) as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        await maker.rest(ASK, 10_000, 900_000)
        await taker.place(BID, 10_000, 900_000, LIMIT)
        await maker.rest(BID, 9_000, 100_000)
        bench.arm(FaultKind.LIQUIDATION, account="taker", market="BTCUSD", bps=5_000)
        async with asyncio.timeout(5):
            while not bench.events("Liquidated"):
                await asyncio.sleep(0.01)
        history = await bench.get("/account/2/history/liquidation")
        assert history["items"]


async def test_serving_tells_where_and_takes_faults_from_a_file(tmp_path: Path) -> None:
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    file = tmp_path / "faults.json"
    file.write_text('[{"kind": "error_before", "path": "/info"}]')
    async with asyncio.TaskGroup() as group, httpx.AsyncClient() as http:
        serving = group.create_task(
            serve(SimulatorSettings(), 0, random=Random(1), faults=file, on_ready=told.set_result)
        )
        url = await told
        assert [(await http.get(f"{url}/info")).status_code for _ in range(2)] == [500, 200]
        serving.cancel()
