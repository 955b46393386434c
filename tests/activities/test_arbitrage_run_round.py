"""A triangle: three pairs at once, and a leg that misses is completed or traded back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

from desk.arbitrage_ports import CapitalCap
from desk.arbitrage_records import TradeStage
from desk.units import Side
from flotilla.simulated.arbitrage import SPOT_ASSETS, triangle
from quoting.arbitrage.report import RunEnd, SetKind
from tests.activities.arbitrage_set import CAPS, LIMITS, RULES, SetDesk
from tests.activities.conftest import OpenDesk
from venues.ocx.simulator.settings import FlowKind
from venues.simulation.faults import Fault, FaultKind

PAIRS = ("BTC-USDC-SPOT", "ETH-USDC-SPOT", "ETH-BTC-SPOT")
_ALL = tuple(
    CapitalCap(scope=cap.scope, quote=quote, amount=cap.amount)
    for cap in CAPS
    for quote in ("USDC", "BTC", "ETH")
)


@asynccontextmanager
async def circle(
    open_desk: OpenDesk, *, min_lots: int | None = None, **changes: Any
) -> AsyncIterator[SetDesk]:
    markets = tuple(
        replace(one, flow=FlowKind.NONE, min_lots=min_lots or one.min_lots) for one in triangle()
    )
    environment = {"FLOTILLA_VENUE_OCX__SPOT_ROUTE": "perps"}
    async with open_desk(markets=markets, spot=SPOT_ASSETS, **environment) as desk:
        ports = desk.ports
        await ports.board.rearm([])
        memory = await ports.claims.memory()
        assert await ports.claims.rearm(await ports.trades.standing(), _ALL, memory)
        rules = replace(RULES, max_units=Decimal(3_000), max_capital=Decimal(10_000))
        rules = replace(rules, max_exposure=Decimal(10_000), min_edge=Decimal("0.002"))
        limits = replace(LIMITS, max_position=Decimal(1_000_000))
        given = {"kind": SetKind.TRIANGLE, "symbols": PAIRS, "rules": rules, "limits": limits}
        yield SetDesk(desk, **{**given, **changes})


def show(cup: SetDesk, btc_ask: str = "59000") -> None:
    """BTC is cheap in USDC: USDC > BTC > ETH > USDC pays."""
    cup.rest("BTC-USDC-SPOT", Side.BUY, ("58900", 100_000))
    cup.rest("BTC-USDC-SPOT", Side.SELL, (btc_ask, 100_000))
    cup.rest("ETH-USDC-SPOT", Side.BUY, ("2999", 100_000))
    cup.rest("ETH-USDC-SPOT", Side.SELL, ("3001", 100_000))
    cup.rest("ETH-BTC-SPOT", Side.BUY, ("0.04998", 100_000))
    cup.rest("ETH-BTC-SPOT", Side.SELL, ("0.05002", 100_000))


async def test_a_round_that_pays_goes_round_whole(open_desk: OpenDesk) -> None:
    async with circle(open_desk) as cup:
        show(cup)
        report = await cup.run()
        assert report.end is RunEnd.TRADED, report
        assert {(one["symbol"], one["side"]) for one in cup.orders()} == {
            ("BTC-USDC-SPOT", "buy"),
            ("ETH-BTC-SPOT", "buy"),
            ("ETH-USDC-SPOT", "sell"),
        }
        (trade,) = await cup.trades()
        assert (trade.stage, trade.locked) == (TradeStage.SETTLED, ())
        assert trade.edge is not None
        assert trade.edge > 20
        assert not report.standing.owes
        assert await cup.claims() == []


async def test_a_pair_that_vanished_is_completed(open_desk: OpenDesk) -> None:
    async with circle(open_desk) as cup:
        show(cup)
        cup.rest("ETH-BTC-SPOT", Side.SELL, ("0.0502", 100_000))
        cup.desk.venue.faults.add(Fault(kind=FaultKind.LEG_VANISHES, market="ETH-BTC-SPOT"))
        report = await cup.run()
        assert (report.end, report.standing.owes) == (RunEnd.TRADED, False), report
        by_leg = {one["symbol"]: one["lots"] for one in cup.orders()}
        assert cup.held == tuple(
            by_leg[symbol] * (-1 if symbol == "ETH-USDC-SPOT" else 1) for symbol in PAIRS
        )


async def test_a_pair_that_stays_away_has_the_others_traded_back(open_desk: OpenDesk) -> None:
    async with circle(open_desk) as cup:
        show(cup)
        cup.desk.venue.faults.add(Fault(kind=FaultKind.LEG_VANISHES, market="ETH-BTC-SPOT"))
        report = await cup.run()
        assert (report.end, report.standing.owes) == (RunEnd.TRADED, False), report
        assert cup.held == (0, 0, 0)
        (trade,) = await cup.trades()
        assert trade.stage is TradeStage.SETTLED
        assert trade.edge is not None
        assert trade.edge < 0
