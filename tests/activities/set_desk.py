"""A set of two outcomes on the real parts, as its activities meet it at the beginning."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from temporalio.client import Client

from activities.arbitrage import ArbitrageActivities
from activities.arbitrage_messages import OpenSetInput, OpenSetReport, SetPlan
from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage_records import FiredLeg, HeldCapital, TradeFired, TradeKey, TradeStage
from desk.identity import MarketId, OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import Batch, NewOrder, OutcomeKind, TimeInForce
from desk.risk.limits import RiskLimits
from desk.units import Side
from flotilla.simulated.arbitrage import outcome_set, triangle
from infra.postgres.engine import open_database
from quoting.arbitrage.report import SetKind
from tests.activities.conftest import Desk
from tests.support.approve import approve
from venues.ocx.simulator.settings import DEFAULT_MARKETS
from venues.simulation.orders import OrderRequest

MARKETS = (*DEFAULT_MARKETS, *outcome_set("EVENT1", 2), *triangle())
CAPS = "fleet=1000 USDC, account:ocx/main=800 USDC, set=500 USDC"
ONE, TWO = MarketId("ocx", "main", "EVENT1-OUT1"), MarketId("ocx", "main", "EVENT1-OUT2")
OWNER = "arbitrage/event1/run-1"
PLAN = SetPlan(
    name="event1",
    kind=SetKind.OUTCOME_SET,
    legs=(ONE, TWO),
    owner=OWNER,
    rules=ArbitrageRules(
        max_units=Decimal(100), max_capital=Decimal(100), max_exposure=Decimal(20)
    ),
    limits=RiskLimits(collar_bps=Decimal(5_000)),
    rounds=4,
)
RIVALS = ("market/", "flatten/")


async def open_set(desk: Desk, plan: SetPlan = PLAN, **ports: Any) -> OpenSetReport:
    """Ask as the workflow does."""
    activities = ArbitrageActivities(replace(desk.ports, **ports))
    request = OpenSetInput(plan=plan, run_id="run-1", rivals=RIVALS)
    return await desk.run(activities.open_set, request)


async def listed(desk: Desk, market: MarketId) -> Instrument:
    """The instrument, as the venue lists it."""
    venue = await desk.ports.venues.venue(market.venue, market.account)
    return next(one for one in await venue.instruments() if one.symbol == market.symbol)


async def buy(desk: Desk, market: MarketId, lots: int) -> None:
    """Hold a position at the venue, and have it in the ledger."""
    venue, instrument = await desk.ports.venues.venue("ocx", "main"), await listed(desk, market)
    bids, asks = desk.venue.engine.book(market.symbol, 10)
    identity = OrderIdentity(tag=market.tag, epoch=1, cycle=1, slot=Slot(Side.BUY, 0)).encode()
    order = NewOrder(
        client_order_id=identity,
        slot=Slot(Side.BUY, 0),
        side=Side.BUY,
        price=asks[-1][0],  # the best ask may be gone by the time the order arrives
        lots=lots,
        time_in_force=TimeInForce.IOC,
        post_only=False,
    )
    batch = Batch(batch_id=identity, symbol=market.symbol, orders=(order,))
    approved = approve(batch, instrument, mid_x2=bids[0][0] + asks[0][0])
    async with asyncio.timeout(30):
        # A request budget that was just begun grants no orders for its first seconds.
        while (outcome := await venue.execution.send(approved, instrument)).retry_after_s:
            await asyncio.sleep(outcome.retry_after_s)
    assert {one.kind for one in outcome.orders} == {OutcomeKind.ACCEPTED}, outcome
    await desk.ports.ledger.remember_instrument(instrument)
    async with asyncio.timeout(20):
        while not (fills := await venue.account.fills(instrument, 0)):
            await asyncio.sleep(0.05)
    await desk.ports.ledger.book_fills(market, fills)


def by_hand(desk: Desk, symbol: str, side: Side, lots: int, client_order_id: str = "") -> None:
    """An order at whatever price, with an id that is none of ours unless one is given."""
    bids, asks = desk.venue.engine.book(symbol, 10)
    price = bids[-1][0] if side is Side.SELL else asks[-1][0]
    desk.venue.engine.submit(
        "main",
        OrderRequest(
            symbol=symbol,
            side=side,
            lots=lots,
            price=price,
            time_in_force=TimeInForce.IOC,
            client_order_id=client_order_id or None,
        ),
    )


async def fired(desk: Desk, lots: int, *, stage: TradeStage = TradeStage.FIRED) -> TradeKey:
    """A trade of the set on record, that meant to buy so many lots of each leg."""
    trades = desk.ports.trades
    epoch = await trades.open_set("event1", "outcome_set", (), OWNER, "run-1", beyond=0)
    key = TradeKey("event1", epoch, 1)
    await trades.opened(
        TradeFired(
            key=key,
            quote="USDC",
            units=Decimal(lots),
            legs=tuple(
                FiredLeg(market=leg, side=Side.BUY, lots=lots, limit=500, client_order_id=leg.tag)
                for leg in (ONE, TWO)
            ),
            capital=(HeldCapital(venue="ocx", account="main", quote="USDC", amount=Decimal(lots)),),
            edge_expected=Decimal(1),
            payout_expected=Decimal(lots),
            by=OWNER,
            fired_at_ms=1_700_000_000_000,
        )
    )
    if stage is TradeStage.SETTLED:
        await trades.settled(key, payout=Decimal(0), edge=Decimal(0), by="ana", reason="paid")
    return key


@asynccontextmanager
async def running(client: Client, workflow_id: str) -> AsyncIterator[None]:
    """A workflow that is open under this id; nobody serves it."""
    handle = await client.start_workflow("Any", id=workflow_id, task_queue=str(uuid.uuid4()))
    try:
        yield
    finally:
        await handle.terminate()


async def rows(database_url: str, query: str) -> list[tuple[object, ...]]:
    """What the ledger says."""
    database = open_database(database_url)
    try:
        found = await database.transaction(lambda connection: connection.execute(text(query)))
        return [tuple(row) for row in found]
    finally:
        await database.close()


async def decisions(database_url: str) -> list[tuple[object, ...]]:
    """Kind, symbol, who and why of every decision on record, oldest first."""
    query = "SELECT kind, symbol, decided_by, reason FROM control_decisions ORDER BY id"
    return await rows(database_url, query)
