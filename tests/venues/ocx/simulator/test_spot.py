"""Spot pairs over the wire: what the list, the wallet and refusals say of currencies."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from desk.errors import ConfigurationFault
from tests.venues.ocx.simulator.bench import ACCOUNTS, TAKER, Bench, running
from tests.venues.ocx.simulator.test_outcomes import crowd, listed, take
from venues.ocx.simulator.settings import FlowKind, SimMarket

ORDERS = "/perps/orders"
OWNED = {"USDC": Decimal(90_000), "BTC": Decimal(1), "ETH": Decimal(20)}
RICH = tuple(replace(one, spot=OWNED) for one in ACCOUNTS)


def pair(base: str, quote: str, price: str, tick: str, lot: str) -> SimMarket:
    return SimMarket(
        symbol=f"{base}-{quote}-SPOT",
        price=Decimal(price),
        tick=Decimal(tick),
        lot=Decimal(lot),
        flow=FlowKind.NONE,
        base=base,
        quote=quote,
        spot=True,
    )


BTC = pair("BTC", "USDC", "60000", "0.1", "0.0001")
ETH = pair("ETH", "USDC", "3000", "0.01", "0.001")
CROSS = pair("ETH", "BTC", "0.05", "0.00001", "0.001")
PAIRS = (BTC, ETH, CROSS)


async def wallet(bench: Bench) -> dict[tuple[str, str], tuple[Decimal, Decimal]]:
    """Total and locked by bucket and asset."""
    rows = (await bench.get("/wallet/assets", TAKER)).json()
    return {
        (row["bucket"], row["asset"]): (Decimal(row["total"]), Decimal(row["locked"]))
        for row in rows
    }


async def test_the_list_names_both_currencies() -> None:
    async with running(markets=PAIRS, accounts=RICH) as bench:
        shown = await listed(bench, "ETH-BTC-SPOT")
        assert (shown["baseSymbol"], shown["quoteSymbol"]) == ("ETH", "BTC")
        assert (shown["base"], shown["quote"]) == ("ETH", "BTC")
        assert (shown["marketType"], shown["type"]) == ("spot", "spot")


async def test_a_trade_moves_two_currencies_and_no_collateral() -> None:
    async with running(markets=PAIRS, accounts=RICH) as bench:
        await crowd(bench, "ETH-BTC-SPOT", ("sell", "0.05000", "4"))
        order = take("ETH-BTC-SPOT", "0.05000", "4")
        assert (await bench.post(ORDERS, order, TAKER)).json()["filledQuantity"] == "4.000"
        seen = await wallet(bench)
        assert seen["spot", "ETH"] == (Decimal(24), Decimal(0))
        paid = Decimal("0.2") * Decimal("1.0005")
        assert seen["spot", "BTC"] == (1 - paid, Decimal(0))
        assert seen["spot", "USDC"] == (Decimal(90_000), Decimal(0))
        assert seen["perps", "USDC"] == (Decimal(100_000), Decimal(0))
        (trade,) = (await bench.get("/perps/trades", TAKER)).json()
        assert Decimal(trade["fee"]) == Decimal("0.0001")
        (held,) = (await bench.get("/perps/positions", TAKER)).json()
        assert (held["marketId"], held["quantity"]) == ("ETH-BTC-SPOT", "4.000")
        whole = (await bench.get("/portfolio/me", TAKER)).json()
        assert (whole["positions"], whole["equity"]) == ([], "100000")


async def test_what_rests_is_locked_and_no_more_can_be_sold() -> None:
    async with running(markets=PAIRS, accounts=RICH) as bench:
        rest: dict[str, Any] = {"timeInForce": "gtc"}
        selling = take("ETH-USDC-SPOT", "3300.00", "15", "sell", **rest)
        assert (await bench.post(ORDERS, selling, TAKER)).status_code == 201
        assert (await wallet(bench))["spot", "ETH"] == (Decimal(20), Decimal(15))
        more = take("ETH-BTC-SPOT", "0.06000", "6", "sell", **rest)
        refused = await bench.post(ORDERS, more, TAKER)
        assert (refused.status_code, refused.json()["error"]) == (422, "INSUFFICIENT_MARGIN")
        assert "ETH" in refused.json()["message"]
        fits = take("ETH-BTC-SPOT", "0.06000", "5", "sell", **rest)
        assert (await bench.post(ORDERS, fits, TAKER)).status_code == 201
        rows = (await bench.get("/portfolio/balances", TAKER)).json()["assets"]
        assert {row["asset"]: row["available"] for row in rows} == {
            "USDC": "190000",
            "BTC": "1",
            "ETH": "0",
        }


async def test_money_comes_into_the_spot_bucket_by_a_transfer() -> None:
    async with running(markets=PAIRS) as bench:
        buying = take("BTC-USDC-SPOT", "60000.0", "0.5", timeInForce="gtc")
        assert (await bench.post(ORDERS, buying, TAKER)).status_code == 422
        move = {"from": "perps", "to": "spot", "amount": "30015"}
        assert (await bench.post("/wallet/transfer", move, TAKER)).status_code == 200
        assert (await bench.post(ORDERS, buying, TAKER)).status_code == 201
        back = {"from": "spot", "to": "perps", "amount": "1"}
        assert (await bench.post("/wallet/transfer", back, TAKER)).status_code == 400


async def test_crowds_keep_three_pairs_consistent_until_an_edge_is_opened() -> None:
    crowded = tuple(replace(one, flow=FlowKind.SYNTHETIC) for one in PAIRS)
    async with running(markets=crowded, accounts=RICH) as bench:

        def best(market: SimMarket) -> tuple[Decimal, Decimal]:
            bids, asks = bench.sim.engine.book(market.symbol, 1)
            return bids[0][0] * market.tick, asks[0][0] * market.tick

        def round_trip() -> Decimal:
            """USDC to BTC to ETH to USDC."""
            return best(ETH)[0] / (best(BTC)[1] * best(CROSS)[1])

        def other_way() -> Decimal:
            return best(BTC)[0] * best(CROSS)[0] / best(ETH)[1]

        for _ in range(5):
            await asyncio.sleep(0.1)
            assert round_trip() < 1
            assert other_way() < 1
        await bench.post(
            "/_sim/faults", {"kind": "edge", "market": CROSS.symbol, "amount": "0.0005", "for_s": 9}
        )
        async with asyncio.timeout(5):
            while round_trip() < Decimal("1.005"):
                await asyncio.sleep(0.02)
        assert other_way() < 1


async def test_pairs_nobody_can_value_are_told_in_one_sentence() -> None:
    lost = replace(CROSS, flow=FlowKind.SYNTHETIC)
    with pytest.raises(ConfigurationFault, match="BTC-USDC-SPOT"):
        async with running(markets=(replace(ETH, flow=FlowKind.SYNTHETIC), lost)):
            pass
