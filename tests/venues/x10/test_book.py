"""A listener that applies what is told has the venue's own book, as deep as it was promised."""

from dataclasses import dataclass, field
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.book import Book
from desk.market import BookDelta, BookSnapshot
from desk.units import Level, Side
from venues._transport.websocket import StreamEnded
from venues.x10.book import VenueBook, WireBook, WireLevel, decode_book
from venues.x10.grid import Grid

_DEPTH = 4
_MIDDLE = 1_000


@dataclass
class _Venue:
    """A book as the venue keeps it; bids below, asks above a moving middle."""

    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)

    def snapshot(self) -> WireBook:
        return WireBook(
            b=[_level(price, lots) for price, lots in self.bids.items()],
            a=[_level(price, lots) for price, lots in self.asks.items()],
        )

    def best(self, depth: int) -> tuple[list[Level], list[Level]]:
        bids = sorted(self.bids.items(), reverse=True)
        return bids[:depth], sorted(self.asks.items())[:depth]

    def set(self, side: dict[int, int], price: int, lots: int, *, absolute: bool) -> WireLevel:
        change = lots - side.get(price, 0)
        side[price] = lots
        if not lots:
            del side[price]
        return _level(price, change, lots if absolute else None)


def _level(price: int, lots: int, after: int | None = None) -> WireLevel:
    def size(number: int) -> str:
        return f"{Decimal(number) / 100:f}"

    return WireLevel(p=str(price), q=size(lots), c=None if after is None else size(after))


def _book() -> VenueBook:
    return VenueBook(depth=_DEPTH, prices=Grid(Decimal(1)), sizes=Grid(Decimal("0.01")))


_offsets = st.integers(1, 12)
_lots = st.integers(1, 300)
_ladders = st.dictionaries(_offsets, _lots, max_size=12)
_changes = st.lists(
    st.lists(st.tuples(st.booleans(), _offsets, st.integers(0, 300)), max_size=6), max_size=12
)


@settings(max_examples=300)
@given(bids=_ladders, asks=_ladders, changes=_changes, absolute=st.booleans())
def test_the_told_window_is_the_venues_book(
    bids: dict[int, int],
    asks: dict[int, int],
    changes: list[list[tuple[bool, int, int]]],
    absolute: bool,
) -> None:
    venue = _Venue(
        {_MIDDLE - offset: lots for offset, lots in bids.items()},
        {_MIDDLE + offset: lots for offset, lots in asks.items()},
    )
    book, heard = _book(), Book()
    told_bids, told_asks = book.replace(venue.snapshot())
    assert (list(told_bids), list(told_asks)) == venue.best(_DEPTH)
    heard.apply(BookSnapshot(bids=told_bids, asks=told_asks, sequence=1, received_ns=1))
    for number, change in enumerate(changes, start=2):
        delta = WireBook(b=[], a=[])
        for buy, offset, lots in change:
            side = venue.bids if buy else venue.asks
            price = _MIDDLE - offset if buy else _MIDDLE + offset
            level = venue.set(side, price, lots, absolute=absolute)
            (delta.b if buy else delta.a).append(level)
        told_bids, told_asks = book.change(delta)
        problem = heard.apply(
            BookDelta(
                bids=told_bids,
                asks=told_asks,
                sequence=number,
                previous=number - 1,
                received_ns=number,
            )
        )
        assert problem is None
        best_bids, best_asks = venue.best(_DEPTH)
        assert list(heard.levels(Side.BUY, _DEPTH)) == best_bids
        assert list(heard.levels(Side.SELL, _DEPTH)) == best_asks


def test_a_level_is_gone_at_zero_or_below() -> None:
    book = _book()
    book.replace(WireBook(b=[_level(99, 5)], a=[_level(101, 5)]))
    bids, _ = book.change(WireBook(b=[WireLevel(p="99", q="-0.07")]))
    assert bids == [(99, 0)]
    bids, _ = book.change(WireBook(b=[WireLevel(p="98", q="0.02", c="-0.01")]))
    assert bids == []


def test_the_absolute_size_wins_over_the_change() -> None:
    book = _book()
    book.replace(WireBook(b=[_level(99, 5)], a=[]))
    bids, _ = book.change(WireBook(b=[WireLevel(p="99", q="10", c="0.03")]))
    assert bids == [(99, 3)]


def test_a_crossed_book_ends_the_stream() -> None:
    book = _book()
    with pytest.raises(StreamEnded, match="crossed"):
        book.replace(WireBook(b=[_level(101, 1)], a=[_level(101, 1)]))
    book = _book()
    book.replace(WireBook(b=[_level(99, 1)], a=[_level(101, 1)]))
    with pytest.raises(StreamEnded, match="crossed"):
        book.change(WireBook(b=[_level(102, 1, 1)]))


def test_a_change_before_a_snapshot_ends_the_stream() -> None:
    with pytest.raises(StreamEnded, match="before the first snapshot"):
        _book().change(WireBook(b=[_level(99, 1, 1)]))


def test_empty_levels_of_a_snapshot_are_no_levels() -> None:
    bids, asks = _book().replace(WireBook(b=[_level(99, 0), _level(98, 2)], a=[_level(101, 0)]))
    assert (list(bids), list(asks)) == ([(98, 2)], [])


def test_a_price_off_the_grid_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="not a multiple"):
        _book().replace(WireBook(b=[WireLevel(p="99.5", q="1")]))


def test_messages_of_the_venue_are_read() -> None:
    raw = (
        b'{"type":"DELTA","data":{"m":"BTC-USD","b":[{"p":"84077","q":"-0.5","c":"1.0"}],"a":[],'
        b'"d":"f","new":1},"ts":1790425000223,"seq":2,"other":{}}'
    )
    message = decode_book(raw)
    assert (message.type, message.seq) == ("DELTA", 2)
    assert message.data is not None
    assert message.data.b == [WireLevel(p="84077", q="-0.5", c="1.0")]
    with pytest.raises(msgspec.ValidationError):
        decode_book(b'{"type":"DELTA"}')
