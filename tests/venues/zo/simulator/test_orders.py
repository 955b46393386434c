"""Placing and cancelling: what each fill mode does, and the right error for everything else."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from desk.units import Side as DeskSide
from tests.venues.zo.simulator.bench import (
    ASK,
    BID,
    BTC,
    ETH,
    FOK,
    IOC,
    LIMIT,
    POST_ONLY,
    TAKER,
    Bench,
    Trader,
    error_of,
    running,
    wallet_text,
)
from venues.simulation.faults import FaultKind
from venues.simulation.hand import crowd_trade
from venues.simulation.rules import MarkRules
from venues.zo.schema.nord_pb2 import Error, QuoteSize
from venues.zo.simulator.settings import (
    Actions,
    ClientIds,
    Money,
    Oversize,
    ReduceOnly,
    Revision,
    SeedAccount,
    TooLarge,
)

FAR = 1 << 63


async def test_an_order_rests_under_an_id_beyond_doubles_and_goes_once() -> None:
    async with running() as bench:
        maker = await bench.trader()
        receipt = await maker.place(BID, 9_900, client_order_id=5)
        result = receipt.place_order_result
        assert result.posted.order_id > 1 << 53
        assert (result.client_order_id, len(result.fills)) == (5, 0)
        assert await maker.resting() == [("bid", 990.0, 0.1)]
        gone = (await maker.cancel(result.posted.order_id)).cancel_order_result
        assert (gone.order_id, gone.account_id) == (result.posted.order_id, 1)
        assert gone.client_order_id == 5
        assert error_of(await maker.cancel(result.posted.order_id)) == "ORDER_NOT_FOUND"


async def test_cancelling_by_the_clients_own_id() -> None:
    async with running() as bench:
        maker = await bench.trader()
        order_id = await maker.rest(BID, 9_900, client_order_id=5)
        gone = (await maker.cancel_named(5)).cancel_order_result
        assert (gone.order_id, gone.client_order_id) == (order_id, 5)
        assert error_of(await maker.cancel_named(5)) == "ORDER_NOT_FOUND"
        assert await maker.resting() == []


@pytest.mark.parametrize(
    "changes",
    [{"actions": Actions(cancel_by_client_id=False)}, {"revision": Revision.R2025_12}],
)
async def test_a_server_may_not_know_cancelling_by_client_id(changes: dict[str, Any]) -> None:
    async with running(**changes) as bench:
        maker = await bench.trader()
        await maker.rest(BID, 9_900, client_order_id=5)
        assert error_of(await maker.cancel_named(5)) == "DECODE_FAILURE_DOMAIN"
        assert len(await maker.resting()) == 1


async def test_a_limit_order_takes_and_the_rest_is_posted() -> None:
    async with running() as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        first = await maker.rest(ASK, 10_000, 30)
        second = await maker.rest(ASK, 10_010, 30)
        result = (await taker.place(BID, 10_010, 100, LIMIT)).place_order_result
        told = [(fill.order_id, fill.price, fill.size, fill.account_id) for fill in result.fills]
        assert told == [(first, 10_000, 30, 1), (second, 10_010, 30, 1)]
        assert (result.posted.size, result.posted.account_id) == (40, 2)


async def test_a_full_fill_leaves_no_order_id() -> None:
    async with running() as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        await maker.rest(ASK, 10_000)
        for mode, price in ((IOC, 10_000), (FOK, 0), (LIMIT, 10_000)):
            result = (await taker.place(BID, price, 20, mode)).place_order_result
            assert not result.HasField("posted")
            assert [fill.size for fill in result.fills] == [20]


async def test_immediate_orders_drop_what_does_not_fill() -> None:
    async with running() as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        assert error_of(await taker.place(BID, 10_000, 20, IOC)) == "IMMEDIATE_ORDER_GOT_NO_FILLS"
        assert error_of(await taker.place(BID, 0, 20, IOC)) == "IMMEDIATE_ORDER_GOT_NO_FILLS"
        await maker.rest(ASK, 10_000, 30)
        refused = await taker.place(BID, 10_000, 31, FOK)
        assert error_of(refused) == "ORDER_EXECUTION_FILL_OR_KILL"
        taken = await taker.place(BID, 10_000, 50, IOC)
        assert [fill.size for fill in taken.place_order_result.fills] == [30]
        assert await taker.resting() == []


@pytest.mark.parametrize(
    ("order", "name"),
    [
        ({"market_id": 9}, "MARKET_NOT_FOUND"),
        ({"market_id": 2}, "ACTION_NOT_ALLOWED"),
        ({"price": 0}, "ORDER_EXECUTION_MISSING_PRICE"),
        ({"price": 0, "mode": LIMIT}, "ORDER_EXECUTION_MISSING_PRICE"),
        ({"price": 0, "size": 0, "mode": IOC}, "ORDER_EXECUTION_MISSING_LIMITS"),
        ({"size": 0}, "ORDER_SIZE_ZERO"),
        ({"size": 1 << 48}, "ORDER_EXECUTION_SIZE_LIMIT"),
        ({"client_order_id": FAR}, "CLIENT_ORDER_ID_TOO_LARGE"),
        ({"size": 5_000_000}, "RISK_OMF_LESS_THAN_OR_EQUAL_IMF"),
        ({"is_reduce_only": True}, "ONLY_IMMEDIATE_ORDERS_ALLOWED"),
        ({"is_reduce_only": True, "mode": IOC}, "POSITION_NOT_FOUND"),
        ({"delegator_account_id": 3}, "ACTION_NOT_ALLOWED"),
        ({"mode": 9}, "DECODE_FAILURE_DOMAIN"),
    ],
)
async def test_a_bad_order_has_its_own_error_and_rests_nowhere(
    order: dict[str, Any], name: str
) -> None:
    async with running() as bench:
        maker = await bench.trader()
        given = {"side": BID, "price": 9_900, "size": 100, **order}
        assert error_of(await maker.place(**given)) == name
        assert await maker.resting() == []


async def test_post_only_never_takes() -> None:
    async with running() as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        await maker.rest(ASK, 10_000)
        refused = await taker.place(BID, 10_000)
        assert error_of(refused) == "POST_ONLY_MUST_NOT_FILL_ANY_OPPOSITE_ORDERS"
        (told,) = bench.events("OrderRejected")
        assert (told["account"], told["reason"]) == ("taker", "post_only_would_take")


@pytest.mark.parametrize("scope", list(ClientIds))
async def test_a_client_id_is_not_used_twice(scope: ClientIds) -> None:
    async with running(actions=Actions(client_ids=scope)) as bench:
        maker = await bench.trader()
        await maker.rest(BID, 9_900, client_order_id=5)
        assert error_of(await maker.place(BID, 9_800, client_order_id=5)) == "REPEATED_ORDER_ID"
        await maker.cancel_named(5)
        again = error_of(await maker.place(BID, 9_800, client_order_id=5))
        assert again == ("REPEATED_ORDER_ID" if scope is ClientIds.FOR_EVER else None)


async def test_one_user_cannot_cancel_for_another_account() -> None:
    async with running() as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        order_id = await maker.rest(BID, 9_900)
        assert error_of(await taker.cancel(order_id)) == "INVALID_ORDER_OWNER"
        assert error_of(await maker.cancel(order_id, sender_account_id=3)) == "INVALID_ORDER_OWNER"
        assert error_of(await maker.cancel(5)) == "ORDER_NOT_FOUND"


async def test_open_orders_can_be_capped() -> None:
    async with running(actions=Actions(max_open_orders=1)) as bench:
        maker = await bench.trader()
        await maker.rest(BID, 9_900)
        assert error_of(await maker.place(BID, 9_800)) == "TOO_MANY_OPEN_ORDERS"


async def test_the_body_has_a_limit() -> None:
    for style in TooLarge:
        async with running(actions=Actions(max_body=90, too_large=style)) as bench:
            answer = await bench.http.post(
                "/action", content=bytes(91), headers={"content-type": "application/octet-stream"}
            )
            if style is TooLarge.STATUS:
                assert (answer.status_code, answer.json()) == (413, {"limit": 90})
            else:
                assert answer.content[-2:] == bytes([0xA6, 0x01])


async def test_a_quote_size_bounds_the_size() -> None:
    async with running() as bench:
        maker = await bench.trader()
        spend = QuoteSize(lo=9_900 * 25 + 5)
        receipt = await maker.place(BID, 9_900, 0, quote_size=spend)
        assert receipt.place_order_result.posted.size == 25


# --- reduce-only ----------------------------------------------------------------------------


async def _long(bench: Bench, maker: Trader, lots: int = 100) -> None:
    """Give the maker a long position."""
    await maker.rest(BID, 10_000, lots)
    traded = crowd_trade(bench.sim.engine, "BTCUSD", DeskSide.SELL, lots, None)
    assert traded.filled == lots


async def test_reducing_is_immediate_and_capped_at_the_position() -> None:
    async with running() as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        await _long(bench, maker)
        await taker.rest(BID, 9_990, 500)
        wrong = await maker.place(BID, 10_000, 10, IOC, is_reduce_only=True)
        assert error_of(wrong) == "POSITION_STATE_ORDER_SIDE"
        done = await maker.place(ASK, 9_900, 300, IOC, is_reduce_only=True)
        assert [fill.size for fill in done.place_order_result.fills] == [100]
        body = await bench.get("/account/1")
        assert body["positions"] == []


async def test_an_oversized_reduction_can_be_refused() -> None:
    async with running(actions=Actions(oversize=Oversize.REFUSE)) as bench:
        maker = await bench.trader()
        await _long(bench, maker)
        refused = await maker.place(ASK, 9_900, 101, IOC, is_reduce_only=True)
        assert error_of(refused) == "ORDER_SIZE_EXCEEDS_POSITION_SIZE"


@pytest.mark.parametrize(
    ("rule", "answers"),
    [
        (ReduceOnly.IMMEDIATE, {POST_ONLY: "ONLY_IMMEDIATE_ORDERS_ALLOWED"}),
        (ReduceOnly.POST_ONLY, {LIMIT: "ORDER_REDUCE_IS_POST_ONLY", POST_ONLY: None}),
        (ReduceOnly.ANY, {LIMIT: None, POST_ONLY: None}),
    ],
)
async def test_which_modes_may_reduce_is_a_setting(
    rule: ReduceOnly, answers: dict[Any, str | None]
) -> None:
    async with running(actions=Actions(reduce_only=rule)) as bench:
        maker = await bench.trader()
        await _long(bench, maker)
        for mode, name in answers.items():
            receipt = await maker.place(ASK, 10_200, 10, mode, is_reduce_only=True)
            assert error_of(receipt) == name


# --- margin ---------------------------------------------------------------------------------

POOR = (SeedAccount(name="maker", wallet=wallet_text(TAKER), collateral=Decimal(10)),)


async def test_unrealized_gains_do_not_back_new_risk() -> None:
    for counted, name in ((True, None), (False, "RISK_OMF_LESS_THAN_OR_EQUAL_IMF")):
        money = Money(gains_back_risk=counted)
        async with running(accounts=POOR, money=money) as bench:
            maker = await bench.trader(TAKER)
            await _long(bench, maker, 90)
            bench.sim.engine.set_index("BTCUSD", Decimal(1_050))
            bench.sim.engine.tick()
            assert error_of(await maker.place(BID, 10_000, 20)) == name


async def test_below_cmf_only_reducing_without_orders_is_allowed() -> None:
    async with running(accounts=POOR, money=Money(cmf_cancels=False)) as bench:
        maker = await bench.trader(TAKER)
        await _long(bench, maker, 60)
        order_id = await maker.rest(ASK, 12_000, 5)
        bench.arm(FaultKind.REDUCE_ONLY_MODE, account="maker")
        assert error_of(await maker.place(BID, 9_000, 1)) == "RISK_OMF_LESS_THAN_OR_EQUAL_CMF"
        taking = await maker.place(BID, 9_000, 1, IOC)
        assert error_of(taking) == "RISK_TRADE_OMF_LESS_THAN_OR_EQUAL_CMF"
        crowd_rests(bench)
        refused = await maker.place(ASK, 9_000, 60, IOC, is_reduce_only=True)
        assert error_of(refused) == "CAN_REDUCE_POSITION_ONLY_IF_ALL_ORDERS_ARE_CANCELED"
        assert error_of(await maker.cancel(order_id)) is None
        done = await maker.place(ASK, 9_000, 60, IOC, is_reduce_only=True)
        assert [fill.size for fill in done.place_order_result.fills] == [60]


@pytest.mark.parametrize("cancels", [True, False])
async def test_margins_tell_and_the_venue_cancels_below_cmf(cancels: bool) -> None:
    money = Money(cmf_cancels=cancels, mark=MarkRules(smoothing_ms=0))
    async with running(accounts=POOR, money=money, steps_per_s=1) as bench:
        maker = await bench.trader(TAKER)
        await _long(bench, maker, 80)
        await maker.rest(BID, 5_000, 1)
        healthy = (await bench.get("/account/1"))["margins"]
        assert healthy["omf"] > healthy["imf"] > healthy["cmf"] > healthy["mmf"] > 0
        bench.sim.engine.set_index("BTCUSD", Decimal(925))
        bench.sim.engine.tick()
        sick = (await bench.get("/account/1"))["margins"]
        assert sick["mmf"] < sick["omf"] < sick["cmf"]
        bench.sim.world.sweep_margins()
        assert await maker.resting() == ([] if cancels else [("bid", 500.0, 0.001)])


def crowd_rests(bench: Bench) -> None:
    engine = bench.sim.engine
    engine.open_account("crowd:test", Decimal(0), house=True)
    engine.set_levels("crowd:test", "BTCUSD", [(DeskSide.BUY, 9_500, 1_000)])


# --- the world ------------------------------------------------------------------------------


async def test_a_frozen_market_a_moved_band_and_a_paused_engine_refuse() -> None:
    async with running() as bench:
        maker = await bench.trader()
        bench.sim.engine.halt("BTCUSD", halted=True)
        assert error_of(await maker.place(BID, 9_900)) == "MARKET_FROZEN"
        assert (await bench.get("/market/0/stats"))["frozen"] is True
        bench.sim.engine.halt("BTCUSD", halted=False)
        number = bench.arm(FaultKind.BAND_MOVE, market="BTCUSD", low="995", high="1005")
        assert error_of(await maker.place(BID, 9_900)) == "ORDER_EXECUTION_LIMIT_PRICE"
        bench.sim.faults.remove(number)
        bench.arm(FaultKind.MAINTENANCE_MODE)
        assert error_of(await maker.place(BID, 9_900)) == "MAINTENANCE"
        assert (await bench.get("/state/info"))["state"]["paused"] is True
        bench.sim.faults.clear()
        assert error_of(await maker.place(BID, 9_900)) is None
        assert (await bench.get("/state/info"))["state"]["paused"] is False


async def test_the_price_band_is_a_setting_of_the_market() -> None:
    banded = replace(BTC, price_band_bps=Decimal(100))
    async with running(markets=(banded, ETH)) as bench:
        maker = await bench.trader()
        assert error_of(await maker.place(BID, 9_800)) == "ORDER_EXECUTION_LIMIT_PRICE"
        assert error_of(await maker.place(BID, 9_950)) is None


async def test_every_error_can_be_injected_and_nothing_happens() -> None:
    async with running() as bench:
        maker = await bench.trader()
        for number in (*Error.values(), 60_000):
            bench.arm(FaultKind.ORDER_REFUSED, path="/action/orders/*", code=number)
            receipt = await maker.place(BID, 9_900)
            assert receipt.HasField("err")
            assert int(receipt.err) == number
        assert await maker.resting() == []


async def test_a_cause_can_have_another_number() -> None:
    async with running(codes={"ORDER_NOT_FOUND": 4_321}) as bench:
        maker = await bench.trader()
        assert error_of(await maker.cancel(5)) == "4321"
