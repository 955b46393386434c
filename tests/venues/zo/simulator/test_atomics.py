"""Atomics: everything or nothing, in the order the venue asks for, and as one step for all."""

import pytest

from desk.units import Side as DeskSide
from tests.venues.zo.simulator.bench import (
    ASK,
    BID,
    IOC,
    LIMIT,
    TAKER,
    cancelling,
    error_of,
    placing,
    running,
)
from venues.simulation.hand import crowd_trade
from venues.zo.schema.nord_pb2 import Atomic, Subaction
from venues.zo.simulator.settings import Actions, Revision


async def test_results_stand_in_the_order_of_the_subactions() -> None:
    async with running() as bench:
        maker = await bench.trader()
        old = [await maker.rest(BID, 9_900, client_order_id=1), await maker.rest(ASK, 10_100)]
        receipt = await maker.atomic(
            cancelling(old[1]),
            cancelling(old[0]),
            placing(BID, 9_910, client_order_id=1),
            placing(ASK, 10_090, client_order_id=2),
        )
        results = receipt.atomic.results
        assert [one.WhichOneof("kind") for one in results] == [
            "cancel_order",
            "cancel_order",
            "place_order_result",
            "place_order_result",
        ]
        assert [one.cancel_order.order_id for one in results[:2]] == old[::-1]
        assert [one.place_order_result.client_order_id for one in results[2:]] == [1, 2]
        assert await maker.resting() == [("ask", 1_009.0, 0.1), ("bid", 991.0, 0.1)]


@pytest.mark.parametrize("takes", [False, True])
async def test_one_bad_subaction_leaves_everything_as_it_was(takes: bool) -> None:
    """Whether a part would trade decides how the engine foresees the rest."""
    async with running() as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        await taker.rest(ASK, 10_000, 50)
        order_id = await maker.rest(BID, 9_900)
        before = await bench.get("/account/1"), await bench.get("/market/0/orderbook")
        trade = [placing(BID, 10_000, 50, IOC)] if takes else []
        receipt = await maker.atomic(
            cancelling(order_id),
            *trade,
            placing(BID, 9_910),
            placing(BID, 10_010 if not takes else 9_000, 100 if not takes else 9_999_999),
        )
        assert error_of(receipt) == (
            "RISK_OMF_LESS_THAN_OR_EQUAL_IMF"
            if takes
            else "POST_ONLY_MUST_NOT_FILL_ANY_OPPOSITE_ORDERS"
        )
        assert (await bench.get("/account/1"), await bench.get("/market/0/orderbook")) == before
        assert bench.events("Trade", "OrderCancelled") == []


async def test_a_batch_that_trades_goes_through_whole() -> None:
    async with running() as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        await taker.rest(ASK, 10_000, 50)
        order_id = await maker.rest(BID, 9_900)
        receipt = await maker.atomic(
            cancelling(order_id),
            placing(BID, 10_000, 80, IOC),
            placing(BID, 9_990),
            placing(ASK, 10_000, 10, LIMIT),
        )
        fills = [len(one.place_order_result.fills) for one in receipt.atomic.results[1:]]
        assert (error_of(receipt), fills) == (None, [1, 0, 0])
        assert await maker.resting() == [("ask", 1_000.0, 0.01), ("bid", 999.0, 0.1)]


async def test_a_filled_order_sinks_the_batch_that_cancels_it() -> None:
    async with running() as bench:
        maker = await bench.trader()
        order_id = await maker.rest(BID, 9_900)
        crowd_trade(bench.sim.engine, "BTCUSD", DeskSide.SELL, 100, None)
        receipt = await maker.atomic(cancelling(order_id), placing(BID, 9_890))
        assert error_of(receipt) == "ORDER_NOT_FOUND"
        assert await maker.resting() == []


async def test_margin_is_judged_for_the_whole_batch_over_all_markets() -> None:
    async with running() as bench:
        maker = await bench.trader()
        old = await maker.rest(BID, 10_000, 900_000)
        swapped = await maker.atomic(cancelling(old), placing(BID, 10_000, 400_000, market_id=1))
        assert error_of(swapped) is None
        both = await maker.atomic(
            placing(BID, 10_000, 400_000), placing(BID, 10_000, 400_000, market_id=1)
        )
        assert error_of(both) == "RISK_OMF_LESS_THAN_OR_EQUAL_IMF"
        assert len(await maker.resting()) == 1


async def test_phases_hold_in_each_market_and_markets_may_mix() -> None:
    async with running() as bench:
        maker = await bench.trader()
        order_id = await maker.rest(BID, 9_900)
        place, trade = placing(BID, 9_000), placing(BID, 9_000, mode=IOC)
        cancel = cancelling(order_id)
        for parts, name in (
            ((place, cancel), "ATOMICS_CANCELS_CANNOT_FOLLOW_TRADES_PLACES"),
            ((trade, cancel), "ATOMICS_CANCELS_CANNOT_FOLLOW_TRADES_PLACES"),
            ((place, trade), "ATOMICS_TRADES_CANNOT_FOLLOW_PLACES"),
        ):
            assert error_of(await maker.atomic(*parts)) == name
        mixed = await maker.atomic(placing(BID, 9_000, market_id=1), cancel, place)
        assert error_of(mixed) is None


async def test_the_count_is_bounded_by_the_server() -> None:
    for most in (4, 10):
        async with running(actions=Actions(max_subactions=most)) as bench:
            maker = await bench.trader()
            parts = [placing(BID, 9_000 + place) for place in range(most + 1)]
            assert error_of(await maker.atomic(*parts)) == "ATOMICS"
            assert error_of(await maker.atomic()) == "ATOMICS"
            assert error_of(await maker.atomic(*parts[:most])) is None


async def test_the_oldest_schema_has_other_numbers() -> None:
    async with running(revision=Revision.R2025_12) as bench:
        maker = await bench.trader()
        order_id = await maker.rest(BID, 9_900)
        receipt = await maker.atomic(placing(BID, 9_000), cancelling(order_id))
        assert int(receipt.err) == 257


async def test_a_subaction_must_say_something() -> None:
    async with running() as bench:
        maker = await bench.trader()
        message = Atomic(session_id=maker.session_id, account_id=1, actions=[Subaction()])
        assert error_of(await maker.send(atomic=message)) == "DECODE_FAILURE_DOMAIN"


async def test_a_client_id_is_free_again_within_the_batch_that_cancels_it() -> None:
    async with running() as bench:
        maker = await bench.trader()
        order_id = await maker.rest(BID, 9_900, client_order_id=5)
        twice = [placing(BID, 9_000, client_order_id=6), placing(BID, 9_010, client_order_id=6)]
        assert error_of(await maker.atomic(*twice)) == "REPEATED_ORDER_ID"
        again = await maker.atomic(cancelling(order_id), placing(BID, 9_000, client_order_id=5))
        assert error_of(again) is None
