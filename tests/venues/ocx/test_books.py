"""Where the books of OCX could go wrong: rebates, hidden changes, orders nobody of ours placed."""

from decimal import Decimal

import httpx

from desk.identity import MarketId, OrderIdentity, Slot
from desk.orders import Liquidity, TimeInForce
from desk.units import Side
from tests.venues.conformance.stage import Stage, eventually, heard_fills
from tests.venues.ocx.harness import OcxHarness, ocx_harness
from venues.ocx.simulator.settings import Money

IDENTITY = OrderIdentity(
    tag=MarketId("ocx", "main", "BTC-PERP").tag, epoch=3, cycle=7, slot=Slot(Side.BUY, 0)
)

_SHOWN = Decimal("0.0000001")
"""The venue shows eight decimals of every fee."""


async def pull(harness: OcxHarness, lever: str, **body: object) -> None:
    async with httpx.AsyncClient(base_url=harness.base_url, trust_env=False) as http:
        (await http.post(f"/_sim/{lever}", json=body)).raise_for_status()


async def test_a_rebate_is_a_negative_fee_in_the_history_and_in_the_estimate() -> None:
    money = Money(maker_bps=Decimal("-0.5"), taker_bps=Decimal(5))
    async with ocx_harness(money) as harness:
        stage = Stage(harness)
        await stage.still()
        async with stage.account() as ear:
            order = await stage.place_inside(Side.BUY)
            await stage.hit(order, order.lots)
            bid, _ = await stage.touch()
            leaving = stage.order(
                Side.SELL, bid - 20, order.lots, post_only=False, time_in_force=TimeInForce.IOC
            )
            await stage.send(leaving, position=order.lots)
            await ear.until(lambda said: len(heard_fills(said)) == 2, "both fills")
            told = await harness.venue.account.fills(harness.instrument, 0)
        fees = {fill.liquidity: fill.fee for fill in told}
        assert fees[Liquidity.MAKER] < 0 < fees[Liquidity.TAKER]
        assert abs(sum(fees.values()) - harness.levers.fees()) < _SHOWN
        for fill in heard_fills(ear.events).values():
            assert fill.fee_estimated
            assert fill.fee * fees[fill.liquidity] > 0


async def test_an_order_nobody_of_ours_placed_is_listed_under_an_id_of_our_form() -> None:
    async with ocx_harness() as harness:
        stage = Stage(harness)
        bid, _ = await stage.still()
        await pull(
            harness,
            "order",
            account="main",
            marketId="BTC-PERP",
            side="buy",
            quantity="0.0007",
            price=str(harness.instrument.price(bid - 50)),
            clientOrderId=IDENTITY.encode(),
        )
        (found,) = await harness.venue.account.open_orders(None)
        assert found.client_order_id is not None
        assert OrderIdentity.decode(found.client_order_id) == IDENTITY
        assert (found.remaining, found.price) == (7, bid - 50)
        cancelled = await harness.venue.execution.cancel(harness.instrument, IDENTITY.encode())
        assert cancelled.confirmed
        assert await harness.open_orders() == []


async def test_money_moves_by_hand_show_in_equity_and_nowhere_else() -> None:
    async with ocx_harness() as harness:
        equity = (await harness.venue.account.balance()).equity
        await pull(harness, "deposit", account="main", amount="100")
        await pull(harness, "withdraw", account="main", amount="40.5")
        await pull(harness, "balance", account="main", amount="-9")
        (endpoint, *_) = await harness.venue.account.views()
        assert endpoint.equity == equity + Decimal("50.5")
        assert await harness.venue.account.payments(0) == ()


async def test_a_hidden_position_reaches_the_stream_with_its_next_word() -> None:
    async with ocx_harness() as harness:
        stage = Stage(harness)
        await stage.still()
        symbol = harness.instrument.symbol
        async with stage.account():
            await pull(
                harness, "position", account="main", marketId=symbol, quantity="-0.0020", told=False
            )
            parted = [dict(view.positions) for view in await harness.venue.account.views()]
            assert parted == [{symbol: -20}, {}]
            order = await stage.place_inside(Side.BUY)
            await stage.hit(order, stage.unit)
            await eventually(
                harness.venue.account.views,
                lambda views: [dict(view.positions) for view in views] == [{symbol: -19}] * 2,
            )
