"""The adapter against the simulated OCX: two readings of one reference must agree."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import httpx
import pytest

from desk.identity import Slot
from desk.instrument import Instrument
from desk.market import BookSnapshot, FeedEvent
from desk.orders import (
    AccountChange,
    AccountEvent,
    AccountSnapshot,
    Batch,
    Fill,
    NewOrder,
    OutcomeKind,
    RejectReason,
    TimeInForce,
)
from desk.ports import Venue
from desk.risk.approval import SEAL, Approved
from desk.units import Side
from tests.venues.ocx.scripted import SystemClock
from venues.ocx import build
from venues.ocx.signing import Secret, wallet_address
from venues.ocx.simulator.server import OcxSimulator
from venues.ocx.simulator.settings import (
    CredentialReading,
    ErrorStyle,
    FlowKind,
    SeedAccount,
    SimMarket,
    SimulatorSettings,
)

KEY = "ocx_sk_0123456789abcdef0123456789abcdef"
CROWD = "ocx_sk_fedcba9876543210fedcba9876543210"
WALLET = Secret("0x" + "22" * 32)


@dataclass(slots=True)
class Desk:
    """A venue, one instrument, and all that was heard of it."""

    venue: Venue
    instrument: Instrument
    feed: list[FeedEvent] = field(default_factory=list)
    account: list[AccountEvent] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def heard_feed(self, event: FeedEvent) -> None:
        self.feed.append(event)
        self.news.set()

    def heard_account(self, event: AccountEvent) -> None:
        self.account.append(event)
        self.news.set()

    @property
    def book(self) -> BookSnapshot | None:
        return next((event for event in self.feed if isinstance(event, BookSnapshot)), None)

    @property
    def synchronised(self) -> bool:
        return any(isinstance(event, AccountSnapshot) for event in self.account)

    @property
    def fills(self) -> list[Fill]:
        return [
            fill
            for event in self.account
            if isinstance(event, AccountSnapshot | AccountChange)
            for fill in event.fills
        ]

    async def until(self, seen: str) -> None:
        async with asyncio.timeout(10):
            while not getattr(self, seen):
                self.news.clear()
                await self.news.wait()

    def order(self, side: Side, price: int, **changes: object) -> NewOrder:
        given = {"client_order_id": f"t-{side}-{price}", "lots": 10, **changes}
        return NewOrder(slot=Slot(side, 0), side=side, price=price, **given)  # type: ignore[arg-type]

    def batch(self, *orders: NewOrder, replace_all: bool = True) -> Approved[Batch]:
        batch = Batch(
            batch_id=f"q-{orders[0].client_order_id}" if orders else "q-none",
            symbol=self.instrument.symbol,
            orders=orders,
            replace_all=replace_all,
        )
        return Approved(batch, seal=SEAL)


async def _open_market(base_url: str) -> None:
    """Somebody else quotes both sides, so that there is a book and somebody to trade with."""
    body = {
        "marketId": "BTC-PERP",
        "quoteId": "crowd",
        "cancelAll": True,
        "levels": [
            {"side": "buy", "price": "59990.0", "quantity": "1.0"},
            {"side": "sell", "price": "60010.0", "quantity": "1.0"},
        ],
    }
    async with httpx.AsyncClient(base_url=base_url, trust_env=False) as client:
        answer = await client.post("/perps/quotes/bulk", json=body, headers={"x-api-key": CROWD})
        assert answer.is_success, answer.text


@asynccontextmanager
async def desk(own: dict[str, object] | None = None, **switches: object) -> AsyncIterator[Desk]:
    ours = SeedAccount(name="main", api_key_secret=KEY, wallet_address=wallet_address(WALLET))
    settings = SimulatorSettings(
        accounts=(ours, SeedAccount(name="crowd", api_key_secret=CROWD)),
        markets=(
            SimMarket(
                symbol="BTC-PERP",
                price=Decimal(60_000),
                tick=Decimal("0.1"),
                lot=Decimal("0.0001"),
                flow=FlowKind.NONE,
            ),
        ),
        **switches,  # type: ignore[arg-type]
    )
    async with OcxSimulator(settings, random=random.Random(3)) as sim:
        await _open_market(sim.base_url)
        given = {"base_url": sim.base_url, **(own or {"api_key": KEY})}
        venue = build(given, account="main", clock=SystemClock(), random=random.Random(4))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(venue.run())]
            try:
                (instrument,) = await venue.instruments()
                seen = Desk(venue, instrument)
                tasks += [
                    group.create_task(venue.feed.run(instrument, seen.heard_feed)),
                    group.create_task(venue.account.run(instrument, seen.heard_account)),
                ]
                await seen.until("book")
                await seen.until("synchronised")
                yield seen
            finally:
                for task in tasks:
                    task.cancel()
                await venue.close()


@pytest.mark.parametrize("credentials", [{"api_key": KEY}, {"wallet_key": WALLET}])
async def test_a_ladder_rests_is_replaced_and_is_cancelled(credentials: dict[str, object]) -> None:
    async with desk(credentials) as seen:
        venue, instrument = seen.venue, seen.instrument
        assert seen.book is not None
        low = seen.book.bids[0][0] - 500
        first = await venue.execution.send(seen.batch(seen.order(Side.BUY, low)), instrument)
        assert [order.kind for order in first.orders] == [OutcomeKind.ACCEPTED]
        second = await venue.execution.send(seen.batch(seen.order(Side.BUY, low - 1)), instrument)
        assert second.old_gone is True
        (rests,) = await venue.account.open_orders(instrument)
        assert (rests.side, rests.price, rests.remaining) == (Side.BUY, low - 1, 10)
        assert rests.client_order_id == f"t-buy-{low - 1}"
        found = await venue.execution.find(instrument, f"t-buy-{low - 1}")
        assert found == rests
        assert await venue.execution.find(instrument, f"t-buy-{low}") is None
        assert (await venue.execution.cancel_all(instrument)).confirmed
        assert list(await venue.account.open_orders(None)) == []
        assert (await venue.execution.cancel(instrument, "never-sent")).confirmed


async def test_a_fill_has_one_id_on_the_stream_and_on_rest() -> None:
    async with desk() as seen:
        venue, instrument = seen.venue, seen.instrument
        assert seen.book is not None
        taking = seen.order(
            Side.BUY,
            seen.book.asks[0][0] + 200,
            time_in_force=TimeInForce.IOC,
            post_only=False,
        )
        outcome = await venue.execution.send(seen.batch(taking, replace_all=False), instrument)
        assert outcome.orders[0].kind is OutcomeKind.ACCEPTED
        await seen.until("fills")
        on_rest = await venue.account.fills(instrument, 0)
        assert {fill.trade_id for fill in seen.fills} == {fill.trade_id for fill in on_rest}
        assert sum(fill.lots for fill in on_rest) == 10
        position = await venue.account.position(instrument)
        assert position.lots == 10
        assert (await venue.account.balance()).equity > 0
        assert list(await venue.account.fills(instrument, on_rest[-1].traded_at_ms + 1)) == []


@pytest.mark.parametrize("style", list(ErrorStyle))
async def test_refusals_are_understood_in_both_styles(style: ErrorStyle) -> None:
    async with desk(error_style=style) as seen:
        venue, instrument = seen.venue, seen.instrument
        assert seen.book is not None
        low, high = seen.book.bids[0][0] - 500, seen.book.asks[0][0] + 500
        crossing = await venue.execution.send(seen.batch(seen.order(Side.BUY, high)), instrument)
        assert crossing.orders[0].reason is RejectReason.POST_ONLY
        big = seen.order(Side.BUY, low, lots=10**9)
        margin = await venue.execution.send(seen.batch(big), instrument)
        assert margin.orders[0].reason is RejectReason.MARGIN
        assert margin.old_gone is None
        known = await venue.execution.send(seen.batch(seen.order(Side.BUY, low)), instrument)
        assert known.orders[0].kind is OutcomeKind.ACCEPTED
        again = await venue.execution.send(
            seen.batch(seen.order(Side.BUY, low), replace_all=False), instrument
        )
        assert again.orders[0].kind is OutcomeKind.UNRESOLVED
        assert again.orders[0].reason is RejectReason.DUPLICATE


async def test_a_narrow_key_is_helped_out_by_a_session() -> None:
    both: dict[str, object] = {"api_key": KEY, "wallet_key": WALLET}
    async with desk(both, credentials=CredentialReading.NARROW) as seen:
        assert list(await seen.venue.account.open_orders(None)) == []
        assert (await seen.venue.account.balance()).equity > 0


async def test_the_clocks_agree_on_one_machine() -> None:
    async with desk() as seen:
        assert abs(await seen.venue.clock_offset_ms()) <= 1_500
