"""Books that change as recorded ones do, and the event-stream frames that tell of it.

Changed levels per update are log-normal: 34 at the median and 611 at the 99th percentile, as in a
recording of a futures book, cut to what a window of `depth` levels a side can show.
"""

import random
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from heapq import nlargest, nsmallest
from math import log
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

from desk.instrument import Instrument
from desk.units import Level
from venues.ocx.grid import Grid
from venues.simulation.recording import RecordedBook, instrument_of, messages

Change: TypeAlias = tuple[list[Level], list[Level]]
"""Changed bids and asks, best first; zero lots: the level is gone."""

MEDIAN_LEVELS, P99_LEVELS, DEPTH = 34, 611, 100
_SPREAD_OF_LOGS = log(P99_LEVELS / MEDIAN_LEVELS) / 2.3263
_LOTS = (500, 20_000)
_AT_MS = 1_767_225_600_000


class Ladder(Protocol):
    """One market's window of its book, from the venue's side."""

    def snapshot(self) -> Change:
        """Everything shown now."""

    def step(self) -> Change | None:
        """The next update; None when a fresh snapshot has to be told instead."""


class SyntheticLadder:
    """Seeded. With `moves`, every update moves both sides by 2 to 4 ticks around the start."""

    def __init__(
        self, *, mid: int, seed: int, depth: int = DEPTH, moves: bool = True, changes: int = 0
    ) -> None:
        self._random = random.Random(seed)
        self._mid = mid
        self._start = mid
        self._depth = depth
        self._moves = moves
        self._changes = changes
        self._bids = {mid - 1 - i: self._lots() for i in range(depth)}
        self._asks = {mid + 1 + i: self._lots() for i in range(depth)}

    def snapshot(self) -> Change:
        """Both sides whole."""
        return sorted(self._bids.items(), reverse=True), sorted(self._asks.items())

    def step(self) -> Change | None:
        """Move, then change the size of as many more levels as were drawn."""
        drawn = self._random.lognormvariate(log(MEDIAN_LEVELS), _SPREAD_OF_LOGS)
        wanted = self._changes or min(max(1, round(drawn)), 2 * self._depth)
        bids: dict[int, int] = {}
        asks: dict[int, int] = {}
        if self._moves:
            self._shift(bids, asks)
        left = max(0, wanted - len(bids) - len(asks))
        shown = [(True, price) for price in self._bids if price not in bids]
        shown += [(False, price) for price in self._asks if price not in asks]
        for is_bid, price in self._random.sample(shown, min(left, len(shown))):
            side, told = (self._bids, bids) if is_bid else (self._asks, asks)
            side[price] = told[price] = self._lots()
        return sorted(bids.items(), reverse=True), sorted(asks.items())

    def _shift(self, bids: dict[int, int], asks: dict[int, int]) -> None:
        far = self._mid - self._start
        up = self._random.random() < 0.5 - far / 100
        for _ in range(self._random.randint(2, 4)):
            # Up: a bid appears at the touch, an ask goes; the windows' far ends follow. Down: so
            # for the other side.
            self._mid += 1 if up else -1
            grow, shrink = (self._bids, self._asks) if up else (self._asks, self._bids)
            told_grow, told_shrink = (bids, asks) if up else (asks, bids)
            sign = 1 if up else -1
            gone = {self._mid: shrink, self._mid - sign * (self._depth + 1): grow}
            for price, side in gone.items():
                del side[price]
                (told_grow if side is grow else told_shrink)[price] = 0
            for price, side in (
                (self._mid - sign, grow),
                (self._mid + sign * self._depth, shrink),
            ):
                side[price] = self._lots()
                (told_grow if side is grow else told_shrink)[price] = side[price]

    def _lots(self) -> int:
        return self._random.randint(*_LOTS)


class RecordedLadder:
    """The window of a recorded book, one recorded message an update, over and over."""

    def __init__(self, window: Sequence[Change]) -> None:
        self._window = window
        self._at = 0

    def snapshot(self) -> Change:
        """The recording's start."""
        self._at = 1
        return self._window[0]

    def step(self) -> Change | None:
        """The next message's changes, None at the end of the recording."""
        if self._at >= len(self._window):
            return None
        self._at += 1
        return self._window[self._at - 1]


def recorded_window(path: Path, instrument: Instrument, limit: int) -> list[Change]:
    """The first `limit` changes of a recorded window; the first one is the whole window."""
    book = RecordedBook(instrument)
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    found: list[Change] = []
    for message in messages(path):
        if message.kind == "trade":
            continue
        if message.kind == "snapshot":
            book.clear()
        for row in message.rows:
            book.set(row)
        now_bids = {price: book.bids[price] for price in nlargest(DEPTH, book.bids)}
        now_asks = {price: book.asks[price] for price in nsmallest(DEPTH, book.asks)}
        change = (_changed(bids, now_bids)[::-1], _changed(asks, now_asks))
        bids, asks = now_bids, now_asks
        if change[0] or change[1]:
            found.append(change)
        if len(found) >= limit:
            break
    return found


def recorded_instrument(path: Path, symbol: str) -> Instrument:
    """An instrument on the recording's grid."""
    return instrument_of(path, "ocx", symbol)


def instrument(number: int) -> Instrument:
    """Market `number` of the synthetic ones: a tick is about a third of a basis point."""
    return Instrument(
        venue="ocx",
        symbol=f"BENCH{number}-PERP",
        tick_size=Decimal("0.1"),
        lot_size=Decimal("0.001"),
        maker_fee_bps=Decimal(2),
        taker_fee_bps=Decimal(5),
    )


def synthetic(number: int, *, moves: bool = True, depth: int = DEPTH) -> SyntheticLadder:
    """Ladder of that market, around a price of about 3,000."""
    return SyntheticLadder(mid=30_000 + 37 * number, seed=number, moves=moves, depth=depth)


class FrameWriter:
    """Frames of one stream; the number grows by one with each."""

    def __init__(self, market: Instrument) -> None:
        self._symbol = market.symbol
        self._prices, self._sizes = _grids(market.tick_size, market.lot_size)
        self._number = 0

    def frame(self, name: str, change: Change) -> bytes:
        """One whole frame; `name` is `snapshot` or `update`."""
        self._number += 1
        event_type = "PerpBookSnapshot" if name == "snapshot" else "PerpBookUpdate"
        data = msgspec.json.encode(
            {
                "eventId": f"{event_type}-{self._number}-{_AT_MS}",
                "eventType": event_type,
                "eventSeq": self._number,
                "engineTs": str(_AT_MS + self._number),
                "sourceTs": None,
                "payload": {
                    "marketId": self._symbol,
                    "bids": list(self._levels(change[0])),
                    "asks": list(self._levels(change[1])),
                },
            }
        )
        return b"event: %b\nid: %d\ndata: %b\n\n" % (name.encode(), self._number, data)

    def _levels(self, side: list[Level]) -> Iterator[dict[str, str]]:
        total = 0
        for price, lots in side:
            total += lots
            yield {
                "price": self._prices.text(price),
                "size": self._sizes.text(lots) if lots else "0",
                "total": self._sizes.text(total),
            }


@lru_cache(maxsize=256)
def _grids(tick: Decimal, lot: Decimal) -> tuple[Grid, Grid]:
    return Grid(tick), Grid(lot)


def _changed(before: dict[int, int], now: dict[int, int]) -> list[Level]:
    gone = [(price, 0) for price in before if price not in now]
    new = [(price, lots) for price, lots in now.items() if before.get(price) != lots]
    return sorted(gone + new)
