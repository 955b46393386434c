"""X10's book messages, from the bytes of a whole WebSocket message to the desk's book.

A full book of 3,000 levels a side, of which the adapter tells a window of 50.
"""

import gc
import json
import random
from collections.abc import Callable
from decimal import Decimal
from time import perf_counter_ns

from benchmarks.micro import median_row
from benchmarks.results import Table, timed
from benchmarks.x10_venue import KEY, PRIVATE_KEY, VAULT
from desk.book import Book
from desk.instrument import Instrument
from desk.market import BookDelta, BookSnapshot, FeedEvent
from infra.clock import SystemClock
from venues._transport.backoff import Backoff
from venues._transport.secret import Secret
from venues.x10.book import VenueBook, decode_book
from venues.x10.config import X10Config
from venues.x10.credentials import Credentials
from venues.x10.feed import _BookStream
from venues.x10.instruments import Catalog

_RUNS = 5
_SIDE, _MID = 3_000, 60_000
_NEAR = 50
_MARKET = Instrument(
    venue="x10",
    symbol="BTC-USD",
    tick_size=Decimal(1),
    lot_size=Decimal("0.00001"),
    maker_fee_bps=Decimal(0),
    taker_fee_bps=Decimal("2.5"),
)


def run(*, quick: bool) -> Table:
    """Median over runs of each run's figures; the longest stall is over all runs."""
    count = 500 if quick else 5_000
    measured: dict[str, Callable[[], list[int]]] = {
        "delta of 1 level, near: parse": lambda: _parse(1, count),
        "delta of 1 level, near: apply to the whole book": lambda: _apply(1, count),
        "delta of 1 level, near: message to the desk's book": lambda: _deltas(1, count),
        "delta of 1 level, anywhere: message to the desk's book": lambda: _deltas(1, count, _SIDE),
        "delta of 8 levels, near: message to the desk's book": lambda: _deltas(8, count),
        "delta of 40 levels, near: message to the desk's book": lambda: _deltas(40, count),
        "snapshot of 6,000 levels: message to the desk's book": lambda: _snapshots(count // 50),
    }
    rows = []
    for what, measure in measured.items():
        measure()
        gc.collect()
        rows.append(median_row(what, [measure() for _ in range(_RUNS)]))
    first = [_first_snapshot() for _ in range(20 if quick else 100)]
    rows.append(median_row("the same, first of a market (prices unknown)", [first]))
    later = [each for _ in range(_RUNS) for each in _snapshots(count // 50)]
    longest = f"{max(first) / 1_000:,.0f} us of {len(first)} first, "
    longest += f"{max(later) / 1_000:,.0f} us of {len(later)} later ones"
    return Table(
        name="x10_book: full book of 6,000 levels",
        rows=tuple(rows),
        notes=(
            f"longest stall of the event loop by a snapshot: {longest}",
            f"the snapshot is {len(_message(_snapshot())) / 1_000:.0f} KB of JSON",
            "target: delta of 1 level parsed and applied 10 us; longest stall 5,000 us",
        ),
    )


class _Listener:
    """The product's stream of one market, and the desk's book behind it."""

    def __init__(self) -> None:
        config = _config()
        self.book = Book()
        self._stream = _BookStream(
            config=config,
            credentials=Credentials(config),
            catalog=Catalog(config),
            clock=SystemClock(),
            instrument=_MARKET,
            sink=self._hear,
            backoff=Backoff(uniform=random.Random(0).uniform),
        )

    def take(self, message: bytes) -> None:
        """One whole message, as the WebSocket hands it over."""
        self._stream._message(message)  # noqa: SLF001 - what the socket calls

    def _hear(self, event: FeedEvent) -> None:
        assert isinstance(event, BookSnapshot | BookDelta), event
        self.book.apply(event)


def _config() -> X10Config:
    return X10Config(
        base_url="http://127.0.0.1:1",
        stream_url="ws://127.0.0.1:1",
        api_key=Secret(KEY),
        private_key=Secret(PRIVATE_KEY),
        vault=VAULT,
        domain="SN_SEPOLIA",
        dead_man_unit="seconds",
    )


def _snapshot() -> dict[str, object]:
    dice = random.Random(1)
    return {
        "type": "SNAPSHOT",
        "data": {
            "m": "BTC-USD",
            "b": [_level(_MID - 1 - i, dice) for i in range(_SIDE)],
            "a": [_level(_MID + 1 + i, dice) for i in range(_SIDE)],
            "d": "f",
        },
        "ts": 1_790_425_000_123,
        "seq": 1,
    }


def _level(price: int, dice: random.Random) -> dict[str, str]:
    return {"p": str(price), "q": f"{dice.randint(1, 900_000) / 100_000:.5f}"}


def _changes(levels: int, count: int, reach: int) -> list[bytes]:
    """Deltas that change sizes, take levels away and bring them back."""
    dice = random.Random(levels)
    found = []
    for number in range(count):
        sides: dict[str, list[dict[str, str]]] = {"b": [], "a": []}
        for away in dice.sample(range(1, reach), levels):
            side, price = ("b", _MID - 1 - away) if dice.random() < 0.5 else ("a", _MID + 1 + away)
            size = "0.00000" if dice.random() < 0.2 else f"{dice.randint(1, 9_000) / 1_000:.5f}"
            sides[side].append({"p": str(price), "q": "0.10000", "c": size})
        found.append(
            _message(
                {
                    "type": "DELTA",
                    "data": {"m": "BTC-USD", **sides, "d": "f"},
                    "ts": 1_790_425_000_223 + number,
                    "seq": number + 2,
                }
            )
        )
    return found


def _message(told: dict[str, object]) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()


def _deltas(levels: int, count: int, reach: int = _NEAR) -> list[int]:
    listener = _Listener()
    listener.take(_message(_snapshot()))
    took = timed(listener.take, _changes(levels, count, reach))
    assert listener.book.ready
    return took


def _parse(levels: int, count: int) -> list[int]:
    return timed(decode_book, _changes(levels, count, _NEAR))


def _apply(levels: int, count: int) -> list[int]:
    prices, sizes = Catalog(_config()).grids(_MARKET)
    book = VenueBook(depth=_NEAR, prices=prices, sizes=sizes)
    whole = decode_book(_message(_snapshot())).data
    assert whole is not None
    book.replace(whole)
    parsed = [decode_book(each).data for each in _changes(levels, count, _NEAR)]
    return timed(book.change, parsed)


def _snapshots(count: int) -> list[int]:
    """A fresh one comes every minute on a stream that knows the prices already."""
    listener = _Listener()
    told = _snapshot()
    messages = [_message({**told, "seq": number + 1}) for number in range(count + 1)]
    listener.take(messages[0])
    return timed(listener.take, messages[1:])


def _first_snapshot() -> int:
    listener, message = _Listener(), _message(_snapshot())
    begun = perf_counter_ns()
    listener.take(message)
    return perf_counter_ns() - begun
