"""What becomes of both orders when one replaces the other, as the wire shows it."""

from typing import Any

import pytest

from desk.units import Side
from tests.venues.x10.simulator.bench import BTC, TAKER, code, running
from venues.simulation.faults import FaultKind
from venues.x10.simulator.settings import Answers, CarryOver, Orders, ReplaceEvents


async def test_a_replaced_order_ends_and_the_new_one_stands_in_its_place() -> None:
    async with running() as bench, bench.account() as stream:
        old = await bench.place("buy", "990")
        new = await bench.place("buy", "991", old=old)
        assert await bench.resting() == [(new, "991.0")]
        assert await stream.orders(3) == [
            (old, "NEW", "NONE"),
            (old, "CANCELLED", "ORDER_REPLACED"),
            (new, "NEW", "NONE"),
        ]


async def test_the_events_of_a_replace_may_come_the_other_way_round() -> None:
    rules = Orders(replace_events=ReplaceEvents.NEW_FIRST)
    async with running(orders=rules) as bench, bench.account() as stream:
        old = await bench.place("buy", "990")
        new = await bench.place("buy", "991", old=old)
        assert [(name, status) for name, status, _ in await stream.orders(3)] == [
            (old, "NEW"),
            (new, "NEW"),
            (old, "CANCELLED"),
        ]


async def test_a_replacement_goes_to_the_back_of_the_queue() -> None:
    async with running() as bench:
        old = await bench.place("buy", "990")
        await bench.place("buy", "990", key=TAKER)
        await bench.place("buy", "990", old=old)
        bench.sim.world.crowd_trade("BTC-USD", Side.SELL, 10, None)
        assert [one["maker"] for one in bench.events("Trade")] == ["taker"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"price": "991.3"}, 1124),
        ({"qty": "1100"}, 1140),
        ({"old": "never-seen"}, 1142),
        ({"life_s": -5}, 1135),
    ],
)
async def test_a_refused_replacement_leaves_the_old_order(
    changes: dict[str, Any], expected: int
) -> None:
    async with running() as bench:
        old = await bench.place("buy", "990")
        asked = {"side": "buy", "price": "991", "old": old} | changes
        answer = await bench.send(**asked)
        assert (answer.status_code, code(answer)) == (400, expected)
        assert await bench.resting() == [(old, "990.0")]


async def test_a_refused_replacement_keeps_the_old_orders_place_in_the_queue() -> None:
    async with running() as bench:
        old = await bench.place("buy", "990")
        await bench.place("buy", "990", key=TAKER)
        assert code(await bench.send("buy", "991", qty="1100", old=old)) == 1140
        bench.sim.world.crowd_trade("BTC-USD", Side.SELL, 10, None)
        assert [one["maker"] for one in bench.events("Trade")] == ["maker"]


async def test_a_post_only_replacement_that_would_cross_ends_both() -> None:
    rules = Orders(failed_replace_status="REJECTED", failed_replace_reason="PREV_ORDER_CONFLICT")
    async with running(orders=rules) as bench, bench.account() as stream:
        await bench.place("sell", "1000", key=TAKER)
        old = await bench.place("buy", "990", post_only=True)
        new = await bench.place("buy", "1000", post_only=True, old=old)
        assert await bench.resting() == []
        told = await stream.orders(3)
        assert told[0] == (old, "NEW", "NONE")
        assert sorted(told[1:]) == sorted(
            [(old, "REJECTED", "PREV_ORDER_CONFLICT"), (new, "REJECTED", "POST_ONLY_FAILED")]
        )
        assert bench.events("Trade") == []


async def test_what_the_old_order_of_a_failed_replace_is_told_by_default() -> None:
    async with running() as bench:
        await bench.place("sell", "1000", key=TAKER)
        old = await bench.place("buy", "990", post_only=True)
        await bench.place("buy", "1000", post_only=True, old=old)
        assert (await bench.known(old))[0] == "CANCELLED"
        assert await bench.known(old) != ("CANCELLED", "ORDER_REPLACED")


@pytest.mark.parametrize("ended", ["cancelled", "filled", "replaced"])
async def test_an_order_that_is_no_longer_open_cannot_be_replaced(ended: str) -> None:
    async with running() as bench:
        old = await bench.place("buy", "990")
        if ended == "cancelled":
            await bench.delete("/user/order", externalId=old)
        elif ended == "filled":
            await bench.place("sell", "990", key=TAKER)
        else:
            await bench.place("buy", "980", old=old)
        before = await bench.resting()
        assert code(await bench.send("buy", "991", old=old)) == 1142
        assert await bench.resting() == before


async def test_somebody_elses_order_cannot_be_replaced() -> None:
    async with running() as bench:
        old = await bench.place("buy", "990", key=TAKER)
        assert code(await bench.send("buy", "991", old=old)) == 1142
        assert await bench.resting(TAKER) == [(old, "990.0")]


async def test_a_fill_just_before_validation_is_1142_now_and_told_late() -> None:
    async with running() as bench, bench.account() as stream:
        old = await bench.place("buy", "990")
        assert await stream.orders(1) == [(old, "NEW", "NONE")]
        bench.arm(FaultKind.FILL_RACING_REPLACE, delay_s=0.3)
        assert code(await bench.send("buy", "991", old=old)) == 1142
        with pytest.raises(TimeoutError):
            await stream.next(within_s=0.1)
        assert await stream.orders(1) == [(old, "FILLED", "NONE")]
        fills = (await bench.get("/user/trades")).json()["data"]
        assert [one["qty"] for one in fills] == ["0.10"]


async def test_a_fill_between_validation_and_matching_ends_the_new_order() -> None:
    async with running() as bench, bench.account() as stream:
        old = await bench.place("buy", "990")
        bench.arm(FaultKind.FILL_INSIDE_REPLACE, delay_s=0.0)
        new = await bench.place("buy", "991", old=old)
        assert await stream.orders(3) == [
            (old, "NEW", "NONE"),
            (old, "FILLED", "NONE"),
            (new, "REJECTED", "PREV_ORDER_NOT_FOUND"),
        ]
        assert await bench.resting() == []


async def test_1142_on_demand_leaves_the_old_order() -> None:
    async with running() as bench:
        old = await bench.place("buy", "990")
        bench.arm(FaultKind.ORDER_REFUSED, path="*/user/order", code=1142)
        assert code(await bench.send("buy", "991", old=old)) == 1142
        assert await bench.resting() == [(old, "990.0")]


async def test_the_matching_engine_can_end_both_for_any_reason() -> None:
    async with running() as bench:
        old = await bench.place("buy", "990")
        bench.arm(FaultKind.ENGINE_REJECT, reason="PREV_ORDER_CONFLICT")
        new = await bench.place("buy", "991", old=old)
        assert await bench.known(new) == ("REJECTED", "PREV_ORDER_CONFLICT")
        assert (await bench.known(old))[0] == "CANCELLED"


@pytest.mark.parametrize(
    ("carry", "total", "left"),
    [(CarryOver.REMAINING, "0.20", "0.20"), (CarryOver.TOTAL, "0.20", "0.16")],
)
async def test_the_size_of_a_replacement_after_a_partial_fill(
    carry: CarryOver, total: str, left: str
) -> None:
    async with running(orders=Orders(carry_over=carry)) as bench:
        old = await bench.place("buy", "990", "0.10")
        await bench.place("sell", "990", "0.04", key=TAKER)
        await bench.place("buy", "991", total, old=old)
        (order,) = bench.sim.engine.open_orders("maker")
        assert str(order.remaining * BTC.min_order_size_change) == left


async def test_a_replace_frees_the_old_orders_margin_first_unless_told_otherwise() -> None:
    for both, expected in ((False, 200), (True, 400)):
        async with running(orders=Orders(replace_counts_both=both)) as bench:
            old = await bench.place("buy", "1000", "800")
            answer = await bench.send("buy", "1000", "800", old=old)
            assert answer.status_code == expected


async def test_an_order_that_is_not_booked_yet_cannot_be_replaced() -> None:
    async with running(orders=Orders(booking_delay_s=0.2)) as bench, bench.account() as stream:
        old = await bench.place("buy", "990")
        assert code(await bench.send("buy", "991", old=old)) == 1142
        assert await stream.orders(1) == [(old, "NEW", "NONE")]
        assert (await bench.send("buy", "991", old=old)).status_code == 200


@pytest.mark.parametrize("status", [400, 422, 200])
async def test_the_http_status_of_refusals_can_be_chosen(status: int) -> None:
    async with running(answers=Answers(error_status=status)) as bench:
        answer = await bench.send("buy", "991", old="gone")
        assert answer.status_code == status
        assert answer.json()["status"] == "ERROR"
        assert answer.json()["error"]["message"] == "Edit order not found"
