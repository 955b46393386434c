"""A hedge's activities in a row, as its workflow calls them, on real parts."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

from temporalio.testing import ActivityEnvironment

from activities.hedge import HedgeActivities
from activities.hedge_messages import (
    HedgeLook,
    HedgePlan,
    HedgeSliceInput,
    OpenHedgeInput,
    WatchHedgeInput,
)
from desk.hedging import HedgeReceipt, HedgeRule, HedgeState
from desk.identity import MarketId
from desk.orders import Fill, Liquidity
from desk.records import HedgeObligation
from desk.risk.limits import RiskLimits
from desk.units import Side
from quoting.hedge import HedgeSliceReport
from tests.activities.conftest import MARKET, Desk

T = TypeVar("T")

HEDGE = MarketId("ocx", "main", "ETH-PERP")
BULK = "*/quotes/bulk"
PLAN = HedgePlan(
    source=MARKET,
    hedge=HEDGE,
    owner="hedge/test",
    rule=HedgeRule(threshold=Decimal("0.5"), release=Decimal("0.1")),
    slice_notional=Decimal(2_000),
    max_slippage_bps=Decimal(100),
    limits=RiskLimits(),
    check_every_s=1,
    lease_ttl_ms=15_000,
)


class Hedger:
    """The activities as the workflow calls them, one after the other."""

    def __init__(self, desk: Desk, plan: HedgePlan = PLAN) -> None:
        self.desk, self.plan = desk, plan
        self.activities = HedgeActivities(desk.ports)
        self.state, self.obligation, self.waived = HedgeState.WATCHING, None, 0
        self.epoch = self.step = self.id_epoch = 0
        self.receipt: HedgeReceipt | None = None
        self._trades = 0
        desk.venue.pump.set_quiet(HEDGE.symbol, quiet=True)

    @classmethod
    async def at_work(cls, desk: Desk, quantity: str = "0.6", plan: HedgePlan = PLAN) -> "Hedger":
        """A hedge that was opened, and so much held in its source market."""
        hedger = cls(desk, plan)
        await hedger.open()
        await hedger.hold(quantity)
        return hedger

    async def call(
        self, work: Callable[..., Awaitable[T]], request: object, *, attempt: int = 1
    ) -> T:
        environment = ActivityEnvironment(client=self.desk.client)
        environment.info = replace(environment.info, attempt=attempt)
        return await environment.run(work, request)

    async def open(self, *, attempt: int = 1) -> None:
        request = OpenHedgeInput(plan=self.plan, run_id="run")
        report = await self.call(self.activities.open_hedge, request, attempt=attempt)
        self.epoch = report.epoch

    async def watch(self, window_s: int = 0, **changes: Any) -> HedgeLook:
        known: dict[str, Any] = {
            "plan": self.plan,
            "epoch": self.epoch,
            "run_id": "run",
            "state": self.state,
            "obligation": self.obligation,
            "waived": self.waived,
            "window_s": window_s,
            "receipt": self.receipt,
        }
        request = WatchHedgeInput(**{**known, **changes})
        look = await self.call(self.activities.watch_hedge, request)
        self.state, self.obligation, self.epoch = look.state, look.obligation, look.epoch  # type: ignore[assignment]
        self.waived, self.receipt = look.waived, look.receipt
        return look

    async def send(self, look: HedgeLook, *, attempt: int = 1) -> HedgeSliceReport:
        self.id_epoch = self.id_epoch or look.epoch
        request = HedgeSliceInput(
            plan=self.plan,
            epoch=look.epoch,
            step=self.step,
            position=look.position,
            lots=look.part_lots,
            reduce_only=look.reduce_only,
            id_epoch=self.id_epoch,
        )
        report = await self.call(self.activities.send_hedge_slice, request, attempt=attempt)
        while "the rate budget is used up" in report.outcome:  # a new budget is careful at first
            await asyncio.sleep(0.2)
            report = await self.call(self.activities.send_hedge_slice, request, attempt=attempt)
        self.receipt = report.receipt
        if report.spent:
            self.step, self.id_epoch = self.step + 1, 0
        return report

    async def work_off(self) -> HedgeLook:
        """Watch and send until nothing is left to send."""
        for _ in range(20):
            look = await self.watch()
            if not look.part_lots:
                return look
            report = await self.send(look)
        raise AssertionError(f"not worked off: {look} {report}")

    async def hold(self, quantity: str) -> None:
        """Have the ledger say that the source market holds so much."""
        ledger = self.desk.ports.ledger
        venue = await self.desk.ports.venues.venue("ocx", "main")
        listed = await venue.instruments()
        (instrument,) = [item for item in listed if item.symbol == MARKET.symbol]
        await ledger.remember_instrument(instrument)
        wanted = instrument.exact_lots(Decimal(quantity))
        change = wanted - (await ledger.facts(MARKET, 0)).position
        if not change:
            return
        self._trades += 1
        fill = Fill(
            venue="ocx",
            account="main",
            symbol=MARKET.symbol,
            trade_id=f"source-{self._trades}",
            side=Side.BUY if change > 0 else Side.SELL,
            price=600_000,
            lots=abs(change),
            liquidity=Liquidity.MAKER,
            fee=Decimal(0),
            fee_estimated=False,
            traded_at_ms=1_700_000_000_000 + self._trades,
        )
        assert await ledger.book_fills(MARKET, [fill]) == 1

    @property
    def held(self) -> int:
        """Lots the venue says we hold at the hedge market."""
        return self.desk.venue.engine.position("main", HEDGE.symbol).lots

    def orders(self) -> list[dict[str, Any]]:
        """Orders of ours that the venue took at the hedge market."""
        return [
            dict(event)
            for event in self.desk.venue.engine.events(0)
            if event["event"] == "OrderAccepted"
            and event["account"] == "main"
            and event["symbol"] == HEDGE.symbol
        ]

    async def open_obligation(self) -> HedgeObligation | None:
        return await self.desk.ports.hedges.open_for(HEDGE)

    async def last(self) -> HedgeObligation:
        return (await self.desk.ports.hedges.recent(MARKET, 1))[0]
