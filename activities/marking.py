"""Fresh prices for positions that no session marks: paused, stopped, left by a worker that died.

The rule: only a mid that stood is written down; a price that grows old is told to a person once.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Final

from activities.listing import listed
from activities.ports import ActivityPorts
from desk.book import Book
from desk.daily_loss import MarketPnl
from desk.errors import ConfigurationFault, NotSent, Unavailable, VenueError
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.market import BookDelta, BookSnapshot, FeedEvent, FeedLost
from desk.ports import Clock, Venue
from desk.records import EquityMark
from quoting.steady import SteadyMid

OLD_MARK_MS: Final = 120_000
"""A price older than this is told to a person, once."""

_DUE_MS: Final = 30_000  # a session marks every few seconds: a mark this old is nobody's
_ROUND_S: Final = 10.0
_PRICE_S: Final = 8.0
_LOOK_S: Final = 0.1
_AT_ONCE: Final = 4
_NO_SESSION: Final = 0
_RUNBOOK: Final = "docs/runbooks/daily-loss.md"


class Marking:
    """Marks of one process; it remembers which old prices a person was told of."""

    def __init__(self, ports: ActivityPorts) -> None:
        self._ports = ports
        self._told: set[MarketId] = set()

    async def run(self) -> None:
        """Mark what nobody marks until cancelled."""
        while True:
            with suppress(Unavailable):  # a record that is away is asked again
                await self.round()
            await asyncio.sleep(_ROUND_S)

    async def round(self) -> None:
        """Mark every position whose mark is not fresh. Raises Unavailable."""
        at_ms = await self._ports.losses.now_ms()
        held = [item for item in await self._ports.losses.pnl() if item.quantity]
        self._told -= {item.market for item in held if not marked_before(item, at_ms - OLD_MARK_MS)}
        due = [item for item in held if marked_before(item, at_ms - _DUE_MS)]
        some = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            for item in due:
                tasks.create_task(self._care(item, at_ms, some))

    async def _care(self, item: MarketPnl, at_ms: int, some: asyncio.Semaphore) -> None:
        async with some:
            trouble = await self._mark(item)
        if not trouble or item.market in self._told or not marked_before(item, at_ms - OLD_MARK_MS):
            return
        age_ms = None if item.marked_at_ms is None else at_ms - item.marked_at_ms
        age = "unknown" if age_ms is None else f"{age_ms // 1_000} s"
        with suppress(Unavailable):
            await self._ports.alerts.alert(
                item.market,
                "warning",
                f"the loss limits count {item.market.path} at an old price, age {age}: "
                f"{trouble}; see {_RUNBOOK}",
            )
            self._told.add(item.market)

    async def _mark(self, item: MarketPnl) -> str:
        """Write down what the position is worth now; why not, where that cannot be had."""
        ports, market = self._ports, item.market
        try:
            venue, instrument = await listed(ports.venues, market, within_s=_PRICE_S)
            mid_x2 = await stood_mid(venue, instrument, ports.clock)
            at_ms = await ports.losses.now_ms()
        except (VenueError, ConfigurationFault, Unavailable, TimeoutError) as trouble:
            return str(trouble) or type(trouble).__name__
        mid = instrument.tick_size * mid_x2 / 2
        pnl = replace(item, mid=mid, multiplier=instrument.multiplier).pnl
        if pnl is None:
            return "fills were booked that nobody could price"
        ports.writer.record(
            EquityMark(
                market=market,
                epoch=_NO_SESSION,
                pnl=pnl,
                peak=pnl,
                position=int(item.quantity / instrument.lot_size),
                mid=mid,
                at_ms=at_ms,
            )
        )
        return ""


def marked_before(item: MarketPnl, at_ms: int) -> bool:
    """Whether the last mark of a market is older than a moment, or there is none."""
    return item.marked_at_ms is None or item.marked_at_ms < at_ms


async def stood_mid(venue: Venue, instrument: Instrument, clock: Clock) -> int:
    """The venue's mid that stood, in half ticks. NotSent when none does within some seconds."""
    book, steady = Book(), SteadyMid()

    def hear(event: FeedEvent) -> None:
        if isinstance(event, BookSnapshot | BookDelta):
            book.apply(event)
        elif isinstance(event, FeedLost):
            book.clear()

    async with asyncio.TaskGroup() as tasks:
        feed = tasks.create_task(venue.feed.run(instrument, hear))
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PRICE_S):
                    while steady.mid_x2 is None:
                        await asyncio.sleep(_LOOK_S)
                        steady.look(book.mid_x2, clock.monotonic_ns())
        finally:
            feed.cancel()
    if steady.mid_x2 is None:
        raise NotSent(f"no price of {instrument.symbol} that stood within {_PRICE_S:.0f} s")
    return steady.mid_x2
