"""What the cases share: ladders that rest, somebody who trades with them, ears on the streams.

Nothing here sleeps and hopes: it looks again until it is true, or says what it saw last.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Generic, TypeVar

from desk.identity import OrderIdentity, Slot
from desk.market import BookDelta, BookSnapshot, FeedEvent
from desk.orders import (
    AccountChange,
    AccountEvent,
    AccountSnapshot,
    Batch,
    BatchOutcome,
    Fill,
    NewOrder,
    OrderUpdate,
    OutcomeKind,
    TimeInForce,
    VenueOrder,
)
from desk.units import Level, Lots, Side, Ticks
from tests.support.approve import approve
from tests.venues.conformance.harness import Harness

PATIENCE_S = 10.0
_FAR_BPS = 50
_PLACED_INSIDE = 3
"""From the best price at which a resting order stays out of the way however long a case takes."""

E = TypeVar("E")
T = TypeVar("T")


class Ear(Generic[E]):
    """Everything a stream said, in order."""

    def __init__(self) -> None:
        self.events: list[E] = []
        self._news = asyncio.Event()

    def hear(self, event: E) -> None:
        self.events.append(event)
        self._news.set()

    async def until(self, true: Callable[[list[E]], bool], what: str) -> None:
        """Wait until it is true of all events so far."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not true(self.events):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"never heard {what}; last events: {self.events[-5:]}") from None

    async def hears(self, kind: type[E] | tuple[type[E], ...], after: int = 0) -> int:
        """Wait for an event of a kind at this place or later; its place."""
        await self.until(
            lambda events: any(isinstance(event, kind) for event in events[after:]), str(kind)
        )
        places = enumerate(self.events)
        return next(i for i, event in places if i >= after and isinstance(event, kind))


class Stage:
    """A harness with hands: sends, trades and listens for one case."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.venue = harness.venue
        self.instrument = harness.instrument
        self._tag = "conform"
        self._cycle = 0

    async def touch(self) -> tuple[Ticks, Ticks]:
        """Best bid and ask, once somebody else quotes both sides."""
        bids, asks = await eventually(self.harness.book, lambda book: bool(book[0] and book[1]))
        return bids[0][0], asks[0][0]

    async def still(self) -> tuple[Ticks, Ticks]:
        """Best bid and ask of a market in which nobody else moves any more."""
        await self.touch()
        await self.harness.quiet()
        return await self.touch()

    def order(
        self,
        side: Side,
        price: Ticks,
        lots: Lots | None = None,
        *,
        level: int = 0,
        client_order_id: str | None = None,
        time_in_force: TimeInForce = TimeInForce.GTC,
        post_only: bool = True,
        reduce_only: bool = False,
        replaces: str | None = None,
    ) -> NewOrder:
        """An order with an id of ours."""
        slot = Slot(side, level)
        identity = OrderIdentity(
            tag=self._tag, epoch=1, cycle=self._cycle, slot=slot, exit=reduce_only
        )
        return NewOrder(
            client_order_id=client_order_id or identity.encode(),
            slot=slot,
            side=side,
            price=price,
            lots=self.size() if lots is None else lots,
            time_in_force=time_in_force,
            post_only=post_only,
            reduce_only=reduce_only,
            replaces=replaces,
        )

    @property
    def unit(self) -> Lots:
        """The smallest size somebody can trade with us."""
        return self.instrument.min_lots

    def size(self) -> Lots:
        """A size every venue takes, divisible for partial fills."""
        return max(4, 4 * self.instrument.min_lots)

    async def ladder(self, levels: int = 2) -> tuple[NewOrder, ...]:
        """Orders out of the way on both sides, under new ids."""
        self._cycle += 1
        bid, ask = await self.touch()
        far = bid * _FAR_BPS // 10_000
        sides = ((Side.BUY, bid - far, -1), (Side.SELL, ask + far, 1))
        return tuple(
            self.order(side, start + step * (level + self._cycle), level=level)
            for side, start, step in sides
            for level in range(levels)
        )

    async def send(
        self,
        *orders: NewOrder,
        replace_all: bool = False,
        cancels: Sequence[str] = (),
        position: Lots = 0,
    ) -> BatchOutcome:
        """Send one batch through the gate and wait for its outcome."""
        self._cycle += 1
        batch = Batch(
            batch_id=f"{self._tag}-{self._cycle}",
            symbol=self.instrument.symbol,
            orders=orders,
            cancels=tuple(cancels),
            replace_all=replace_all,
        )
        bid, ask = await self.touch()
        approved = approve(batch, self.instrument, mid_x2=bid + ask, position=position)
        return await self.venue.execution.send(approved, self.instrument)

    async def close(
        self, side: Side, lots: Lots, *, position: Lots, client_order_id: str | None = None
    ) -> BatchOutcome:
        """Ask the venue to close so much of the position."""
        self._cycle += 1
        bid, ask = await self.touch()
        order = self.order(
            side,
            bid if side is Side.SELL else ask,
            lots,
            client_order_id=client_order_id,
            time_in_force=TimeInForce.IOC,
            post_only=False,
            reduce_only=True,
        )
        batch = Batch(
            batch_id=order.client_order_id, symbol=self.instrument.symbol, orders=(order,)
        )
        approved = approve(batch, self.instrument, mid_x2=bid + ask, position=position)
        return await self.venue.execution.close(approved, self.instrument)

    async def place(self, *orders: NewOrder) -> BatchOutcome:
        """Send orders that must be accepted."""
        outcome = await self.send(*orders)
        assert [one.kind for one in outcome.orders] == [OutcomeKind.ACCEPTED] * len(orders), outcome
        if self.venue.capabilities.pushes_order_updates:
            placed = {order.client_order_id for order in orders}
            await eventually(self.really_resting, lambda resting: placed <= resting)
        return outcome

    def calls(self, orders: Sequence[NewOrder]) -> int:
        """How many calls a batch of these orders is, so that a fault can strike each of them."""
        return 1 if self.venue.capabilities.atomic_ladder else len(orders)

    async def place_inside(self, side: Side, lots: Lots | None = None) -> NewOrder:
        """A resting order that is first in line: alone at the best price there is room for.

        Where the other side came nearer while it was on its way, it is tried again.
        """
        for _ in range(_PLACED_INSIDE - 1):
            with suppress(AssertionError):
                return await self._placed_inside(side, lots)
        return await self._placed_inside(side, lots)

    async def _placed_inside(self, side: Side, lots: Lots | None) -> NewOrder:
        self._cycle += 1
        bids, asks = await self.harness.book()
        taken = {price for price, _ in (*bids, *asks)}
        best = asks[0][0] - 1 if side is Side.BUY else bids[0][0] + 1
        price = next(p for k in range(200) if (p := best - side.sign * k) not in taken)
        order = self.order(side, price, lots)
        await self.place(order)
        return order

    async def hit(self, order: NewOrder, lots: Lots) -> None:
        """Have somebody fill so many lots of our resting order, and whoever stands before it."""
        bids, asks = await self.harness.book()
        own = bids if order.side is Side.BUY else asks
        before = sum(size for price, size in own if (price - order.price) * order.side.sign > 0)
        traded = await self.harness.trade(order.side.opposite, before + lots, order.price)
        assert traded == before + lots

    async def cancel_all(self) -> None:
        """Take away what rests; one that is only acknowledged is over when this returns."""
        await self.venue.execution.cancel_all(self.instrument)
        await asyncio.sleep(self.venue.capabilities.settling_ms / 1_000)

    async def resting(self) -> dict[str | None, VenueOrder]:
        """What the adapter lists, by client order id."""
        listed = await self.venue.account.open_orders(self.instrument)
        return {order.client_order_id: order for order in listed}

    async def really_resting(self) -> set[str | None]:
        """Client order ids of what really rests."""
        return {order.client_order_id for order in await self.harness.open_orders()}

    async def rests(self, names: Iterable[str]) -> None:
        """Exactly these orders really rest, and are listed: at once, or after a short while where
        a venue's answer only acknowledges.
        """
        expected = set(names)

        async def both() -> tuple[set[str | None], set[str | None]]:
            return await self.really_resting(), set(await self.resting())

        if self.venue.capabilities.pushes_order_updates:
            await eventually(both, lambda seen: seen == (expected, expected))
        assert await both() == (expected, expected)

    @asynccontextmanager
    async def feed(self) -> AsyncIterator[Ear[FeedEvent]]:
        """The book stream, once it gave its first snapshot."""
        ear: Ear[FeedEvent] = Ear()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.venue.feed.run(self.instrument, ear.hear))
            await ear.hears(BookSnapshot)
            yield ear
            task.cancel()

    @asynccontextmanager
    async def account(self) -> AsyncIterator[Ear[AccountEvent]]:
        """The account stream, once it gave its first snapshot."""
        ear: Ear[AccountEvent] = Ear()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.venue.account.run(self.instrument, ear.hear))
            await ear.hears(AccountSnapshot)
            yield ear
            task.cancel()


async def eventually(look: Callable[[], Awaitable[T]], true: Callable[[T], bool]) -> T:
    """Look again until it is true; what was seen then."""
    seen = await look()
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not true(seen):
                await asyncio.sleep(0.01)
                seen = await look()
    except TimeoutError:
        raise AssertionError(f"never became true; last seen: {seen}") from None
    return seen


def heard_fills(events: Sequence[AccountEvent]) -> dict[str, Fill]:
    """Fills a stream told, each trade id once."""
    found: dict[str, Fill] = {}
    for event in events:
        if isinstance(event, AccountSnapshot | AccountChange):
            for fill in event.fills:
                found.setdefault(fill.trade_id, fill)
    return found


async def heard_end(ear: Ear[AccountEvent], order: NewOrder) -> OrderUpdate:
    """Wait for the update that says that an order rests no more."""

    def ended(event: AccountEvent) -> bool:
        return (
            isinstance(event, OrderUpdate)
            and event.client_order_id == order.client_order_id
            and not event.resting
        )

    await ear.until(lambda events: any(map(ended, events)), f"the end of {order.client_order_id}")
    update = next(event for event in ear.events if ended(event))
    assert isinstance(update, OrderUpdate)
    return update


def heard_position(events: Sequence[AccountEvent]) -> Lots:
    """The last position a stream told."""
    told = [
        event.position.lots
        for event in events
        if isinstance(event, AccountSnapshot | AccountChange) and event.position is not None
    ]
    return told[-1]


def heard_book(events: Sequence[FeedEvent], depth: int) -> tuple[list[Level], list[Level]]:
    """The book as the last snapshot and the changes after it say, best first."""
    bids: dict[Ticks, Lots] = {}
    asks: dict[Ticks, Lots] = {}
    for event in events:
        if isinstance(event, BookSnapshot):
            bids, asks = dict(event.bids), dict(event.asks)
        elif isinstance(event, BookDelta):
            for side, changes in ((bids, event.bids), (asks, event.asks)):
                side.update(changes)
                for price in [price for price, lots in side.items() if lots == 0]:
                    del side[price]
    return sorted(bids.items(), reverse=True)[:depth], sorted(asks.items())[:depth]
