"""Orders, ladders and reads over the wire: the right status for everything a client may send."""

from typing import Any

import pytest

from tests.venues.ocx.simulator.bench import MAKER, TAKER, level, order, running
from venues.ocx.simulator.settings import Bulk, Spelling
from venues.simulation.orders import CancelScope, OnReject, RejectMode

ASK, BID = level("sell", "1010"), level("buy", "990")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (order("up", "1000"), 400, "INVALID_REQUEST"),
        (order("buy", "1000", type="stop"), 400, "INVALID_REQUEST"),
        (order("buy", "1000", timeInForce="day"), 400, "INVALID_REQUEST"),
        ({**order("buy", "1000"), "price": 1000}, 400, "INVALID_REQUEST"),
        (order("buy", "1e3"), 400, "INVALID_REQUEST"),
        (order("buy", "-1"), 400, "INVALID_REQUEST"),
        (order("buy", "1" * 16), 400, "INVALID_REQUEST"),
        (order("buy", None), 400, "INVALID_REQUEST"),
        (order("buy", "1000", postOnly="yes"), 400, "INVALID_REQUEST"),
        (order("buy", "1000", clientOrderId="x" * 33), 400, "INVALID_REQUEST"),
        (order("buy", "1000", clientOrderId="a b"), 400, "INVALID_REQUEST"),
        ([1], 400, "INVALID_REQUEST"),
        (order("buy", "1000.3"), 422, "INVALID_PRECISION"),
        (order("buy", "1000", "0.105"), 422, "INVALID_PRECISION"),
        (order("buy", "1000", "0.01"), 422, "MIN_QUANTITY"),
        (order("buy", "400"), 422, "PRICE_BAND"),
        (order("buy", "1000", "5000"), 422, "INSUFFICIENT_MARGIN"),
        (order("buy", "1000", reduceOnly=True), 422, "REDUCE_ONLY_VIOLATION"),
        (order("buy", "1000", marketId="X-PERP"), 404, "UNKNOWN_MARKET"),
    ],
)
async def test_a_bad_order_is_refused_with_its_own_status_and_code(
    body: Any, status: int, code: str
) -> None:
    async with running() as bench:
        answer = await bench.post("/perps/orders", body)
        assert (answer.status_code, answer.json()["error"]) == (status, code)
        assert await bench.resting() == []


async def test_margin_refusals_tell_both_figures() -> None:
    async with running() as bench:
        answer = await bench.post("/perps/orders", order("buy", "1000", "5000"))
        assert "required" in answer.json()["message"]
        assert "available" in answer.json()["message"]


async def test_an_order_rests_is_listed_and_is_cancelled_once() -> None:
    async with running() as bench:
        name = await bench.place("buy", "990", clientOrderId="one")
        listed = (await bench.get("/perps/orders", MAKER, marketId="BTC-PERP")).json()
        assert [(one["orderId"], one["clientOrderId"]) for one in listed] == [(name, "one")]
        gone = await bench.post(f"/perps/orders/{name}/cancel")
        assert (gone.status_code, gone.json()["status"]) == (200, "cancelled")
        again = await bench.post(f"/perps/orders/{name}/cancel")
        assert (again.status_code, again.json()["error"]) == (404, "UNKNOWN_ORDER")


async def test_a_used_client_id_is_a_conflict_for_ever() -> None:
    async with running() as bench:
        name = await bench.place("buy", "990", clientOrderId="one")
        await bench.post(f"/perps/orders/{name}/cancel")
        answer = await bench.post("/perps/orders", order("buy", "990", clientOrderId="one"))
        assert (answer.status_code, answer.json()["error"]) == (409, "DUPLICATE_CLIENT_ORDER_ID")


async def test_fills_positions_and_fees_show_on_both_sides() -> None:
    async with running() as bench:
        await bench.place("sell", "1000", "0.10", clientOrderId="m1")
        taken = await bench.post("/perps/orders", order("buy", "1001", "0.04"), TAKER)
        assert taken.json() | {"orderId": ""} == {
            "orderId": "",
            "clientOrderId": None,
            "marketId": "BTC-PERP",
            "status": "filled",
            "filledQuantity": "0.04",
            "remainingQuantity": "0",
            "averagePrice": "1000",
        }
        (mine,) = (await bench.get("/perps/trades", MAKER)).json()
        assert (mine["side"], mine["price"], mine["quantity"]) == ("sell", "1000.0", "0.04")
        assert (mine["liquidity"], mine["clientOrderId"]) == ("maker", "m1")
        (held,) = (await bench.get("/perps/positions", TAKER)).json()
        assert (held["side"], held["quantity"], held["entryPrice"]) == ("long", "0.04", "1000")
        (public,) = (await bench.get("/perps/trades", marketId="BTC-PERP")).json()
        assert public["side"] == "buy"
        assert "orderId" not in public
        closed = await bench.post("/perps/positions/close", {"marketId": "BTC-PERP"}, MAKER)
        assert closed.json()["status"] in {"cancelled", "filled"}


async def test_closing_reduces_only_and_takes_a_part() -> None:
    async with running() as bench:
        await bench.place("sell", "1000", "0.10")
        await bench.post("/perps/orders", order("buy", "1000", "0.10"), TAKER)
        await bench.place("buy", "990", "1.00")
        body = {"marketId": "BTC-PERP", "quantity": "0.04"}
        assert (await bench.post("/perps/positions/close", body, TAKER)).status_code == 201
        (held,) = (await bench.get("/perps/positions", TAKER)).json()
        assert held["quantity"] == "0.06"
        await bench.post("/perps/positions/close", {"marketId": "BTC-PERP"}, TAKER)
        assert (await bench.get("/perps/positions", TAKER)).json() == []
        none = await bench.post("/perps/positions/close", {"marketId": "BTC-PERP"}, TAKER)
        assert none.json()["error"] == "REDUCE_ONLY_VIOLATION"


async def test_time_in_force_and_post_only() -> None:
    async with running() as bench:
        await bench.place("sell", "1000", "0.10")
        crossing = await bench.post("/perps/orders", order("buy", "1000", postOnly=True), TAKER)
        assert (crossing.status_code, crossing.json()["error"]) == (422, "POST_ONLY_WOULD_TAKE")
        fok = order("buy", "1000", "0.20", timeInForce="fok")
        answer = await bench.post("/perps/orders", fok, TAKER)
        assert (answer.json()["status"], answer.json()["filledQuantity"]) == ("cancelled", "0")
        ioc = order("buy", "1000", "0.20", timeInForce="ioc")
        answer = await bench.post("/perps/orders", ioc, TAKER)
        assert (answer.json()["status"], answer.json()["filledQuantity"]) == ("cancelled", "0.10")
        assert await bench.resting(TAKER) == []


async def test_an_unfilled_fok_can_be_a_refusal() -> None:
    async with running(fok_rejects=True) as bench:
        answer = await bench.post("/perps/orders", order("buy", "1000", timeInForce="fok"))
        assert answer.status_code == 422


async def test_preview_changes_nothing_and_names_the_reason() -> None:
    async with running() as bench:
        await bench.place("sell", "1000")
        seen = (await bench.post("/perps/orders/preview", order("buy", "1000"), TAKER)).json()
        assert (seen["approved"], seen["feeRole"], seen["notional"]) == (True, "taker", "100")
        assert seen["marginRequired"] == "10"
        body = order("buy", "900", "5000")
        refused = (await bench.post("/perps/orders/preview", body, TAKER)).json()
        assert (refused["approved"], refused["reason"]) == (False, "INSUFFICIENT_MARGIN")
        assert await bench.resting(TAKER) == []


async def test_a_ladder_replaces_the_one_before() -> None:
    async with running() as bench:
        first = await bench.quote(BID, ASK, quoteId="q1")
        assert first.json()["cancelled"] == 0
        second = (await bench.quote(level("buy", "985", clientOrderId="b"), quoteId="q2")).json()
        assert (second["cancelled"], second["quoteId"]) == (2, "q2")
        (placed,) = second["orders"]
        assert (placed["clientOrderId"], placed["status"]) == ("b", "open")
        assert await bench.resting() == [("buy", "985.0")]


@pytest.mark.parametrize(
    ("on_reject", "left"),
    [(OnReject.KEEP_OLD, [("buy", "990.0"), ("sell", "1010.0")]), (OnReject.CANCEL_OLD, [])],
)
@pytest.mark.parametrize("bad", [level("buy", "1001"), level("buy", "990.3")])
async def test_one_bad_level_refuses_the_batch(
    on_reject: OnReject, left: list[tuple[str, str]], bad: dict[str, Any]
) -> None:
    async with running(bulk=Bulk(old_ladder_on_reject=on_reject)) as bench:
        await bench.post("/perps/orders", order("sell", "1000"), TAKER)
        await bench.quote(BID, ASK)
        answer = await bench.quote(level("buy", "980"), bad)
        assert answer.status_code == 422
        assert answer.json()["error"] in {"POST_ONLY_WOULD_TAKE", "INVALID_PRECISION"}
        assert await bench.resting() == left


async def test_bad_levels_can_be_refused_one_by_one() -> None:
    async with running(bulk=Bulk(reject_mode=RejectMode.PER_LEVEL)) as bench:
        await bench.post("/perps/orders", order("sell", "1000"), TAKER)
        levels = (
            level("buy", "1000", clientOrderId="cross"),
            level("buy", "980", clientOrderId="good"),
            level("buy", "980.1", clientOrderId="grid"),
        )
        answer = await bench.quote(*levels)
        assert answer.status_code == 200
        told = {one["clientOrderId"]: one["error"] for one in answer.json()["orders"]}
        assert told == {
            "cross": "POST_ONLY_WOULD_TAKE",
            "good": None,
            "grid": "INVALID_PRECISION",
        }
        assert await bench.resting() == [("buy", "980.0")]


async def test_what_cancel_all_in_a_ladder_covers_is_a_setting() -> None:
    for scope, left in (
        (CancelScope.QUOTES_ONLY, [("buy", "970.0"), ("buy", "990.0")]),
        (CancelScope.ALL_ON_MARKET, [("buy", "990.0")]),
    ):
        async with running(bulk=Bulk(cancel_scope=scope)) as bench:
            await bench.place("buy", "970")
            await bench.quote(BID)
            assert await bench.resting() == left


async def test_malformed_ladders_touch_nothing() -> None:
    async with running() as bench:
        await bench.quote(BID)
        for body in (
            {"marketId": "BTC-PERP", "cancelAll": True},
            {"marketId": "BTC-PERP", "cancelAll": True, "levels": [1]},
            {"marketId": "BTC-PERP", "cancelAll": True, "levels": [level("buy", "x")]},
            {"marketId": "BTC-PERP", "cancelAll": True, "levels": [BID] * 21},
            {"marketId": "BTC-PERP", "levels": []},
        ):
            assert (await bench.post("/perps/quotes/bulk", body)).status_code == 400
        assert await bench.resting() == [("buy", "990.0")]


async def test_a_repeated_id_in_a_ladder_is_a_conflict() -> None:
    async with running() as bench:
        twice = level("buy", "980", clientOrderId="same"), level("buy", "970", clientOrderId="same")
        answer = await bench.quote(*twice)
        assert (answer.status_code, answer.json()["error"]) == (409, "DUPLICATE_CLIENT_ORDER_ID")


async def test_two_sided_quotes() -> None:
    async with running() as bench:
        body = {
            "marketId": "BTC-PERP",
            "bid": {"price": "990", "quantity": "0.10"},
            "ask": {"price": "1010", "quantity": "0.10"},
        }
        assert (await bench.post("/perps/quotes", body)).status_code == 200
        assert await bench.resting() == [("buy", "990.0"), ("sell", "1010.0")]
        assert (await bench.post("/perps/quotes", {"marketId": "BTC-PERP"})).status_code == 400


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        (None, 0),
        ({}, 0),
        ({"marketId": "ETH-PERP"}, 3),
        ({"quoteId": "q1"}, 2),
        ({"clientOrderId": "b"}, 3),
        ({"marketId": "ETH-PERP", "clientOrderId": "b"}, 4),
        ({"marginMode": "isolated"}, 4),
        ({"marginMode": "cross"}, 0),
    ],
)
async def test_cancel_all_combines_its_scope_with_and(
    scope: dict[str, str] | None, left: int
) -> None:
    async with running() as bench:
        b, e = level("buy", "980", clientOrderId="b"), level("buy", "99", clientOrderId="e")
        await bench.quote(BID, b, quoteId="q1")
        await bench.place("buy", "970")
        await bench.quote(e, marketId="ETH-PERP", quoteId="q2")
        answer = await bench.post("/perps/orders/cancel-all", scope)
        assert (answer.status_code, answer.json()["cancelled"]) == (200, 4 - left)
        assert len(await bench.resting()) == left


async def test_the_order_path_is_limited_per_user_and_reads_are_free() -> None:
    async with running(rate_per_minute=3) as bench:
        for left in (2, 1, 0):
            answer = await bench.post("/perps/orders/cancel-all")
            assert answer.headers["X-RateLimit-Remaining"] == str(left)
        refused = await bench.post("/perps/orders/cancel-all")
        assert (refused.status_code, refused.json()["error"]) == (429, "ORDER_RATE_LIMIT")
        assert 0 < refused.json()["retryAfterMs"] <= 60_000
        assert 0 < int(refused.headers["Retry-After"]) <= 60
        assert (await bench.get("/perps/orders", MAKER)).status_code == 200
        assert (await bench.post("/perps/orders/cancel-all", key=TAKER)).status_code == 200
        read = await bench.get("/perps/markets")
        assert read.headers["X-RateLimit-Limit"] == "3"


async def test_a_ladder_of_many_levels_costs_one() -> None:
    async with running(rate_per_minute=2) as bench:
        answer = await bench.quote(*(level("buy", str(900 + n)) for n in range(20)))
        assert answer.headers["X-RateLimit-Remaining"] == "1"


async def test_account_reads_and_transfer() -> None:
    async with running() as bench:
        balance = (await bench.get("/perps/balances", MAKER)).json()
        assert (balance["equity"], balance["available"]) == ("100000", "100000")
        move = {"from": "wallet", "to": "perps", "amount": "500"}
        assert (await bench.post("/wallet/transfer", move)).json()["perpsBalance"] == "100500"
        again = await bench.post("/wallet/transfer", move)
        assert (again.status_code, again.json()["error"]) == (400, "INSUFFICIENT_BALANCE")
        same = {"from": "perps", "to": "perps", "amount": "1"}
        assert (await bench.post("/wallet/transfer", same)).status_code == 400
        me = (await bench.get("/portfolio/me", MAKER)).json()
        assert (me["equity"], me["positions"]) == ("100500", [])
        for path in ("/portfolio/balances", "/wallet/balance", "/wallet/assets"):
            assert (await bench.get(path, MAKER)).status_code == 200


@pytest.mark.parametrize("spelling", list(Spelling))
async def test_market_reads_in_each_spelling(spelling: Spelling) -> None:
    async with running(market_spelling=spelling, stats_spelling=spelling) as bench:
        for path in ("/perps/markets", "/markets/linear"):
            first = (await bench.get(path)).json()[0]
            assert ("id" in first) == (spelling is not Spelling.GITBOOK)
            assert ("marketId" in first) == (spelling is not Spelling.DOCS)
        if spelling is not Spelling.GITBOOK:
            assert first["markPrice"] == "1000"
            assert (first["priceDecimals"], first["sizeDecimals"]) == (1, 2)
        if spelling is not Spelling.DOCS:
            assert (first["tickSize"], first["tradingStatus"]) == ("0.5", "active")
        one = (await bench.get("/perps/market-stats", marketId="BTC-PERP")).json()
        assert ("funding1hPct" in one) == (spelling is not Spelling.GITBOOK)
        every = await bench.get("/perps/market-stats")
        assert every.status_code == (400 if spelling is Spelling.DOCS else 200)


async def test_book_bars_and_fees() -> None:
    async with running() as bench:
        await bench.quote(BID, ASK, level("buy", "980"))
        book = (await bench.get("/perps/orderbook/BTC-PERP", depth=1)).json()
        assert (book["bids"], book["asks"]) == ([["990.0", "0.10"]], [["1010.0", "0.10"]])
        assert (await bench.get("/perps/orderbook/X-PERP")).status_code == 404
        await bench.post("/perps/orders", order("sell", "990"), TAKER)
        bars = (await bench.get("/perps/ohlc", symbol="BTC-PERP", resolution="1")).json()
        assert (bars["s"], bars["c"], bars["v"]) == ("ok", ["990"], ["0.1"])
        assert (
            await bench.get("/perps/ohlc", symbol="BTC-PERP", resolution="2")
        ).status_code == 400
        fees = (await bench.get("/perps/fees", MAKER)).json()
        assert (fees["makerBps"], fees["takerBps"], fees["volume30d"]) == ("2", "5", "99")
        assert (await bench.get("/perps/nothing")).status_code == 404


async def test_huge_numbers_and_unknown_markets_do_not_break_reads() -> None:
    async with running() as bench:
        body = order("buy", "9" * 15, "9" * 15, marketId="ETH-PERP")
        seen = await bench.post("/perps/orders/preview", body)
        assert (seen.status_code, seen.json()["approved"]) == (200, False)
        assert (await bench.post("/perps/orders", body)).status_code == 422
        for path in ("/perps/trades", "/perps/orders", "/perps/market-stats"):
            assert (await bench.get(path, MAKER, marketId="X")).status_code == 404


async def test_own_trades_are_paged_from_a_moment_on() -> None:
    async with running() as bench:
        await bench.place("sell", "1000", "0.10")
        for quantity in ("0.02", "0.03", "0.04"):
            await bench.post("/perps/orders", order("buy", "1000", quantity), TAKER)
        first = (await bench.get("/perps/trades", MAKER, limit=2)).json()
        assert [one["quantity"] for one in first] == ["0.02", "0.03"]
        last = bench.sim.engine.trades("maker")[-1].at_ms
        page = (await bench.get("/perps/trades", MAKER, **{"from": last})).json()
        assert page[-1]["quantity"] == "0.04"
        assert (await bench.get("/perps/trades", MAKER, **{"from": last + 1})).json() == []
        assert (await bench.get("/perps/trades", MAKER, limit=501)).status_code == 400
