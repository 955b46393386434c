"""Each rule of the venue refuses with its own code, and nothing is applied."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from x10.models.order import OrderType, TimeInForce

from tests.venues.x10.simulator.bench import BTC, ETH, TAKER, Bench, code, running
from venues.simulation.faults import FaultKind
from venues.x10.simulator.settings import MarketStatus

_ODD = replace(BTC, min_price_change=Decimal(5), min_order_size_change=Decimal("0.05"))


@pytest.mark.parametrize(
    ("asked", "changes", "expected"),
    [
        ({"qty": "0.01"}, {}, 1120),
        ({"qty": "0.121"}, {}, 1123),
        ({"price": "990.25"}, {}, 1125),
        ({"price": "990.3"}, {}, 1124),
        ({"qty": "20000"}, {}, 1122),
        ({"fee": "0.0002"}, {}, 1128),
        ({"life_s": -1.0}, {}, 1135),
        ({"life_s": 29 * 86400.0}, {}, 1135),
        ({"price": "1051"}, {}, 1141),
        ({"side": "sell", "price": "949"}, {}, 1141),
        ({"qty": "1100"}, {}, 1140),
        ({"old": "gone"}, {}, 1142),
        ({"reduce_only": True}, {}, 1137),
        ({}, {"market": "DOGE-USD"}, 1001),
        ({}, {"side": "LONG"}, 1133),
        ({}, {"timeInForce": "FOK"}, 1133),
        ({}, {"timeInForce": "TOB"}, 1133),
        ({"force": TimeInForce.IOC}, {"postOnly": True}, 1133),
        ({}, {"price": None}, 1130),
        ({}, {"qty": "ten"}, 1133),
        ({}, {"qty": "-1"}, 1133),
        ({}, {"nonce": "1.5"}, 1133),
        ({}, {"id": "two words"}, 1133),
        ({}, {"type": "SPECIAL"}, 1132),
        ({}, {"type": "TWAP"}, 1132),
        ({}, {"type": "TWAP", "timeInForce": "IOC"}, 1146),
        ({}, {"type": "MARKET"}, 1139),
        ({"force": TimeInForce.IOC}, {"type": "MARKET", "postOnly": True}, 1133),
        ({}, {"type": "CONDITIONAL"}, 1143),
        ({}, {"type": "CONDITIONAL", "trigger": {}}, 1132),
        (
            {},
            {
                "type": "CONDITIONAL",
                "postOnly": True,
                "trigger": {"executionPriceType": "MARKET"},
            },
            1144,
        ),
        ({}, {"type": "TPSL"}, 1131),
        ({}, {"type": "TPSL", "takeProfit": {}, "tpSlType": "POSITION"}, 1129),
        ({}, {"type": "TPSL", "stopLoss": {}, "tpSlType": "ORDER"}, 1132),
        ({}, {"qty": 1}, 400),
        ({}, {"expiryEpochMillis": None}, 400),
    ],
)
async def test_orders_that_are_not_right(
    asked: dict[str, Any], changes: dict[str, Any], expected: int
) -> None:
    async with running() as bench:
        given = {"side": "buy", "price": "990", "qty": "0.10"} | asked
        answer = await bench.post("/user/order", bench.order(**given) | changes)
        assert (answer.status_code, code(answer)) == (400, expected)
        assert bench.events("OrderAccepted") == []


@pytest.mark.parametrize(("asked", "expected"), [({"price": "982"}, 1124), ({"qty": "0.12"}, 1121)])
async def test_a_grid_that_is_no_power_of_ten(asked: dict[str, Any], expected: int) -> None:
    async with running(markets=(_ODD,)) as bench:
        given = {"side": "buy", "price": "985", "qty": "0.10"} | asked
        assert code(await bench.send(**given)) == expected


async def test_a_price_far_on_the_safe_side_is_allowed() -> None:
    async with running() as bench:
        await bench.place("buy", "500")
        await bench.place("sell", "2000")


async def test_a_bad_body_is_no_order() -> None:
    async with running() as bench:
        for raw in (b"", b"[]", b"{", b"\xff"):
            answer = await bench.http.post(
                bench.sim.base_url + "/user/order", content=raw, headers={"X-Api-Key": "key-maker"}
            )
            assert (answer.status_code, code(answer)) == (400, 400)


async def test_too_many_orders_in_one_market() -> None:
    async with running(markets=(replace(BTC, max_num_orders=2), ETH)) as bench:
        await bench.place("buy", "990")
        last = await bench.place("sell", "1010")
        assert code(await bench.send("buy", "991")) == 1126
        await bench.place("buy", "99", market="ETH-USD")
        await bench.place("sell", "1011", old=last)


async def test_a_position_cannot_be_made_too_large() -> None:
    async with running(markets=(replace(BTC, max_position_value=Decimal(1000)),)) as bench:
        await bench.place("buy", "990", "0.60")
        assert code(await bench.send("buy", "990", "0.41")) == 1127
        await bench.place("sell", "1010", "1.00")
        await bench.place("sell", "990", "0.60", key=TAKER)
        assert code(await bench.send("buy", "990", "0.41")) == 1127
        await bench.place("buy", "990", "0.40")


async def test_the_same_order_twice() -> None:
    async with running() as bench:
        body = bench.order("buy", "990")
        assert (await bench.post("/user/order", body)).status_code == 200
        assert code(await bench.post("/user/order", body)) == 1134
        assert code(await bench.post("/user/order", body | {"id": "new-name"})) == 1134
        assert code(await bench.send("buy", "980", name=body["id"])) == 1134
        await bench.delete("/user/order", externalId=body["id"])
        assert code(await bench.send("buy", "980", name=body["id"])) == 1134


async def test_a_refused_order_leaves_its_name_free() -> None:
    async with running() as bench:
        assert code(await bench.send("buy", "990", "1100", name="again")) == 1140
        await bench.place("buy", "990", name="again")


async def test_reduce_only_orders_reduce() -> None:
    async with running() as bench:
        await bench.place("sell", "1000", "0.10", key=TAKER)
        await bench.place("buy", "1000", "0.10")
        assert code(await bench.send("sell", "1010", "0.11", reduce_only=True)) == 1136
        assert code(await bench.send("buy", "990", "0.10", reduce_only=True)) == 1138
        await bench.place("sell", "1010", "0.10", reduce_only=True)


async def test_a_market_order_takes_what_is_near_the_mark() -> None:
    async with running() as bench:
        await bench.place("sell", "1001", key=TAKER)
        ioc: dict[str, Any] = {"kind": OrderType.MARKET, "force": TimeInForce.IOC}
        assert code(await bench.send("buy", "1051", **ioc)) == 1141
        assert code(await bench.send("buy", "1001", "5000", **ioc)) == 1122
        name = await bench.place("buy", "1040", **ioc)
        assert await bench.known(name) == ("FILLED", "NONE")


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (FaultKind.MAINTENANCE_MODE, {"post_only": True, "reduce_only": True}, 1010),
        (FaultKind.POST_ONLY_MODE, {}, 1011),
        (FaultKind.REDUCE_ONLY_MODE, {"post_only": True}, 1012),
    ],
)
async def test_modes_of_the_venue(kind: FaultKind, body: dict[str, Any], expected: int) -> None:
    async with running() as bench:
        name = await bench.place("buy", "990")
        number = bench.arm(kind)
        assert code(await bench.send("buy", "980", **body)) == expected
        assert await bench.resting() == [(name, "990.0")]
        bench.sim.faults.remove(number)
        await bench.place("buy", "980", post_only=True)


async def test_post_only_mode_takes_post_only_orders_and_cancels() -> None:
    async with running() as bench:
        bench.arm(FaultKind.POST_ONLY_MODE)
        name = await bench.place("buy", "980", post_only=True)
        assert (await bench.delete("/user/order", externalId=name)).status_code == 200


async def test_maintenance_shows_and_stops_cancels_too() -> None:
    async with running() as bench:
        name = await bench.place("buy", "980")
        bench.arm(FaultKind.MAINTENANCE_MODE)
        told = (await bench.get("/info/status")).json()["data"]
        assert told == {"operationalStatus": "MAINTENANCE"}
        assert code(await bench.delete("/user/order", externalId=name)) == 1010
        assert code(await bench.post("/user/order/massCancel", {"cancelAll": True})) == 1010
        assert len(await bench.resting()) == 1


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (MarketStatus.DISABLED, 1002),
        (MarketStatus.DELISTED, 1002),
        (MarketStatus.PRELISTED, 1002),
        (MarketStatus.REDUCE_ONLY, 1014),
    ],
)
async def test_states_of_a_market(status: MarketStatus, expected: int) -> None:
    async with running(markets=(replace(BTC, status=status),)) as bench:
        assert code(await bench.send("buy", "990")) == expected
        (shown,) = (await bench.get("/info/markets")).json()["data"]
        assert shown["status"] == str(status)
        assert shown["active"] == (status is MarketStatus.REDUCE_ONLY)


async def test_halted_and_expired_markets() -> None:
    async with running() as bench:
        bench.sim.engine.halt("BTC-USD", halted=True)
        assert code(await bench.send("buy", "990")) == 1002
        bench.sim.engine.halt("BTC-USD", halted=False)
        name = await bench.place("buy", "990")
        bench.arm(FaultKind.EXPIRY, market="BTC-USD")
        bench.sim.pump.step()
        assert await bench.known(name) == ("CANCELLED", "DISABLED_MARKET")
        shown = (await bench.get("/info/markets", market="BTC-USD")).json()["data"]
        assert [one["status"] for one in shown] == ["DELISTED"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("0.5", 1049), ("51", 1050), ("2.005", 1053), ("1", 1052), ("x", 1133)],
)
async def test_leverage_rules(wanted: str, expected: int) -> None:
    async with running() as bench:
        await bench.place("buy", "990", "500")
        body = {"market": "BTC-USD", "leverage": wanted}
        assert code(await bench.patch("/user/leverage", body)) == expected
        shown = (await bench.get("/user/leverage", market="BTC-USD")).json()["data"]
        assert shown == [{"market": "BTC-USD", "leverage": "10"}]


async def test_leverage_falls_with_the_positions_value() -> None:
    async with running(markets=(replace(BTC, risk_step=Decimal(1000)),)) as bench:
        await bench.place("sell", "1000", "3", key=TAKER)
        await bench.place("buy", "1000", "3")
        body = {"market": "BTC-USD", "leverage": "20"}
        assert code(await bench.patch("/user/leverage", body)) == 10501


async def test_a_fault_can_carry_any_code() -> None:
    async with running() as bench:
        for expected in (1003, 1004, 1006, 1145, 1147, 1148):
            bench.arm(FaultKind.ORDER_REFUSED, code=expected)
            assert code(await bench.send("buy", "990")) == expected
        bench.arm(FaultKind.MARGIN_REJECT)
        assert code(await bench.send("buy", "990")) == 1140
        bench.arm(FaultKind.DUPLICATE_ID)
        assert code(await bench.send("buy", "990")) == 1134
        assert await bench.resting() == []


async def test_margin_is_one_sided_for_two_sided_quotes() -> None:
    async with running() as bench:
        await bench.place("buy", "990", "600")
        await bench.place("sell", "1010", "600")
        assert code(await bench.send("buy", "991", "500")) == 1140


async def test_orders_that_equity_no_longer_covers_are_taken_away() -> None:
    async with running() as bench:
        name = await bench.place("buy", "990", "990")
        await _raise_index(bench)
        assert await bench.known(name) == ("CANCELLED", "NOT_ENOUGH_FUNDS")


async def _raise_index(bench: Bench) -> None:
    bench.sim.engine.set_index("BTC-USD", Decimal(1200))
    bench.sim.pump.step()
    for _ in range(200):
        bench.sim.engine.set_index("BTC-USD", Decimal(1200))
        bench.sim.routine.step()
        if not await bench.resting():
            return
