"""The levers for tests and drills, and the server's own life."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from random import Random

import httpx
import pytest

from desk.errors import ConfigurationFault
from tests.venues.ocx.simulator.bench import ACCOUNTS, BTC, MAKER, level, listening, running
from venues.ocx.simulator.server import OcxSimulator, serve
from venues.ocx.simulator.settings import FlowKind, SimMarket, SimulatorSettings


async def test_the_crowd_can_be_told_to_trade_and_the_log_tells_it() -> None:
    async with running() as bench:
        await bench.quote(level("sell", "1000"), level("buy", "990"))
        body = {"marketId": "BTC-PERP", "side": "buy", "quantity": "0.04"}
        assert (await bench.post("/_sim/trade", body)).json()["filledQuantity"] == "0.04"
        state = (await bench.get("/_sim/state")).json()["maker"]
        assert (state["fills"], len(state["openOrders"])) == (1, 2)
        assert state["positions"][0]["quantity"] == "0.04"
        events = (await bench.get("/_sim/events")).json()
        last = events[-1]["sequence"]
        assert "Trade" in {one["event"] for one in events}
        assert (await bench.get("/_sim/events", since=last)).json() == []


async def test_halt_and_quiet_and_index() -> None:
    async with running() as bench:
        await bench.post("/_sim/halt", {"marketId": "BTC-PERP"})
        assert not bench.sim.engine.tradable("BTC-PERP")
        await bench.post("/_sim/halt", {"marketId": "BTC-PERP", "on": False})
        assert bench.sim.engine.tradable("BTC-PERP")
        assert (await bench.post("/_sim/quiet", {"marketId": "BTC-PERP"})).status_code == 200
        await bench.post("/_sim/index", {"marketId": "BTC-PERP", "price": None})
        assert bench.sim.engine.mark("BTC-PERP") is None


async def test_bad_levers_are_refused() -> None:
    async with running() as bench:
        shock = {"marketId": "BTC-PERP", "bpsPerSecond": 5, "durationS": 1, "direction": 1}
        assert (await bench.post("/_sim/shock", shock)).status_code == 409
        assert (await bench.post("/_sim/shock", {})).status_code == 400
        assert (await bench.post("/_sim/halt", {"marketId": "X"})).status_code == 404
        bad = {"marketId": "BTC-PERP", "side": "buy", "quantity": "NaN"}
        assert (await bench.post("/_sim/trade", bad)).status_code == 400
        assert (await bench.get("/_sim/events", since="x")).status_code == 400


async def test_money_and_positions_move_by_lever_and_payments_are_listed() -> None:
    async with running() as bench:
        held = {"account": "maker", "marketId": "BTC-PERP", "quantity": "0.5"}
        assert (await bench.post("/_sim/position", held)).status_code == 200
        await bench.post("/_sim/deposit", {"account": "maker", "amount": "12"})
        await bench.post("/_sim/withdraw", {"account": "maker", "amount": "2"})
        await bench.post("/_sim/balance", {"account": "maker", "amount": "-3"})
        await bench.post("/_sim/funding", {"marketId": "BTC-PERP", "rate": "0.001"})
        listed = (await bench.get("/_sim/payments", account="maker")).json()
        assert [one["kind"] for one in listed] == ["transfer", "transfer", "funding"]
        assert [one["amount"] for one in listed[:2]] == ["12", "-2"]
        assert Decimal(listed[2]["amount"]) < 0
        last_ms = listed[-1]["at_ms"]
        later = await bench.get("/_sim/payments", account="maker", since=last_ms + 1)
        assert later.json() == []


@pytest.mark.parametrize(
    ("lever", "body", "status"),
    [
        ("deposit", {"account": "nobody", "amount": "1"}, 404),
        ("deposit", {"account": "maker", "amount": "-1"}, 400),
        ("withdraw", {"account": "maker", "amount": "1000000000"}, 409),
        ("balance", {"account": "maker", "amount": "Infinity"}, 400),
        ("position", {"account": "maker", "marketId": "X", "quantity": "1"}, 404),
        ("position", {"account": "maker", "marketId": "BTC-PERP", "quantity": "0.0000001"}, 400),
        ("funding", {"marketId": "BTC-PERP"}, 400),
        ("order", {"account": "maker", "marketId": "BTC-PERP", "side": "buy"}, 400),
    ],
)
async def test_levers_on_the_books_are_refused_in_words(
    lever: str, body: dict[str, str], status: int
) -> None:
    async with running() as bench:
        answer = await bench.post(f"/_sim/{lever}", body)
        assert answer.status_code == status
        assert answer.json()["message"]
        assert bench.sim.engine.events() == []


async def test_the_levers_can_be_taken_away() -> None:
    async with running(control=False) as bench:
        assert (await bench.get("/_sim/state")).status_code == 404


async def test_serve_tells_its_address_and_ends_when_cancelled() -> None:
    settings = SimulatorSettings(accounts=ACCOUNTS, markets=(BTC,))
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve(settings, 0, random=Random(1), on_ready=ready.set_result))
        url = await ready
        async with httpx.AsyncClient() as http:
            assert (await http.get(url + "/perps/markets")).status_code == 200
        task.cancel()


async def test_open_streams_do_not_hold_up_the_end() -> None:
    settings = SimulatorSettings(accounts=ACCOUNTS, markets=(BTC,))
    async with asyncio.timeout(3), httpx.AsyncClient() as http:
        async with OcxSimulator(settings, random=Random(1)) as sim:
            request = http.build_request(
                "GET", sim.base_url + "/perps/stream/user", headers={"x-api-key": MAKER}
            )
            response = await http.send(request, stream=True)
            assert response.status_code == 200
        await response.aclose()


def test_secrets_are_not_shown() -> None:
    assert MAKER not in repr(SimulatorSettings(accounts=ACCOUNTS))


async def test_a_living_market_gives_a_maker_fills_and_can_be_pushed_against_it() -> None:
    live = SimMarket(
        symbol="BTC-PERP", price=Decimal(60_000), tick=Decimal("0.1"), lot=Decimal("0.0001")
    )
    async with running(markets=(live,)) as bench:
        book = (await bench.get("/perps/orderbook/BTC-PERP", depth=1)).json()
        best = book["bids"][0][0]
        async with (
            asyncio.timeout(10),
            listening(bench, "/perps/stream/user", MAKER, intervalMs=100) as stream,
        ):
            await stream.next()
            assert (await bench.quote(level("buy", best, "0.5"))).status_code == 200
            push = {"marketId": "BTC-PERP", "bpsPerSecond": 20, "durationS": 5, "direction": -1}
            assert (await bench.post("/_sim/shock", push)).json() == {"direction": -1}
            assert (await stream.next()).payload["positions"][0]["side"] == "long"
        push = {"marketId": "BTC-PERP", "bpsPerSecond": 20, "durationS": 1, "against": "maker"}
        assert (await bench.post("/_sim/shock", push)).json() == {"direction": -1}
        assert (await bench.post("/_sim/quiet", {"marketId": "BTC-PERP"})).status_code == 200
        before = bench.sim.engine.book_sequence("BTC-PERP")
        bench.sim.pump.step()
        assert bench.sim.engine.book_sequence("BTC-PERP") == before


async def test_an_unknown_regime_and_a_missing_recording_are_told_in_one_sentence() -> None:
    wrong = SimMarket(
        symbol="A-PERP", price=Decimal(1), tick=Decimal(1), lot=Decimal(1), regime="wild"
    )
    for market in (wrong, replace(wrong, flow=FlowKind.REPLAY)):
        with pytest.raises(ConfigurationFault, match="A-PERP"):
            async with running(markets=(market,)):
                pass
