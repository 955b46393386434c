"""The venue's whole book of one market, of which a window around the touch is told.

Levels are told in ticks and lots only when they come near; the rest is kept as the venue wrote it.
Inside the window that was told, a listener's book is exactly the venue's.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

import msgspec

from desk.units import Level, Lots
from venues._transport.websocket import StreamEnded
from venues.x10.grid import Grid

_NOTHING_TOLD = 2**63
"""A key no level has."""


class WireLevel(msgspec.Struct, frozen=True, gc=False):
    """One level; `q` is a size in a snapshot and a change in a delta, `c` the size after it."""

    p: str
    q: str
    c: str | None = None


class WireBook(msgspec.Struct, frozen=True):
    """Levels of both sides (section 12.3); the order of a snapshot's levels is not relied on."""

    b: list[WireLevel] = []
    a: list[WireLevel] = []


class WireBookMessage(msgspec.Struct, frozen=True):
    """A book message in its envelope."""

    seq: int
    type: str = ""
    data: WireBook | None = None
    error: object = None


decode_book = msgspec.json.Decoder(WireBookMessage).decode


class _BookSide:
    """One side. `sign` is 1 for bids, -1 for asks, so that the best key is always the last.

    `edge` is the key of the last level told; all levels from it to the best have been told.
    """

    __slots__ = ("_depth", "_edge", "_keys", "_prices", "_sign", "_sizes", "_texts")

    def __init__(self, *, sign: int, depth: int, prices: Grid, sizes: Grid) -> None:
        self._sign = sign
        self._depth = depth
        self._prices = prices
        self._sizes = sizes
        self._keys: list[int] = []
        self._texts: dict[int, str | Lots] = {}
        self._edge = _NOTHING_TOLD

    @property
    def best(self) -> int | None:
        """Key of the best level."""
        return self._keys[-1] if self._keys else None

    def replace(self, levels: Iterable[WireLevel]) -> list[Level]:
        """Start over from a snapshot; the levels to tell, best first."""
        sign, prices = self._sign, self._prices
        self._texts = {sign * prices[level.p]: level.q for level in levels}
        self._keys = sorted(self._texts)
        nearest = self._keys[-self._depth :]
        while nearest and not all(self._lots(key) > 0 for key in nearest):
            # A snapshot should hold no empty levels; where it does, they are no levels.
            self._keys = [key for key in self._keys if self._lots(key) > 0]
            self._texts = {key: self._texts[key] for key in self._keys}
            nearest = self._keys[-self._depth :]
        self._edge = nearest[0] if nearest else _NOTHING_TOLD
        return [(sign * key, self._lots(key)) for key in reversed(nearest)]

    def change(self, levels: Iterable[WireLevel]) -> list[Level]:
        """Take a delta; what to tell of it: absolute sizes, 0 where a level is gone."""
        told: list[Level] = []
        for level in levels:
            key = self._sign * self._prices[level.p]
            lots = self._after(key, level)
            if lots > 0:
                if key not in self._texts:
                    insort(self._keys, key)
                self._texts[key] = lots
            elif key in self._texts:
                del self._texts[key]
                del self._keys[bisect_left(self._keys, key)]
                lots = 0
            else:
                continue
            if key >= self._edge:
                told.append((self._sign * key, lots))
        if self._told() < self._depth and len(self._keys) > self._told():
            self._widen(told)
        return told

    def _after(self, key: int, level: WireLevel) -> Lots:
        if level.c is not None:
            return self._sizes.floor(level.c)
        return (self._lots(key) if key in self._texts else 0) + self._sizes.floor(level.q)

    def _lots(self, key: int) -> Lots:
        size = self._texts[key]
        if isinstance(size, str):
            size = self._texts[key] = self._sizes.floor(size)
        return size

    def _told(self) -> int:
        """How many levels there are from the edge on."""
        return len(self._keys) - bisect_left(self._keys, self._edge)

    def _widen(self, told: list[Level]) -> None:
        """Levels were taken away: tell the next ones behind the edge, in the same change."""
        first = max(0, len(self._keys) - 2 * self._depth)
        last = len(self._keys) - self._told()
        told += [(self._sign * key, self._lots(key)) for key in self._keys[first:last]]
        self._edge = self._keys[first]


class VenueBook:
    """Both sides of one market; StreamEnded when they cross, ValueError off the price grid."""

    __slots__ = ("_asks", "_bids", "_ready")

    def __init__(self, *, depth: int, prices: Grid, sizes: Grid) -> None:
        self._bids = _BookSide(sign=1, depth=depth, prices=prices, sizes=sizes)
        self._asks = _BookSide(sign=-1, depth=depth, prices=prices, sizes=sizes)
        self._ready = False

    def replace(self, book: WireBook) -> tuple[Sequence[Level], Sequence[Level]]:
        """Start over from a snapshot; bids and asks to tell, best first."""
        bids, asks = self._bids.replace(book.b), self._asks.replace(book.a)
        self._ready = True
        self._refuse_crossed()
        return bids, asks

    def change(self, book: WireBook) -> tuple[Sequence[Level], Sequence[Level]]:
        """Take a delta; bids and asks to tell, with absolute sizes."""
        if not self._ready:
            raise StreamEnded("a change came before the first snapshot")
        bids, asks = self._bids.change(book.b), self._asks.change(book.a)
        self._refuse_crossed()
        return bids, asks

    def _refuse_crossed(self) -> None:
        bid, ask = self._bids.best, self._asks.best
        if bid is not None and ask is not None and bid >= -ask:
            raise StreamEnded("the book is crossed")
