"""How orders live and end: cancelled, expired, rejected late, taken by the dead-man switch."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from x10.models.order import SelfTradeProtectionLevel, TimeInForce

from desk.units import Side
from tests.venues.x10.simulator.bench import (
    ACCOUNTS,
    MAKER,
    SISTER,
    TAKER,
    Bench,
    code,
    running,
    until,
)
from venues.simulation.faults import FaultKind
from venues.x10.simulator.settings import (
    Answers,
    CountdownUnit,
    DeadMan,
    MixedSelectors,
    Orders,
    UnknownCancel,
)


async def test_a_post_only_order_that_would_cross_is_accepted_and_then_rejected() -> None:
    async with running() as bench, bench.account() as stream:
        await bench.place("sell", "1000", key=TAKER)
        name = await bench.place("buy", "1000", post_only=True)
        assert await stream.orders(1) == [(name, "REJECTED", "POST_ONLY_FAILED")]
        assert bench.events("Trade") == []
        assert [one["client_order_id"] for one in bench.events("OrderRejected")] == [name]


async def test_the_state_of_a_crossing_post_only_order_can_be_chosen() -> None:
    async with running(orders=Orders(post_only_status="CANCELLED")) as bench:
        await bench.place("sell", "1000", key=TAKER)
        name = await bench.place("buy", "1000", post_only=True)
        assert await bench.known(name) == ("CANCELLED", "POST_ONLY_FAILED")


async def test_what_an_immediate_order_does_not_get_is_cancelled() -> None:
    async with running() as bench:
        await bench.place("sell", "1000", "0.04", key=TAKER)
        name = await bench.place("buy", "1000", "0.10", force=TimeInForce.IOC)
        (shown,) = (await bench.get(f"/user/orders/external/{name}")).json()["data"]
        assert (shown["status"], shown["statusReason"]) == ("CANCELLED", "NO_LIQUIDITY")
        assert (shown["filledQty"], shown["cancelledQty"]) == ("0.04", "0.06")
        assert shown["averagePrice"] == "1000"


async def test_partial_fills_show_in_the_order() -> None:
    async with running() as bench:
        await bench.place("buy", "990", "0.10")
        await bench.place("sell", "990", "0.04", key=TAKER)
        (shown,) = (await bench.get("/user/orders")).json()["data"]
        assert (shown["status"], shown["filledQty"]) == ("PARTIALLY_FILLED", "0.04")


async def test_unknown_and_ended_orders_cannot_be_cancelled() -> None:
    async with running() as bench:
        name = await bench.place("buy", "990")
        await bench.delete("/user/order", externalId=name)
        for answer in (
            await bench.delete("/user/order", externalId=name),
            await bench.delete("/user/order", externalId="never"),
            await bench.delete("/user/order/17"),
        ):
            assert (answer.status_code, code(answer)) == (404, 404)
        for answer in (await bench.delete("/user/order"), await bench.delete("/user/order/x")):
            assert answer.status_code == 400
    lenient = Answers(unknown_cancel=UnknownCancel.OK)
    async with running(answers=lenient) as bench:
        assert (await bench.delete("/user/order", externalId="never")).status_code == 200


async def test_another_accounts_order_cannot_be_cancelled() -> None:
    async with running() as bench:
        name = await bench.place("buy", "990", key=TAKER)
        number = (await bench.get("/user/orders", TAKER)).json()["data"][0]["id"]
        assert (await bench.delete(f"/user/order/{number}")).status_code == 404
        await bench.post("/user/order/massCancel", {"orderIds": [number], "cancelAll": True})
        await asyncio.sleep(0.05)
        assert await bench.resting(TAKER) == [(name, "990.0")]


async def test_a_mass_cancel_is_answered_before_it_is_applied() -> None:
    async with running(orders=Orders(mass_cancel_delay_s=0.2)) as bench:
        await bench.place("buy", "990")
        assert (await bench.post("/user/order/massCancel", {"cancelAll": True})).status_code == 200
        assert len(await bench.resting()) == 1
        late = await bench.place("buy", "980")
        await until(lambda: not bench.sim.engine.open_orders("maker"))
        assert await bench.known(late) == ("CANCELLED", "NONE")


@pytest.mark.parametrize(("mixed", "left"), [(MixedSelectors.ALL, 0), (MixedSelectors.SELECTED, 1)])
async def test_a_mass_cancel_with_several_selectors(mixed: MixedSelectors, left: int) -> None:
    async with running(orders=Orders(mixed_selectors=mixed, mass_cancel_delay_s=0)) as bench:
        await bench.place("buy", "990")
        await bench.place("buy", "99", market="ETH-USD")
        body = {"cancelAll": True, "markets": ["BTC-USD"]}
        assert (await bench.post("/user/order/massCancel", body)).status_code == 200
        assert len(await bench.resting()) == left


@pytest.mark.parametrize("body", [{}, {"cancelAll": False}, {"orderIds": ["x"]}, []])
async def test_a_mass_cancel_needs_a_selector(body: Any) -> None:
    async with running() as bench:
        await bench.place("buy", "990")
        assert (await bench.post("/user/order/massCancel", body)).status_code == 400
        assert len(await bench.resting()) == 1


async def test_an_order_ends_at_its_expiry() -> None:
    async with running() as bench, bench.account() as stream:
        name = await bench.place("buy", "990", life_s=0.3)
        assert await stream.orders(2) == [(name, "NEW", "NONE"), (name, "EXPIRED", "NONE")]
        assert bench.sim.engine.open_orders("maker") == []


# --- self-trade protection ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("maker", "level", "resting", "trades"),
    [
        (MAKER, SelfTradeProtectionLevel.ACCOUNT, "SELF_TRADE_PROTECTION", 0),
        (MAKER, SelfTradeProtectionLevel.CLIENT, "SELF_TRADE_PROTECTION", 0),
        (MAKER, SelfTradeProtectionLevel.DISABLED, "NONE", 1),
        (SISTER, SelfTradeProtectionLevel.ACCOUNT, "NONE", 1),
        (SISTER, SelfTradeProtectionLevel.CLIENT, "SELF_TRADE_PROTECTION", 0),
        (TAKER, SelfTradeProtectionLevel.CLIENT, "NONE", 1),
    ],
)
async def test_the_takers_protection_cancels_the_resting_order(
    maker: str, level: SelfTradeProtectionLevel, resting: str, trades: int
) -> None:
    async with running() as bench:
        rests = await bench.place("sell", "1000", key=maker)
        takes = await bench.place("buy", "1000", protection=level)
        status = "CANCELLED" if trades == 0 else "FILLED"
        assert await bench.known(rests, maker) == (status, resting)
        assert len(bench.events("Trade")) == trades
        assert (await bench.known(takes))[0] == ("NEW" if trades == 0 else "FILLED")


# --- dead-man switch ------------------------------------------------------------------------


async def _arm(bench: Bench, countdown: Any, key: str = MAKER) -> Any:
    url = f"/user/deadmanswitch?countdownTime={countdown}"
    return await bench.post(url, key=key)


async def test_the_dead_man_switch_cancels_everything_of_its_account() -> None:
    async with running() as bench, bench.account() as stream:
        await bench.place("buy", "990")
        await bench.place("buy", "99", market="ETH-USD")
        await bench.place("buy", "980", key=TAKER)
        assert (await _arm(bench, 1)).json() == {"status": "OK", "data": {}}
        assert [status for _, status, _ in await stream.orders(4)] == [
            "NEW",
            "NEW",
            "CANCELLED",
            "CANCELLED",
        ]
        assert await bench.resting() == []
        assert len(await bench.resting(TAKER)) == 1
        (armed,), (fired,) = bench.events("TimerSet"), bench.events("TimerFired")
        assert (fired["account"], fired["orders"]) == ("maker", 2)
        assert 0 <= fired["at_ns"] - armed["due_ns"] < 500_000_000
        assert bench.sim.engine.timers.due_ns("maker") is None


async def test_each_call_restarts_the_countdown_and_zero_disarms() -> None:
    async with running(dead_man=DeadMan(unit=CountdownUnit.MILLISECONDS)) as bench:
        await bench.place("buy", "990")
        for countdown in (300, 60_000, 0):
            assert (await _arm(bench, countdown)).status_code == 200
        await asyncio.sleep(0.35)
        assert len(await bench.resting()) == 1
        assert [one["due_ns"] is None for one in bench.events("TimerSet")] == [False, False, True]
        await _arm(bench, 100)
        await until(lambda: bool(bench.events("TimerFired")))
        assert await bench.resting() == []


async def test_the_answer_of_the_switch_may_be_empty_and_its_reason_chosen() -> None:
    rules = DeadMan(unit=CountdownUnit.MILLISECONDS, empty_body=True, cancel_reason="UNKNOWN")
    async with running(dead_man=rules) as bench:
        name = await bench.place("buy", "990")
        answer = await _arm(bench, 1)
        assert (answer.status_code, answer.content) == (200, b"")
        await until(lambda: bool(bench.events("TimerFired")))
        assert await bench.known(name) == ("CANCELLED", "UNKNOWN")


@pytest.mark.parametrize("countdown", ["", "-1", "1.5", "soon"])
async def test_a_bad_countdown_arms_nothing(countdown: str) -> None:
    async with running() as bench:
        assert (await _arm(bench, countdown)).status_code == 400
        assert bench.events("TimerSet") == []


async def test_a_timer_that_fires_with_nothing_resting_is_told_too() -> None:
    async with running(dead_man=DeadMan(unit=CountdownUnit.MILLISECONDS)) as bench:
        await _arm(bench, 1)
        await until(lambda: bool(bench.events("TimerFired")))
        assert bench.events("TimerFired")[0]["orders"] == 0


# --- what is remembered ---------------------------------------------------------------------


async def test_maker_history_forgets_orders_that_ended_without_a_fill() -> None:
    async with running(orders=Orders(maker_history=True)) as bench:
        gone = await bench.place("buy", "990")
        await bench.delete("/user/order", externalId=gone)
        kept = await bench.place("buy", "989")
        bench.sim.world.crowd_trade("BTC-USD", Side.SELL, 4)
        await bench.delete("/user/order", externalId=kept)
        history = (await bench.get("/user/orders/history")).json()["data"]
        assert [one["externalId"] for one in history] == [kept]
        assert (await bench.get(f"/user/orders/external/{gone}")).json()["data"] == []
        assert code(await bench.send("buy", "990", name=gone)) == 1134


async def test_history_is_paged_newest_first_and_bounded() -> None:
    async with running(orders=Orders(history=4)) as bench:
        for number in range(6):
            await bench.place("buy", "990", name=f"h-{number}")
            await bench.delete("/user/order", externalId=f"h-{number}")
        first = (await bench.get("/user/orders/history", limit=3)).json()
        assert [one["externalId"] for one in first["data"]] == ["h-5", "h-4", "h-3"]
        assert first["pagination"] == {"cursor": first["data"][-1]["id"], "count": 3}
        cursor = first["pagination"]["cursor"]
        rest = (await bench.get("/user/orders/history", cursor=cursor)).json()
        assert [one["externalId"] for one in rest["data"]] == ["h-2"]


async def test_fills_are_paged_and_filtered() -> None:
    async with running() as bench:
        await bench.place("buy", "990", "0.10")
        for lots in (2, 3, 4):
            bench.sim.world.crowd_trade("BTC-USD", Side.SELL, lots)
        first = (await bench.get("/user/trades", limit=2)).json()
        assert [one["qty"] for one in first["data"]] == ["0.04", "0.03"]
        rest = await bench.get("/user/trades", cursor=first["pagination"]["cursor"])
        assert [one["qty"] for one in rest.json()["data"]] == ["0.02"]
        assert (await bench.get("/user/trades", side="SELL")).json()["data"] == []
        assert (await bench.get("/user/trades", market="ETH-USD")).json()["data"] == []


async def test_open_orders_can_be_filtered() -> None:
    async with running() as bench:
        name = await bench.place("buy", "990")
        await bench.place("sell", "1010")
        for query, found in (
            ({"side": "BUY"}, [name]),
            ({"market": "ETH-USD"}, []),
            ({"type": "MARKET"}, []),
            ({"market": "BTC-USD", "side": "BUY", "type": "LIMIT"}, [name]),
        ):
            shown = (await bench.get("/user/orders", **query)).json()["data"]
            assert [one["externalId"] for one in shown] == found


async def test_positions_can_be_filtered_and_flat_ones_are_not_listed() -> None:
    async with running() as bench:
        await bench.place("buy", "990")
        bench.sim.world.crowd_trade("BTC-USD", Side.SELL, 10)
        assert len((await bench.get("/user/positions", side="LONG")).json()["data"]) == 1
        assert (await bench.get("/user/positions", side="SHORT")).json()["data"] == []
        await bench.place("sell", "1000", "0.10")
        bench.sim.world.crowd_trade("BTC-USD", Side.BUY, 10)
        assert (await bench.get("/user/positions")).json()["data"] == []


async def test_a_liquidated_account_is_told_of_it() -> None:
    small = replace(ACCOUNTS[0], collateral=ACCOUNTS[0].collateral / 1000)
    async with running(accounts=(small, ACCOUNTS[2])) as bench, bench.account() as stream:
        await bench.place("sell", "1000", "0.90", key=TAKER)
        await bench.place("buy", "1000", "0.90", force=TimeInForce.IOC)
        await bench.place("buy", "880", "1.00", key=TAKER)
        bench.arm(FaultKind.LIQUIDATION, account="maker", bps=1200)
        kinds: set[str] = set()
        while "LIQUIDATION" not in kinds:
            message = await stream.next()
            kinds.update(one["tradeType"] for one in message["data"].get("trades", ()))
        assert len(bench.events("Liquidated")) == 1
