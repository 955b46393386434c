"""The official client, unmodified, trades at the simulated venue as it would at the real one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from x10.clients.blocking.blocking_trading_client import BlockingTradingClient
from x10.clients.rest.rest_api_client import RestApiClient
from x10.clients.stream.stream_client import StreamClient
from x10.errors import ApiError, ApiNotAuthorizedError, ApiRateLimitError
from x10.models.asset import AssetOperationType
from x10.models.order import OrderSide, OrderStatus, TimeInForce
from x10.tools.orderbook import OrderBook

from desk.errors import ConfigurationFault
from desk.units import Side
from tests.venues.x10.simulator.bench import ACCOUNTS, BTC, TAKER, Bench, running, signer, until
from venues.simulation.faults import FaultKind
from venues.x10.simulator.server import X10Simulator
from venues.x10.simulator.settings import Answers, SeedAccount, SimulatorSettings

_FEE = Decimal("0.0005")
_QTY = Decimal("0.10")


@asynccontextmanager
async def client(bench: Bench) -> AsyncIterator[RestApiClient]:
    async with RestApiClient(bench.config, signer()) as rest:
        yield rest


async def _place(
    rest: RestApiClient, price: str, side: OrderSide = OrderSide.BUY, **more: Any
) -> str:
    answer = await rest.place_order("BTC-USD", _QTY, Decimal(price), side, _FEE, **more)
    assert answer.data is not None
    return answer.data.external_id


async def test_placing_replacing_and_both_ways_of_cancelling() -> None:
    async with running() as bench, client(bench) as rest:
        await _place(rest, "990", post_only=True, external_id="a-1")
        await _place(rest, "991", post_only=True, external_id="a-2", previous_order_id="a-1")
        (found,) = (await rest.account.get_open_orders(market_names=["BTC-USD"])).data or []
        assert (found.external_id, found.status, found.price) == ("a-2", "NEW", 991)
        assert found.id > 2**53
        await rest.orders.cancel_order(found.id)
        await _place(rest, "992", external_id="a-3")
        await rest.orders.cancel_order_by_external_id("a-3")
        assert (await rest.account.get_open_orders()).data == []
        (ended,) = (await rest.account.get_order_by_external_id("a-1")).data or []
        assert (ended.status, ended.status_reason) == ("CANCELLED", "ORDER_REPLACED")
        history = await rest.account.get_orders_history()
        assert [one.external_id for one in history.data or []] == ["a-3", "a-2", "a-1"]
        again = (await rest.account.get_order_by_id(found.id)).data
        assert again == next(one for one in history.data or [] if one.id == found.id)


@pytest.mark.parametrize("selector", ["order_ids", "external_order_ids", "markets", "cancel_all"])
async def test_mass_cancel_by_each_selector(selector: str) -> None:
    async with running() as bench, client(bench) as rest:
        first = await _place(rest, "990", external_id="m-1")
        await rest.place_order("ETH-USD", _QTY, Decimal(99), OrderSide.BUY, _FEE, external_id="e-1")
        (order,) = (await rest.account.get_open_orders(market_names=["BTC-USD"])).data or []
        chosen = {
            "order_ids": [order.id],
            "external_order_ids": [first],
            "markets": ["BTC-USD"],
            "cancel_all": True,
        }[selector]
        await rest.orders.mass_cancel(**{selector: chosen})
        left = 0 if selector == "cancel_all" else 1
        await until(lambda: len(bench.sim.engine.open_orders("maker")) == left)


async def test_an_account_reads_what_it_holds() -> None:
    async with running() as bench, client(bench) as rest:
        await bench.place("sell", "1000", "0.30", key=TAKER)
        await _place(rest, "1000", time_in_force=TimeInForce.IOC)
        (held,) = (await rest.account.get_positions()).data or []
        assert (held.side, held.size, held.open_price, held.leverage) == ("LONG", _QTY, 1000, 10)
        (fill,) = (await rest.account.get_trades(market_names=["BTC-USD"])).data or []
        assert (fill.price, fill.qty, fill.is_taker) == (1000, _QTY, True)
        assert fill.fee == Decimal("0.025")
        balance = (await rest.account.get_balance()).data
        assert balance is not None
        assert balance.balance == Decimal("99999.975")
        assert balance.initial_margin == 10
        (fees, _) = (await rest.account.get_fees()).data or []
        assert (fees.maker_fee_rate, fees.taker_fee_rate) == (0, Decimal("0.00025"))
        assert (await rest.account.get_positions_history()).data == []
        assert (await rest.account.get_spot_balances()).data == []


async def test_an_account_reads_its_money_in_and_out() -> None:
    async with running() as bench, client(bench) as rest:
        bench.sim.engine.treasury.deposit("maker", Decimal("500.25"))
        bench.sim.engine.treasury.withdraw("maker", Decimal(3))
        out, into = (await rest.account.asset_operations()).data or []
        assert (into.type, into.amount, into.status) == ("DEPOSIT", Decimal("500.25"), "COMPLETED")
        assert (out.type, out.amount, out.asset) == ("SLOW_WITHDRAWAL", -3, 1)
        wanted = [AssetOperationType.DEPOSIT]
        assert (await rest.account.asset_operations(operations_type=wanted)).data == [into]
        later = await rest.account.asset_operations(cursor=int(out.id), limit=1)
        assert later.data == [into]
        assert (await rest.account.asset_operations(start_time=out.time + 60_000)).data == []


async def test_leverage_is_read_changed_and_bounded() -> None:
    async with running() as bench, client(bench) as rest:
        await rest.account.update_leverage("BTC-USD", Decimal(20))
        chosen = (await rest.account.get_leverage(market_names=["BTC-USD"])).data or []
        assert [one.leverage for one in chosen] == [20]
        with pytest.raises(ApiError, match="1050"):
            await rest.account.update_leverage("BTC-USD", Decimal(51))
    async with running(answers=Answers(empty_leverage_body=True)) as bench, client(bench) as rest:
        assert (await rest.account.update_leverage("BTC-USD", Decimal(2))).data is None


async def test_an_account_without_money_has_no_balance() -> None:
    poor = replace(ACCOUNTS[0], collateral=Decimal(0))
    async with running(accounts=(poor,)) as bench, client(bench) as rest:
        with pytest.raises(ApiError, match="code 404"):
            await rest.account.get_balance()


async def test_public_information() -> None:
    async with running() as bench, client(bench) as rest:
        await _place(rest, "990")
        markets = await rest.info.get_markets(market_names=["ETH-USD", "BTC-USD"])
        assert [one.name for one in markets.data] == ["ETH-USD", "BTC-USD"]
        book = (await rest.info.get_orderbook_snapshot(market_name="BTC-USD")).data
        assert [(one.price, one.qty) for one in book.bid] == [(990, _QTY)]
        stats = (await rest.info.get_market_statistics(market_name="BTC-USD")).data
        assert (stats.bid_price, stats.mark_price, stats.ask_price) == (990, 1000, 0)
        now = datetime.now(UTC)
        funding = await rest.info.get_funding_rates_history(
            market_name="BTC-USD", start_time=now - timedelta(hours=1), end_time=now
        )
        assert funding.data == []
        candles = await rest.info.get_candles_history(
            market_name="BTC-USD", candle_type="trades", interval="PT1M", limit=5
        )
        assert candles.data == []
        assert (await rest.info.get_assets_dict())["USD"].is_collateral


async def test_who_the_client_is() -> None:
    async with running() as bench, client(bench) as rest:
        account = (await rest.account.get_account()).data
        assert account is not None
        assert (account.l2_vault, account.l2_key) == (10002, hex(ACCOUNTS[0].stark_public_key))
        assert len((await rest.account.get_accounts()).data or []) == 2
        assert (await rest.account.get_client()).data is not None


async def test_errors_as_the_client_sees_them() -> None:
    async with running() as bench, client(bench) as rest:
        with pytest.raises(ApiError, match='"code": ?1142'):
            await _place(rest, "990", previous_order_id="gone")
        bench.arm(FaultKind.RATE_LIMITED)
        with pytest.raises(ApiRateLimitError):
            await _place(rest, "990")
        bench.arm(FaultKind.SESSION_EXPIRED)
        with pytest.raises(ApiNotAuthorizedError):
            await _place(rest, "990")
    async with running(answers=Answers(error_status=200)) as bench, client(bench) as rest:
        with pytest.raises(ApiError, match="code=1142"):
            await _place(rest, "990", previous_order_id="gone")


async def test_the_clients_order_book_follows_the_venues() -> None:
    async with running() as bench:
        await bench.place("buy", "990", "0.10")
        book = await OrderBook.create(bench.config, market_name="BTC-USD", start=True)
        try:
            await until(lambda: book.best_bid() is not None)
            await bench.place("buy", "991", "0.20")
            await bench.place("sell", "1001", "0.30")
            await until(lambda: book.best_ask() is not None)
            best = book.best_bid()
            assert best is not None
            assert best.price == 991
            assert best.amount == Decimal("0.20")
            bench.sim.world.crowd_trade("BTC-USD", Side.SELL, 25)
            await until(lambda: str(book.best_bid()) == "OrderBookEntry(price=990.0, amount=0.05)")
        finally:
            book.stop_orderbook()  # type: ignore[no-untyped-call]


async def test_the_top_of_the_book_and_public_trades() -> None:
    async with running() as bench:
        await bench.place("buy", "990")
        streams = StreamClient(api_url=bench.sim.stream_url)
        async with (
            streams.subscribe_to_orderbooks("BTC-USD", depth=1) as top,
            streams.subscribe_to_public_trades("BTC-USD") as trades,
            streams.subscribe_to_funding_rates("BTC-USD") as funding,
        ):
            assert (await top.recv()).type == "SNAPSHOT"
            assert (await funding.recv()).data.market == "BTC-USD"
            bench.sim.world.crowd_trade("BTC-USD", Side.SELL, 4)
            (trade,) = (await trades.recv()).data
            assert (trade.side, trade.price, trade.qty) == ("SELL", 990, Decimal("0.04"))
            assert trade.id > 2**53
            second = await top.recv()
            assert (second.type, second.data.bid[0].qty) == ("SNAPSHOT", Decimal("0.06"))


async def test_the_account_stream_tells_orders_trades_positions_and_balance() -> None:
    async with running() as bench, client(bench) as rest:
        streams = StreamClient(api_url=bench.sim.stream_url)
        async with streams.subscribe_to_account_updates("key-maker") as account:
            first = [await account.recv() for _ in range(3)]
            assert [one.type for one in first] == ["ORDER", "BALANCE", "POSITION"]
            assert [one.seq for one in first] == [1, 2, 3]
            name = await _place(rest, "990")
            placed = await account.recv()
            assert [one.external_id for one in placed.data.orders] == [name]
            bench.sim.world.crowd_trade("BTC-USD", Side.SELL, 10)
            kinds = [(await account.recv()) for _ in range(4)]
            assert [one.type for one in kinds] == ["ORDER", "TRADE", "POSITION", "BALANCE"]
            assert kinds[0].data.orders[0].status == OrderStatus.FILLED


async def test_the_blocking_client_places_and_cancels() -> None:
    async with running() as bench:
        blocking = await BlockingTradingClient.create(bench.config, signer())
        try:
            await until(lambda: _listeners(bench) == 2)
            placed = await blocking.create_and_place_order(
                "BTC-USD", _QTY, Decimal(990), OrderSide.BUY, _FEE, external_id="b-1"
            )
            assert (placed.external_id, placed.status) == ("b-1", "NEW")
            await blocking.cancel_order("b-1")
            assert await bench.resting() == []
        finally:
            await blocking.close()  # type: ignore[no-untyped-call]
            await _close_sessions(blocking)


def _listeners(bench: Bench) -> int:
    return bench.sim.world.outbox.listeners("maker")


async def _close_sessions(blocking: Any) -> None:
    """What the client leaves open."""
    for name in ("info", "orders"):
        module = getattr(blocking, f"_BlockingTradingClient__{name}_module")
        await module.close_session()


async def test_a_market_that_asks_for_quotes_takes_orders_at_its_own_path() -> None:
    async with running(markets=(replace(BTC, is_rfq=True),)) as bench, client(bench) as rest:
        assert await _place(rest, "990", external_id="r-1") == "r-1"


async def test_seeds_are_checked_and_keep_their_secrets() -> None:
    seed = SeedAccount(name="odd", api_key="hush", stark_public_key=5, vault=1)
    assert "hush" not in repr(seed)
    with pytest.raises(ConfigurationFault, match="stark_public_key"):
        async with X10Simulator(SimulatorSettings(accounts=(seed,)), random=Random(1)):
            await asyncio.sleep(0)
