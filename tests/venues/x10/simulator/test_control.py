"""The levers for tests and drills, the counter-flow, and the server's own life."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from desk.errors import ConfigurationFault
from tests.venues.x10.simulator.bench import ACCOUNTS, BTC, ETH, MAKER, running
from venues.simulation.counterflow import FlowKind
from venues.x10.simulator.counterflow import replayed_market
from venues.x10.simulator.server import X10Simulator, serve
from venues.x10.simulator.settings import BTC_USD, ETH_USD, SimulatorSettings

parquet = pytest.importorskip("pyarrow.parquet")


async def test_the_levers_trade_and_tell() -> None:
    async with running() as bench:
        await bench.place("buy", "990")
        await bench.post("/user/deadmanswitch?countdownTime=60")
        body = {"marketId": "BTC-USD", "side": "sell", "quantity": "0.04", "price": "990"}
        assert (await bench.lever("/trade", body)).json()["filledQuantity"] == "0.04"
        state = (await bench.lever("/state")).json()["maker"]
        assert (state["fills"], len(state["openOrders"]), len(state["positions"])) == (1, 1, 1)
        assert state["deadManDueNs"] == bench.events("TimerSet")[0]["due_ns"]
        events = (await bench.lever("/events")).json()
        assert {"OrderAccepted", "Trade", "TimerSet"} <= {one["event"] for one in events}


async def test_faults_over_http_are_listed_counted_and_cleared() -> None:
    async with running() as bench:
        body = [{"kind": "error_before", "path": "*/info/status", "status": 502}]
        assert (await bench.lever("/faults", body)).json() == {"ids": [1]}
        assert (await bench.get("/info/status")).status_code == 502
        (listed,) = (await bench.lever("/faults")).json()
        assert (listed["id"], listed["struck"]) == (1, 1)
        assert (await bench.lever("/faults", {"kind": "nonsense"})).status_code == 400


async def test_the_levers_can_be_taken_away() -> None:
    async with running(control=False) as bench:
        assert (await bench.lever("/state")).status_code == 404


@asynccontextmanager
async def _served(settings: SimulatorSettings, **more: Any) -> AsyncIterator[tuple[str, str]]:
    ready: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(
            serve(
                settings,
                0,
                random=Random(1),
                on_ready=lambda rest, stream: ready.set_result((rest, stream)),
                **more,
            )
        )
        yield await ready
        task.cancel()


async def test_serve_tells_its_addresses_and_ends_when_cancelled(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('{"kind": "error_before", "path": "*/info/status", "status": 503}')
    settings = SimulatorSettings(accounts=ACCOUNTS, markets=(BTC,))
    async with _served(settings, faults=faults) as (rest, stream), httpx.AsyncClient() as http:
        assert stream.endswith("/stream.extended.exchange/v1")
        assert rest.endswith("/api/v1")
        assert (await http.get(rest + "/info/status")).status_code == 503
        assert (await http.get(rest + "/info/status")).status_code == 200


async def test_a_recording_is_replayed_on_its_own_grid(tmp_path: Path) -> None:
    path = _recording(tmp_path / "tape.parquet")
    async with _served(SimulatorSettings(), replay=path) as (rest, _), httpx.AsyncClient() as http:
        book = (await http.get(rest + "/info/markets/BTC-USD/orderbook")).json()["data"]
        (market,) = (await http.get(rest + "/info/markets?market=BTC-USD")).json()["data"]
        assert [(one["price"], one["qty"]) for one in book["bid"]] == [
            ("100.5", "2.25"),
            ("100.0", "1.50"),
        ]
        assert market["tradingConfig"]["minPriceChange"] == "0.5"
        assert market["marketStats"]["indexPrice"] == "100.75"


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    path.write_text("nothing")
    with pytest.raises(ConfigurationFault, match="replay"):
        replayed_market(BTC_USD, path)


async def test_a_living_market_trades_with_a_maker_and_can_be_pushed() -> None:
    async with running(markets=(BTC_USD, ETH_USD)) as bench:
        async with bench.account() as stream:
            bids = (await bench.get("/info/markets/BTC-USD/orderbook")).json()["data"]["bid"]
            await bench.place("buy", bids[0]["price"], "0.5")
            push = {"marketId": "BTC-USD", "bpsPerSecond": 20, "durationS": 5, "direction": -1}
            assert (await bench.lever("/shock", push)).json() == {"direction": -1}
            async with asyncio.timeout(10):
                while (await stream.next())["type"] != "TRADE":
                    pass
        bench.sim.pump.set_quiet("BTC-USD", quiet=True)
        before = bench.sim.engine.book_sequence("BTC-USD")
        bench.sim.pump.step()
        assert bench.sim.engine.book_sequence("BTC-USD") == before


async def test_the_same_seed_gives_the_same_market() -> None:
    books = []
    for _ in range(2):
        settings = SimulatorSettings(markets=(BTC_USD,))
        async with X10Simulator(settings, random=Random(5)) as sim:
            books.append(sim.engine.book("BTC-USD"))
    assert books[0] == books[1]


async def test_an_unknown_regime_is_told_in_one_sentence() -> None:
    wrong = replace(BTC, flow=FlowKind.SYNTHETIC, regime="wild")
    with pytest.raises(ConfigurationFault, match="BTC-USD"):
        async with running(markets=(wrong,)):
            pass


async def test_a_port_can_be_chosen_and_open_streams_do_not_hold_up_the_end() -> None:
    settings = SimulatorSettings(accounts=ACCOUNTS, markets=(BTC,))
    async with X10Simulator(settings, random=Random(1)) as first:
        port = int(first.base_url.split(":")[2].split("/")[0])
    async with asyncio.timeout(3):
        async with running() as bench:
            stream = await bench.ws.ws_connect(
                bench.sim.stream_url + "/account", headers={"X-Api-Key": MAKER}
            )
            async with X10Simulator(settings, random=Random(1), port=port) as again:
                assert f":{port}/" in again.base_url
        await stream.close()


async def test_time_can_be_given() -> None:
    now = [1_700_000_000 * 1_000_000_000]
    settings = SimulatorSettings(accounts=ACCOUNTS, markets=(BTC, ETH))
    async with (
        X10Simulator(settings, random=Random(1), now_ns=lambda: now[0]) as sim,
        httpx.AsyncClient(headers={"X-Api-Key": MAKER}) as http,
    ):
        url = sim.base_url + "/user/deadmanswitch?countdownTime=60"
        assert (await http.post(url)).status_code == 200
        sim.routine.step()
        assert sim.engine.timers.due_ns("maker") is not None
        now[0] += 61 * 1_000_000_000
        sim.routine.step()
        assert [one["event"] for one in sim.engine.events()] == ["TimerSet", "TimerFired"]


def test_secrets_are_not_shown() -> None:
    assert MAKER not in repr(SimulatorSettings(accounts=ACCOUNTS))


def test_money_defaults_are_the_venues() -> None:
    money = SimulatorSettings().money
    assert money.maker_fee == 0
    assert money.taker_fee == Decimal("0.00025")


def _recording(path: Path) -> Path:
    """Two bids and an ask."""
    pyarrow = pytest.importorskip("pyarrow")
    rows = [("bid", "100.5", "2.25"), ("bid", "100", "1.5"), ("ask", "101", "3")]
    table = [
        {
            "ts_ns": 1_000_000_000,
            "exch_ts_ns": 0,
            "msg": 1,
            "instrument": "test:A",
            "kind": "snapshot",
            "side": side,
            "price": price,
            "size": size,
            "seq_first": number,
            "seq_last": number,
            "seq_prev": number,
            "stale": False,
        }
        for number, (side, price, size) in enumerate(rows)
    ]
    parquet.write_table(pyarrow.Table.from_pylist(table), path)
    return path
