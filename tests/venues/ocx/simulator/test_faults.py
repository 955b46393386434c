"""Every fault a venue can have is reachable, does what it says, and nothing more."""

import asyncio
import json
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from desk.errors import ConfigurationFault
from tests.venues.ocx.simulator.bench import (
    MAKER,
    TAKER,
    Bench,
    level,
    listening,
    order,
    running,
)
from venues.ocx.simulator.settings import Bulk
from venues.simulation.faultfile import read_faults
from venues.simulation.faults import Fault, FaultKind, FaultPlan, Site
from venues.simulation.orders import RejectMode

FAST: dict[str, Any] = {"marketId": "BTC-PERP", "intervalMs": 50}
ORDERS = "/perps/orders"


@pytest.mark.parametrize(
    ("kind", "applied"), [(FaultKind.REQUEST_LOST, False), (FaultKind.RESPONSE_LOST, True)]
)
async def test_a_lost_message_closes_the_connection(kind: FaultKind, applied: bool) -> None:
    async with running() as bench:
        bench.arm(kind, path=ORDERS)
        with pytest.raises(httpx.RemoteProtocolError):
            await bench.post(ORDERS, order("buy", "990"))
        assert len(await bench.resting()) == int(applied)


@pytest.mark.parametrize(
    ("kind", "applied"), [(FaultKind.ERROR_BEFORE, False), (FaultKind.ERROR_AFTER, True)]
)
async def test_a_server_error_before_and_after(kind: FaultKind, applied: bool) -> None:
    async with running() as bench:
        bench.arm(kind, path=ORDERS, status=503)
        assert (await bench.post(ORDERS, order("buy", "990"))).status_code == 503
        assert len(await bench.resting()) == int(applied)


async def test_a_slow_answer_is_applied_at_once() -> None:
    async with running() as bench, asyncio.TaskGroup() as group:
        bench.arm(FaultKind.SLOW_RESPONSE, method="POST", path=ORDERS, delay_s=0.3)
        started = time.monotonic()
        sent = group.create_task(bench.post(ORDERS, order("buy", "990")))
        while not await bench.resting():
            assert not sent.done()
        assert (await sent).status_code == 201
        assert time.monotonic() - started >= 0.3


async def test_unreadable_bodies() -> None:
    async with running() as bench:
        bench.arm(FaultKind.NOT_JSON, path=ORDERS)
        answer = await bench.post(ORDERS, order("buy", "990"))
        assert answer.status_code == 201
        with pytest.raises(json.JSONDecodeError):
            answer.json()
        bench.arm(FaultKind.TRUNCATED_BODY, path=ORDERS)
        with pytest.raises(httpx.RemoteProtocolError):
            await bench.post(ORDERS, order("buy", "980"))
        assert len(await bench.resting()) == 2


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (FaultKind.RATE_LIMITED, 429, "ORDER_RATE_LIMIT"),
        (FaultKind.SESSION_EXPIRED, 401, "UNAUTHORIZED"),
        (FaultKind.IP_FORBIDDEN, 403, "FORBIDDEN"),
        (FaultKind.KEY_REVOKED, 401, "UNAUTHORIZED"),
        (FaultKind.MARGIN_REJECT, 422, "INSUFFICIENT_MARGIN"),
        (FaultKind.POST_ONLY_REJECT, 422, "POST_ONLY_WOULD_TAKE"),
        (FaultKind.DUPLICATE_ID, 409, "DUPLICATE_CLIENT_ORDER_ID"),
    ],
)
@pytest.mark.parametrize("bulk", [True, False])
async def test_refusals_apply_nothing(kind: FaultKind, status: int, code: str, bulk: bool) -> None:
    async with running() as bench:
        await bench.quote(level("buy", "980"))
        bench.arm(kind, path="/perps/*", account="maker")
        answer = (
            await bench.quote(level("buy", "990"))
            if bulk
            else await bench.post(ORDERS, order("buy", "990"))
        )
        assert (answer.status_code, answer.json()["error"]) == (status, code)
        state = (await bench.get("/_sim/state")).json()["maker"]["openOrders"]
        assert [one["price"] for one in state] == ["980.0"]


async def test_a_burst_of_429_ends_and_says_how_long_to_wait() -> None:
    async with running() as bench:
        bench.arm(FaultKind.RATE_LIMITED, count=3, delay_s=1.5)
        statuses = [(await bench.post("/perps/orders/cancel-all")) for _ in range(4)]
        assert [one.status_code for one in statuses] == [429, 429, 429, 200]
        assert statuses[0].json()["retryAfterMs"] == 1500
        assert statuses[0].headers["Retry-After"] == "2"


async def test_a_revoked_key_stays_revoked() -> None:
    async with running() as bench:
        bench.arm(FaultKind.KEY_REVOKED)
        for _ in range(2):
            assert (await bench.get(ORDERS, MAKER)).status_code == 401


@pytest.mark.parametrize("mode", list(RejectMode))
async def test_a_post_only_reject_of_one_level(mode: RejectMode) -> None:
    async with running(bulk=Bulk(reject_mode=mode)) as bench:
        bench.arm(FaultKind.POST_ONLY_REJECT, level=1)
        answer = await bench.quote(level("buy", "990"), level("buy", "980"))
        if mode is RejectMode.BATCH:
            assert answer.status_code == 422
            assert await bench.resting() == []
        else:
            told = [one["status"] for one in answer.json()["orders"]]
            assert told == ["open", "rejected"]
            assert await bench.resting() == [("buy", "990.0")]


@pytest.mark.parametrize("fraction", [1.0, 0.5])
async def test_a_fill_racing_a_cancel_is_told_after_the_answer(fraction: float) -> None:
    async with running() as bench:
        await bench.post(ORDERS, order("sell", "1000", "0.30"), TAKER)
        name = await bench.place("sell", "1000", "0.10")
        async with listening(bench, "/perps/stream/user", MAKER, intervalMs=100) as stream:
            await stream.next()
            bench.arm(FaultKind.FILL_RACING_CANCEL, delay_s=0.4, fraction=fraction)
            started = time.monotonic()
            answer = await bench.post(f"/perps/orders/{name}/cancel")
            assert answer.status_code == (404 if fraction == 1 else 200)
            delta = await stream.next()
            assert time.monotonic() - started >= 0.4
            (fill,) = delta.payload["trades"]
            assert float(fill["quantity"]) == pytest.approx(0.1 * fraction)
            assert await bench.resting() == []


async def test_a_fill_racing_a_replace() -> None:
    async with running() as bench:
        await bench.quote(level("sell", "1000"), level("buy", "990"))
        async with listening(bench, "/perps/stream/user", MAKER, intervalMs=100) as stream:
            await stream.next()
            bench.arm(FaultKind.FILL_RACING_REPLACE, delay_s=0.2)
            answer = await bench.quote(level("sell", "1010"))
            assert answer.json()["cancelled"] == 0
            fills = (await stream.next()).payload["trades"]
            assert {one["side"] for one in fills} == {"buy", "sell"}
            assert await bench.resting() == [("sell", "1010.0")]


async def test_dropped_and_doubled_events_show_in_the_sequence() -> None:
    async with running() as bench:
        bench.arm(FaultKind.DROP_EVENT, skip=1)
        bench.arm(FaultKind.DUPLICATE_EVENT, skip=2)
        async with listening(bench, "/perps/book-stream", **FAST) as stream:
            seen = [(await stream.next()).data["eventSeq"]]
            async with asyncio.TaskGroup() as group:
                group.create_task(_keep_changing(bench))
                seen.extend([(await stream.next()).data["eventSeq"] for _ in range(4)])
            assert seen == [1, 3, 4, 4, 5]


async def _keep_changing(bench: Bench) -> None:
    for number in range(8):
        await bench.quote(level("buy", str(980 + number)))
        await asyncio.sleep(0.08)


async def test_a_delayed_event_comes_late() -> None:
    async with running() as bench:
        bench.arm(FaultKind.DELAY_EVENT, skip=1, delay_s=0.4)
        async with listening(bench, "/perps/book-stream", **FAST) as stream:
            await stream.next()
            started = time.monotonic()
            await bench.quote(level("buy", "990"))
            await stream.next()
            assert time.monotonic() - started >= 0.4


async def test_a_silent_stream_keeps_its_socket_and_says_nothing() -> None:
    async with (
        running() as bench,
        listening(bench, "/perps/book-stream", **FAST) as stream,
    ):
        await stream.next()
        bench.arm(FaultKind.SILENT_STREAM, market="BTC-PERP", for_s=0.5)
        started = time.monotonic()
        await bench.quote(level("buy", "990"))
        event = await stream.next()
        assert time.monotonic() - started >= 0.4
        assert event.data["eventSeq"] == 2


async def test_a_frame_cut_in_the_middle() -> None:
    async with running() as bench:
        bench.arm(FaultKind.CUT_FRAME, at=20)
        with pytest.raises((EOFError, httpx.RemoteProtocolError)):
            async with listening(bench, "/perps/book-stream", **FAST) as stream:
                await stream.next()


async def test_frames_split_at_every_byte_are_whole_at_the_end() -> None:
    async with running() as bench:
        bench.arm(FaultKind.SPLIT_FRAMES, at=1)
        async with listening(bench, "/perps/book-stream", **FAST) as stream:
            assert (await stream.next()).name == "snapshot"


@pytest.mark.parametrize("retryable", [True, False])
async def test_error_events(retryable: bool) -> None:
    async with running() as bench:
        bench.arm(FaultKind.ERROR_EVENT, retryable=retryable)
        async with listening(bench, "/perps/book-stream", **FAST) as stream:
            await stream.next()
            event = await stream.next()
            assert (event.name, event.data["retryable"]) == ("error", retryable)


async def test_snapshots_that_repeat_and_that_omit_trades() -> None:
    async with running() as bench:
        await bench.place("sell", "1000", "0.10")
        for quantity in ("0.02", "0.03"):
            await bench.post(ORDERS, order("buy", "1000", quantity), TAKER)
        bench.arm(FaultKind.SNAPSHOT_OMITS_TRADES)
        bench.arm(FaultKind.SNAPSHOT_REPEATS)
        async with listening(bench, "/perps/stream/user", MAKER, intervalMs=100) as stream:
            first, second = await stream.next(), await stream.next()
            assert (first.name, second.name) == ("snapshot", "snapshot")
            assert [one["quantity"] for one in first.payload["trades"]] == ["0.02"]
            assert [one["quantity"] for one in second.payload["trades"]] == ["0.02", "0.03"]


async def test_a_missing_mark_is_null_and_never_old() -> None:
    async with running() as bench:
        number = bench.arm(FaultKind.MARK_MISSING, market="BTC-PERP")
        markets = {
            one["id"]: one["markPrice"] for one in (await bench.get("/perps/markets")).json()
        }
        assert markets == {"BTC-PERP": None, "ETH-PERP": "100"}
        bench.sim.faults.remove(number)
        bench.arm(FaultKind.INDEX_STALE, market="ETH-PERP")
        bench.sim.pump.step()
        markets = {
            one["id"]: one["markPrice"] for one in (await bench.get("/perps/markets")).json()
        }
        assert markets == {"BTC-PERP": "1000", "ETH-PERP": None}
        bench.sim.faults.clear()
        bench.sim.pump.step()
        assert bench.sim.engine.mark("ETH-PERP") == 100


async def test_a_halted_market_refuses_orders_and_lets_them_be_cancelled() -> None:
    async with running() as bench:
        await bench.place("buy", "990")
        number = bench.arm(FaultKind.HALT, market="BTC-PERP")
        bench.sim.pump.step()
        answer = await bench.post(ORDERS, order("buy", "980"))
        assert (answer.status_code, answer.json()["error"]) == (409, "MARKET_HALTED")
        shown = (await bench.get("/perps/markets")).json()
        assert [one["tradingStatus"] for one in shown] == ["halted", "active"]
        assert (await bench.post("/perps/orders/cancel-all")).json()["cancelled"] == 1
        bench.sim.faults.remove(number)
        bench.sim.pump.step()
        await bench.place("buy", "980")


async def test_a_market_that_expires_settles_and_vanishes() -> None:
    async with running() as bench:
        await bench.place("sell", "1000", "0.10")
        await bench.post(ORDERS, order("buy", "1000", "0.04"), TAKER)
        bench.arm(FaultKind.EXPIRY, market="BTC-PERP")
        bench.sim.pump.step()
        assert (await bench.post(ORDERS, order("buy", "980"))).status_code == 404
        assert [one["id"] for one in (await bench.get("/perps/markets")).json()] == ["ETH-PERP"]
        assert await bench.resting() == []
        assert (await bench.get("/perps/positions", MAKER)).json() == []


async def test_a_moved_band_refuses_what_it_took_before() -> None:
    async with running() as bench:
        await bench.place("buy", "900")
        bench.arm(FaultKind.BAND_MOVE, market="BTC-PERP", low="950", high="1050")
        answer = await bench.post(ORDERS, order("buy", "901"))
        assert (answer.status_code, answer.json()["error"]) == (422, "PRICE_BAND")
        shown = (await bench.get("/perps/markets")).json()[0]
        assert (shown["priceBandLow"], shown["priceBandHigh"]) == ("950", "1050")


async def test_a_liquidation_cancels_and_closes() -> None:
    async with running() as bench:
        await bench.place("sell", "1000", "900")
        await bench.post(ORDERS, order("buy", "1000", "900"), TAKER)
        await bench.place("buy", "999", "900", reduceOnly=True)
        path = "/perps/stream/user"
        async with asyncio.timeout(10), listening(bench, path, TAKER, openOnly="true") as stream:
            await stream.next()
            bench.arm(FaultKind.LIQUIDATION, account="taker", bps=4000)
            while not (await stream.next()).payload["removedIds"]:
                pass
        events = (await bench.get("/_sim/events")).json()
        assert [one["account"] for one in events if one["event"] == "Liquidated"] == ["taker"]


async def test_clock_skew_shows_in_the_date() -> None:
    async with running() as bench:
        bench.arm(FaultKind.CLOCK_SKEW, skew_s=-90.0)
        answer = await bench.get("/perps/markets")
        told = parsedate_to_datetime(answer.headers["Date"]).timestamp()
        assert told == pytest.approx(time.time() - 90, abs=3)
        bench.sim.faults.clear()
        answer = await bench.get("/perps/markets")
        told = parsedate_to_datetime(answer.headers["Date"]).timestamp()
        assert told == pytest.approx(time.time(), abs=3)


async def test_faults_over_http_are_listed_counted_and_cleared() -> None:
    async with running() as bench:
        body = [{"kind": "error_before", "path": "/perps/markets", "status": 502}]
        assert (await bench.post("/_sim/faults", body)).json() == {"ids": [1]}
        assert (await bench.get("/perps/markets")).status_code == 502
        (listed,) = (await bench.get("/_sim/faults")).json()
        assert (listed["id"], listed["struck"]) == (1, 1)
        assert (await bench.http.delete("/_sim/faults")).json() == {"removed": 1}
        for bad in ({"kind": "nonsense"}, {"kind": "halt", "colour": 1}, 7):
            assert (await bench.post("/_sim/faults", bad)).status_code == 400


def test_a_fault_file_is_read_or_refused_in_one_sentence(tmp_path: Path) -> None:
    good = tmp_path / "good.json"
    good.write_text('[{"kind": "drop_event", "probability": 0.5, "count": null}]')
    assert read_faults(good) == [Fault(kind=FaultKind.DROP_EVENT, probability=0.5, count=None)]
    bad = tmp_path / "bad.json"
    bad.write_text('[{"kind": "drop_event", "probability": 2}]')
    for path in (bad, tmp_path / "missing.json"):
        with pytest.raises(ConfigurationFault, match=str(path)):
            read_faults(path)


def test_a_plan_is_the_same_for_the_same_seed_and_waits_for_its_time() -> None:
    def struck(seed: int) -> list[bool]:
        plan = FaultPlan(lambda: 0, Random(seed))
        plan.add(Fault(kind=FaultKind.DROP_EVENT, probability=0.5, count=None))
        return [plan.take(Site(), FaultKind.DROP_EVENT) is not None for _ in range(64)]

    assert struck(1) == struck(1)
    assert struck(1) != struck(2)
    now = [0]
    plan = FaultPlan(lambda: now[0], Random(1))
    plan.add(Fault(kind=FaultKind.HALT, market="A", after_s=1, for_s=2))
    seen = []
    for second in range(5):
        now[0] = second * 1_000_000_000
        seen.append(plan.active(FaultKind.HALT, Site(market="A")) is not None)
    assert seen == [False, True, True, False, False]
    assert plan.active(FaultKind.HALT, Site(market="B")) is None


async def test_a_stream_that_cannot_be_opened() -> None:
    async with running() as bench:
        path = "/perps/stream/user"
        bench.arm(FaultKind.SESSION_EXPIRED, path=path)
        assert (await bench.get(path, MAKER)).status_code == 401
        bench.arm(FaultKind.REQUEST_LOST, path=path)
        with pytest.raises(httpx.RemoteProtocolError):
            await bench.get(path, MAKER)
