"""What an order that takes needs: a fresh two-sided book, and a price with bounded slippage.

The one rule: a price is never beyond the slippage it was given, save for rounding to the tick.
"""

import asyncio
from decimal import Decimal

from desk.book import Book
from desk.errors import NotSent
from desk.instrument import Instrument
from desk.market import BookDelta, BookSnapshot, FeedEvent
from desk.ports import Venue
from desk.units import BPS, Side, Ticks

_BOOK_WAIT_S = 5.0


async def read_book(venue: Venue, instrument: Instrument) -> Book:
    """A fresh two-sided book, from the feed itself. NotSent when none comes in time."""
    book = Book()
    ready = asyncio.Event()

    def hear(event: FeedEvent) -> None:
        if isinstance(event, BookSnapshot | BookDelta):
            book.apply(event)
            if book.best_bid is not None and book.best_ask is not None:
                ready.set()

    async with asyncio.TaskGroup() as tasks:
        feed = tasks.create_task(venue.feed.run(instrument, hear))
        try:
            async with asyncio.timeout(_BOOK_WAIT_S):
                await ready.wait()
        except TimeoutError:
            ready.clear()
        finally:
            feed.cancel()
    if not ready.is_set():
        raise NotSent(f"no two-sided book of {instrument.symbol} within {_BOOK_WAIT_S} s")
    return book


def taking_price(instrument: Instrument, book: Book, side: Side, slippage_bps: Decimal) -> Ticks:
    """Worst price, in ticks, at which an order may take; inside the venue's band.

    NotSent when the book lost that side meanwhile.
    """
    best = book.best_bid if side is Side.SELL else book.best_ask
    if best is None:
        raise NotSent(f"the book of {instrument.symbol} was lost while it was read")
    price = instrument.price(best) * (1 + side.sign * slippage_bps / BPS)
    # Rounded towards the worse price, so that a tight budget still reaches the best quote.
    ticks = instrument.price_ticks(price, side.opposite)
    low, high = instrument.band_low, instrument.band_high
    if side is Side.SELL:
        return max(ticks, 1 if low is None else low)
    return ticks if high is None else min(ticks, high)
