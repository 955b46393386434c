"""Outcome markets over the wire: what the list says of them, what they cost, how they end."""

import asyncio
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from desk.errors import ConfigurationFault
from desk.instrument import Settlement
from tests.venues.ocx.simulator.bench import (
    BTC,
    MAKER,
    TAKER,
    Bench,
    listening,
    running,
)
from venues.ocx.simulator.settings import FlowKind, SimMarket, Spelling
from venues.simulation.faults import FaultKind

ORDERS, BULK = "/perps/orders", "/perps/quotes/bulk"


def outcome(name: str, price: str, outcomes: int = 3, event: str = "CUP") -> SimMarket:
    return SimMarket(
        symbol=f"{event}-{name}",
        price=Decimal(price),
        tick=Decimal("0.01"),
        lot=Decimal(1),
        flow=FlowKind.NONE,
        settlement=Settlement(event=event, outcome=name, outcomes=outcomes),
    )


SET = (outcome("A", "0.2"), outcome("B", "0.3"), outcome("C", "0.5"))


def take(symbol: str, price: str, quantity: str, side: str = "buy", **more: Any) -> dict[str, Any]:
    return {
        "marketId": symbol,
        "side": side,
        "price": price,
        "quantity": quantity,
        "timeInForce": "ioc",
        **more,
    }


async def crowd(bench: Bench, symbol: str, *levels: tuple[str, str, str]) -> None:
    shown = [{"side": side, "price": price, "quantity": size} for side, price, size in levels]
    answer = await bench.post("/_sim/levels", {"marketId": symbol, "levels": shown})
    assert answer.status_code == 200, answer.text


async def listed(bench: Bench, symbol: str) -> dict[str, Any]:
    markets = (await bench.get("/perps/markets")).json()
    return next(one for one in markets if symbol in {one.get("id"), one.get("marketId")})


async def settle(bench: Bench, event: str, winner: str) -> int:
    answer = await bench.post("/_sim/settle", {"event": event, "winner": winner})
    return answer.status_code


@pytest.mark.parametrize("spelling", list(Spelling))
async def test_the_list_says_what_an_outcome_pays_in_every_spelling(spelling: Spelling) -> None:
    async with running(markets=(BTC, *SET), market_spelling=spelling) as bench:
        shown = await listed(bench, "CUP-B")
        assert shown["settlement"] == {
            "event": "CUP",
            "outcome": "B",
            "outcomes": 3,
            "pays": "1",
            "paid": None,
        }
        kinds = {shown.get("marketType", "outcome"), shown.get("type", "outcome")}
        assert kinds == {"outcome"}
        perpetual = await listed(bench, "BTC-PERP")
        assert "settlement" not in perpetual
        assert perpetual.get("baseSymbol", perpetual.get("base")) == "BTC"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (take("CUP-A", "1.00", "1"), "PRICE_BAND"),
        (take("CUP-A", "0.005", "1"), "INVALID_PRECISION"),
        (take("CUP-A", "0.20", "1.5"), "INVALID_PRECISION"),
        (take("CUP-A", "0.50", "200001"), "INSUFFICIENT_MARGIN"),
        (take("CUP-A", "0.50", "200001", side="sell"), "INSUFFICIENT_MARGIN"),
    ],
)
async def test_an_outcome_is_paid_for_in_full_and_lies_between_nothing_and_one(
    body: dict[str, Any], code: str
) -> None:
    async with running(markets=SET) as bench:
        answer = await bench.post(ORDERS, body)
        assert (answer.status_code, answer.json()["error"]) == (422, code)
        fits = {**body, "price": "0.50", "quantity": "200000"}
        assert (await bench.post(ORDERS, fits)).status_code == 201


async def test_a_set_is_bought_settled_and_paid_exactly_one() -> None:
    async with running(markets=SET) as bench:
        for symbol, price in (("CUP-A", "0.18"), ("CUP-B", "0.29"), ("CUP-C", "0.48")):
            await crowd(bench, symbol, ("sell", price, "100"))
            bought = await bench.post(ORDERS, take(symbol, price, "100"), TAKER)
            assert bought.json()["filledQuantity"] == "100"
        assert await settle(bench, "CUP", "B") == 200
        assert (await bench.get("/perps/positions", TAKER)).json() == []
        trades = (await bench.get("/perps/trades", TAKER)).json()
        fees = sum(Decimal(one["fee"]) for one in trades)
        ends = [one for one in trades if one["orderId"] == "settlement"]
        assert [(one["marketId"], one["side"], one["price"]) for one in ends] == [
            ("CUP-A", "sell", "0.00"),
            ("CUP-B", "sell", "1.00"),
            ("CUP-C", "sell", "0.00"),
        ]
        assert {(one["fee"], one["clientOrderId"]) for one in ends} == {("0", None)}
        assert (await bench.get("/perps/fees", TAKER)).json()["volume30d"] == "95"
        money = (await bench.get("/perps/balances", TAKER)).json()
        assert Decimal(money["equity"]) == 100_000 + 100 - 95 - fees


async def test_settled_outcomes_stay_listed_but_take_no_orders_and_do_not_settle_again() -> None:
    async with running(markets=(*SET, outcome("A", "0.5", 2, "BOWL"))) as bench:
        resting = await bench.post(ORDERS, take("CUP-A", "0.10", "5", timeInForce="gtc"))
        assert resting.status_code == 201
        assert await settle(bench, "CUP", "nobody") == 404
        assert await settle(bench, "CAP", "A") == 404
        assert await bench.resting() == [("buy", "0.10")]
        assert await settle(bench, "CUP", "A") == 200
        assert await settle(bench, "CUP", "B") == 409
        assert await bench.resting() == []
        for name, paid in (("A", "1"), ("B", "0"), ("C", "0")):
            shown = await listed(bench, f"CUP-{name}")
            assert (shown["tradingStatus"], shown["settlement"]["paid"]) == ("settled", paid)
            assert shown["markPrice"] is None
        assert (await listed(bench, "BOWL-A"))["tradingStatus"] == "active"
        answer = await bench.post(ORDERS, take("CUP-A", "0.10", "5"))
        assert (answer.status_code, answer.json()["error"]) == (409, "MARKET_HALTED")


async def test_the_end_is_told_on_the_stream_as_a_fill_without_a_fee() -> None:
    async with running(markets=SET) as bench:
        await crowd(bench, "CUP-A", ("sell", "0.20", "7"))
        path = "/perps/stream/user"
        async with asyncio.timeout(10), listening(bench, path, TAKER, intervalMs=100) as stream:
            await stream.next()
            await bench.post(ORDERS, take("CUP-A", "0.20", "7"), TAKER)
            bought = (await stream.next()).payload
            assert [one["quantity"] for one in bought["positions"]] == ["7"]
            assert "fee" not in bought["trades"][0]
            await settle(bench, "CUP", "A")
            ended = (await stream.next()).payload
        (trade,) = ended["trades"]
        assert (trade["side"], trade["price"], trade["quantity"]) == ("sell", "1.00", "7")
        assert trade["fee"] == "0"
        assert [one["status"] for one in ended["positions"]] == ["closed"]


async def test_a_dated_future_ends_in_the_same_way() -> None:
    async with running(markets=(replace(BTC, expiry="2030-01-01"),)) as bench:
        await bench.place("sell", "1000", "0.10")
        await bench.post(ORDERS, {**take("BTC-PERP", "1000", "0.04")}, TAKER)
        await bench.post("/_sim/expire", {"marketId": "BTC-PERP"})
        last = (await bench.get("/perps/trades", TAKER)).json()[-1]
        assert (last["orderId"], last["side"], last["quantity"]) == ("settlement", "sell", "0.04")


@pytest.mark.parametrize(
    "markets",
    [
        (outcome("A", "0.5", 2), outcome("B", "0.5", 3)),
        (outcome("A", "0.5", 2), outcome("A", "0.5", 2, "CUP")),
        (outcome("A", "0.4", 2), outcome("B", "0.3", 2), outcome("C", "0.3", 2)),
        (replace(outcome("A", "0.5"), spot=True),),
        (replace(outcome("A", "0.5"), tick=Decimal("0.03")),),
        (replace(outcome("A", "0.5"), price=Decimal("1.5")),),
        tuple(replace(one, flow=FlowKind.SYNTHETIC) for one in (*SET[:2], outcome("C", "0.4"))),
    ],
)
async def test_outcomes_that_do_not_fit_are_told_in_one_sentence(
    markets: tuple[SimMarket, ...],
) -> None:
    if len({one.symbol for one in markets}) < len(markets):
        markets = (markets[0], replace(markets[1], symbol="OTHER"))
    with pytest.raises(ConfigurationFault, match="CUP"):
        async with running(markets=markets):
            pass


# --- legs that fail -----------------------------------------------------------------------------


async def events(bench: Bench, kind: str) -> list[dict[str, Any]]:
    told = (await bench.get("/_sim/events")).json()
    return [one for one in told if one["event"] == kind]


@pytest.mark.parametrize("bulk", [True, False])
async def test_a_leg_vanishes_before_its_order_arrives_and_others_fill(bulk: bool) -> None:
    async with running(markets=SET) as bench:
        bench.arm(FaultKind.LEG_VANISHES, market="CUP-B")
        filled = {}
        for symbol in ("CUP-A", "CUP-B", "CUP-C"):
            await crowd(bench, symbol, ("sell", "0.30", "100"))
            order = take(symbol, "0.30", "40", clientOrderId=f"leg-{symbol}")
            if bulk:
                entry = {key: value for key, value in order.items() if key != "marketId"}
                body = {"marketId": symbol, "cancelAll": False, "levels": [entry]}
                (answer,) = (await bench.post(BULK, body, TAKER)).json()["orders"]
            else:
                answer = (await bench.post(ORDERS, order, TAKER)).json()
            filled[symbol] = (answer["status"], answer["filledQuantity"])
        assert filled == {
            "CUP-A": ("filled", "40"),
            "CUP-B": ("cancelled", "0"),
            "CUP-C": ("filled", "40"),
        }
        (gone,) = await events(bench, "CrowdLeft")
        assert (gone["symbol"], gone["lots"], gone["client_order_id"]) == (
            "CUP-B",
            100,
            "leg-CUP-B",
        )
        again = await bench.post(ORDERS, take("CUP-B", "0.30", "40"), TAKER)
        assert again.json()["filledQuantity"] == "0"
        await crowd(bench, "CUP-B", ("sell", "0.30", "100"))
        again = await bench.post(ORDERS, take("CUP-B", "0.30", "40"), TAKER)
        assert again.json()["filledQuantity"] == "40"


async def test_a_leg_fills_in_part() -> None:
    async with running(markets=SET) as bench:
        bench.arm(FaultKind.LEG_FILLS_IN_PART, market="CUP-B", fraction=0.25, count=None)
        for _ in range(2):
            await crowd(bench, "CUP-B", ("sell", "0.30", "100"))
            answer = (await bench.post(ORDERS, take("CUP-B", "0.30", "40"), TAKER)).json()
            assert (answer["status"], answer["filledQuantity"]) == ("cancelled", "10")


async def test_a_leg_answers_late_and_that_is_on_record_before_the_answer() -> None:
    async with running(markets=SET) as bench, asyncio.TaskGroup() as group:
        await crowd(bench, "CUP-B", ("sell", "0.30", "100"))
        bench.arm(FaultKind.SLOW_RESPONSE, market="CUP-B", method="POST", delay_s=0.4)
        started = time.monotonic()
        sent = group.create_task(bench.post(ORDERS, take("CUP-B", "0.30", "40"), TAKER))
        while not await events(bench, "AnswerHeld"):
            assert not sent.done()
        assert bench.sim.engine.position("taker", "CUP-B").lots == 40
        assert (await sent).json()["filledQuantity"] == "40"
        assert time.monotonic() - started >= 0.4
        (held,) = await events(bench, "AnswerHeld")
        assert (held["account"], held["symbol"], held["delay_ms"]) == ("taker", "CUP-B", 400)


async def test_one_legs_feed_freezes_with_the_socket_open_while_the_others_go_on() -> None:
    lively = tuple(replace(one, flow=FlowKind.NONE) for one in SET)
    async with (
        asyncio.timeout(10),
        running(markets=lively) as bench,
        listening(bench, "/perps/book-stream", marketId="CUP-A", intervalMs=50) as frozen,
        listening(bench, "/perps/book-stream", marketId="CUP-B", intervalMs=50) as going,
    ):
        await frozen.next()
        await going.next()
        bench.arm(FaultKind.SILENT_STREAM, market="CUP-A")
        for symbol in ("CUP-A", "CUP-B"):
            await crowd(bench, symbol, ("sell", "0.30", "100"))
        assert (await going.next()).payload["asks"][0]["price"] == "0.30"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await frozen.next()


async def test_a_crowd_keeps_a_set_consistent_until_an_edge_is_opened() -> None:
    crowded = tuple(replace(one, flow=FlowKind.SYNTHETIC) for one in SET)
    async with running(markets=crowded) as bench:

        def asks() -> Decimal:
            books = [bench.sim.engine.book(one.symbol, 1)[1] for one in SET]
            return sum((Decimal(side[0][0]) for side in books), Decimal(0)) / 100

        assert asks() > 1
        armed = [
            {"kind": "edge", "market": one.symbol, "amount": "0.03", "for_s": 60} for one in SET
        ]
        await bench.post("/_sim/faults", armed)
        async with asyncio.timeout(5):
            while asks() >= 1:
                await asyncio.sleep(0.02)
        shown = await events(bench, "EdgeShown")
        assert {(one["symbol"], one["ticks"]) for one in shown} == {(s.symbol, 3) for s in SET}
        await bench.http.delete("/_sim/faults")
        async with asyncio.timeout(5):
            while asks() <= 1:
                await asyncio.sleep(0.02)


async def test_a_settled_event_has_no_crowd_any_more() -> None:
    crowded = tuple(replace(one, flow=FlowKind.SYNTHETIC) for one in SET)
    async with running(markets=crowded) as bench:
        await asyncio.sleep(0.1)
        await settle(bench, "CUP", "A")
        last = [bench.sim.engine.index(one.symbol) for one in SET]
        for _ in range(3):
            await asyncio.sleep(0.06)
            assert [bench.sim.engine.book(one.symbol) for one in SET] == [([], [])] * 3
        assert [bench.sim.engine.index(one.symbol) for one in SET] == last


@pytest.mark.parametrize(
    "level",
    [
        {"side": "buy", "price": "0.305", "quantity": "1"},
        {"side": "buy", "price": "0.30", "quantity": "-1"},
        {"side": "up", "price": "0.30", "quantity": "1"},
    ],
)
async def test_levels_that_are_not_right_change_nothing(level: dict[str, str]) -> None:
    async with running(markets=SET) as bench:
        body = {"marketId": "CUP-A", "levels": [level]}
        assert (await bench.post("/_sim/levels", body, MAKER)).status_code == 400
        assert bench.sim.engine.book("CUP-A") == ([], [])
