"""What an order that takes needs: a fresh book with the side it hits, and bounded slippage.

The one rule: a price is never beyond the slippage it was given, save for rounding to the tick.
"""

import asyncio
from collections.abc import Callable
from decimal import Decimal

from desk.book import Book
from desk.errors import NotSent
from desk.instrument import Instrument
from desk.market import BookDelta, BookSnapshot, FeedEvent
from desk.ports import Venue
from desk.units import BPS, Side, Ticks

_BOOK_WAIT_S = 5.0


def two_sided(book: Book) -> bool:
    """Whether the book has bids and asks."""
    return book.best_bid is not None and book.best_ask is not None


def one_sided(book: Book) -> bool:
    """Whether the book has any price at all."""
    return book.best_bid is not None or book.best_ask is not None


def best_for(book: Book, side: Side) -> Ticks | None:
    """Best price that an order of this side hits, None where the book has none."""
    return book.best_bid if side is Side.SELL else book.best_ask


def mid_near(book: Book, side: Side, most_bps: Decimal) -> Ticks | None:
    """Twice the mid, or twice the best price hit where no mid is so near; None without a book."""
    best, mid_x2 = best_for(book, side), book.mid_x2
    if best is None:
        other = best_for(book, side.opposite)
        return None if other is None else 2 * other
    if mid_x2 and abs(2 * best - mid_x2) * BPS <= mid_x2 * most_bps:
        return mid_x2
    return 2 * best


def unsent_price(
    instrument: Instrument, book: Book, side: Side, last_mid: Decimal | None = None
) -> Ticks:
    """For an order whose price is never sent: the venue closes by itself. Only sizes it."""
    known = best_for(book, side.opposite)
    if known is None and last_mid:
        known = instrument.price_ticks(last_mid, side)
    return max(1, instrument.band_low or 1, known or 1)


async def read_book(
    venue: Venue, instrument: Instrument, enough: Callable[[Book], bool] = two_sided
) -> Book:
    """A fresh book that is `enough`, from the feed itself. NotSent when none comes in time."""
    book = Book()
    ready = asyncio.Event()

    def hear(event: FeedEvent) -> None:
        if isinstance(event, BookSnapshot | BookDelta):
            book.apply(event)
            if enough(book):
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
        lacks = "two-sided book" if enough is two_sided else "price to take"
        raise NotSent(f"no {lacks} of {instrument.symbol} within {_BOOK_WAIT_S} s")
    return book


def taking_price(instrument: Instrument, book: Book, side: Side, slippage_bps: Decimal) -> Ticks:
    """Worst price, in ticks, at which an order may take; inside the venue's band.

    NotSent when the book lost that side meanwhile.
    """
    best = best_for(book, side)
    if best is None:
        raise NotSent(f"the book of {instrument.symbol} was lost while it was read")
    price = instrument.price(best) * (1 + side.sign * slippage_bps / BPS)
    # Rounded towards the worse price, so that a tight budget still reaches the best quote.
    ticks = instrument.price_ticks(price, side.opposite)
    low, high = instrument.band_low, instrument.band_high
    if side is Side.SELL:
        return max(ticks, 1 if low is None else low)
    return ticks if high is None else min(ticks, high)
