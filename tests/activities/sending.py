"""Orders of ours that rest or trade at the venue of a desk, sent past every session."""

import asyncio

from desk.identity import Slot
from desk.orders import Batch, NewOrder, OutcomeKind, TimeInForce
from desk.units import Side
from tests.activities.conftest import MARKET, Desk
from tests.support.approve import approve


async def send(desk: Desk, client_order_id: str, *, lots: int = 100, taking: bool = False) -> None:
    """Rest a bid far from the market, or buy at once."""
    venue = await desk.ports.venues.venue("ocx", "main")
    (instrument,) = [one for one in await venue.instruments() if one.symbol == MARKET.symbol]
    bids, asks = desk.venue.engine.book(MARKET.symbol, 1)
    bid, ask = bids[0][0], asks[0][0]
    order = NewOrder(
        client_order_id=client_order_id,
        slot=Slot(Side.BUY, 0),
        side=Side.BUY,
        price=ask * 101 // 100 if taking else bid * 98 // 100,
        lots=lots,
        time_in_force=TimeInForce.IOC if taking else TimeInForce.GTC,
        post_only=not taking,
    )
    batch = Batch(batch_id=client_order_id, symbol=MARKET.symbol, orders=(order,))
    approved = approve(batch, instrument, mid_x2=bid + ask)
    async with asyncio.timeout(30):
        # A request budget that was just begun grants no orders for its first seconds.
        while (outcome := await venue.execution.send(approved, instrument)).retry_after_s:
            await asyncio.sleep(outcome.retry_after_s)
    assert {one.kind for one in outcome.orders} == {OutcomeKind.ACCEPTED}, outcome
