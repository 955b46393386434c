"""01.xyz's book messages, from the bytes of a whole WebSocket message to the desk's book.

The adapter tells every level it hears of, so the desk's book holds both sides whole.
"""

import asyncio
import gc
import random
from collections.abc import Callable
from decimal import Decimal

import httpx
import msgspec

from benchmarks.micro import median_row
from benchmarks.results import Row, Table, timed
from benchmarks.zo_venue import settings
from desk.book import Book
from desk.market import BookDelta, BookSnapshot, FeedEvent
from infra.clock import SystemClock
from venues._transport.backoff import Backoff
from venues._transport.rate_limit import RateBudget
from venues.zo.feed import _BookStream
from venues.zo.instruments import Catalog, WireMarket, WireTier
from venues.zo.markets import Markets
from venues.zo.payloads import decode_book, decode_frame
from venues.zo.reads import Reads
from venues.zo.user import User

_RUNS = 5
_SIDE, _MID = 1_000, 600_000
_NEAR = 50
_SYMBOL = "BTCUSD"
_ENCODE = msgspec.json.Encoder(decimal_format="number").encode


def run(*, quick: bool) -> Table:
    """Median over runs of each run's figures."""
    count = 500 if quick else 5_000
    measured: dict[str, tuple[int, Callable[[], list[int]]]] = {
        "delta of 1 level, near: parse": (1, lambda: _parse(1, count)),
        "delta of 1 level, near: message to the desk's book": (1, lambda: _deltas(1, count)),
        "delta of 1 level, anywhere: message to the desk's book": (
            1,
            lambda: _deltas(1, count, _SIDE),
        ),
        "delta of 8 levels, near: message to the desk's book": (8, lambda: _deltas(8, count)),
        "delta of 40 levels, near: message to the desk's book": (40, lambda: _deltas(40, count)),
        "snapshot of 2,000 levels: answer's body to the desk's book": (
            2 * _SIDE,
            lambda: _snapshots(count // 50),
        ),
    }
    rows = []
    for what, (levels, measure) in measured.items():
        measure()
        gc.collect()
        row = median_row(what, [measure() for _ in range(_RUNS)])
        rows.append(_with_share(row, levels))
    return Table(
        name="zo_book: book of 2,000 levels, prices seen before",
        rows=tuple(rows),
        notes=("target: 10 us a level",),
    )


def _with_share(row: Row, levels: int) -> Row:
    figures = row.figures
    return Row(
        what=row.what,
        figures={
            "p50 us": figures["p50 us"],
            "p99 us": figures["p99 us"],
            "p50 us a level": figures["p50 us"] / levels,
            "n": figures["n"],
        },
    )


class _Listener:
    """The product's stream of one market, and the desk's book behind it."""

    def __init__(self) -> None:
        config, clock = settings("http://127.0.0.1:1"), SystemClock()
        reads = Reads(
            http=httpx.AsyncClient(),
            budget=RateBudget(clock=clock, capacity=1, reserved=0),
            clock=clock,
        )
        catalog = Catalog(config, account="main")
        (market,) = catalog.learn([_listed()], WireTier())
        self.book = Book()
        self._stream = _BookStream(
            config=config,
            markets=Markets(reads=reads, catalog=catalog, user=User(config=config, reads=reads)),
            reads=reads,
            clock=clock,
            instrument=market,
            sink=self._hear,
            backoff=Backoff(uniform=random.Random(0).uniform),
        )
        asyncio.run(self._connected())

    def snapshot(self, body: bytes) -> None:
        """The body of a read of the whole book."""
        self._stream._tell(decode_book(body))  # noqa: SLF001 - what reading the book leads to

    def take(self, message: bytes) -> None:
        """One whole message, as the WebSocket hands it over."""
        self._stream._message(message)  # noqa: SLF001 - what the socket calls

    async def _connected(self) -> None:
        """As after connecting: the market is known, the book was read, nothing waits."""
        stream = self._stream
        await stream._path()  # noqa: SLF001 - what connecting begins with
        stream._waiting = None  # noqa: SLF001
        stream._numbers.start(1)  # noqa: SLF001

    def _hear(self, event: FeedEvent) -> None:
        assert isinstance(event, BookSnapshot | BookDelta), event
        self.book.apply(event)


def _listed() -> WireMarket:
    return WireMarket(market_id=0, symbol=_SYMBOL, price_decimals=1, size_decimals=5)


def _body() -> bytes:
    dice = random.Random(1)
    return _ENCODE(
        {
            "updateId": 1,
            "asks": [[_price(_MID + 1 + i), _size(dice)] for i in range(_SIDE)],
            "bids": [[_price(_MID - 1 - i), _size(dice)] for i in range(_SIDE)],
        }
    )


def _price(ticks: int) -> Decimal:
    return Decimal(ticks).scaleb(-1)


def _size(dice: random.Random) -> Decimal:
    return Decimal(dice.randint(1, 900_000)).scaleb(-5)


def _changes(levels: int, count: int, reach: int) -> list[bytes]:
    """Deltas that change sizes, take levels away and bring them back."""
    dice = random.Random(levels)
    found = []
    for number in range(count):
        sides: dict[str, list[list[Decimal]]] = {"bids": [], "asks": []}
        for away in dice.sample(range(1, reach), levels):
            buys = dice.random() < 0.5
            size = Decimal(0) if dice.random() < 0.2 else _size(dice)
            price = _price(_MID - 1 - away if buys else _MID + 1 + away)
            sides["bids" if buys else "asks"].append([price, size])
        delta = {
            "last_update_id": number + 1,
            "update_id": number + 2,
            "market_symbol": _SYMBOL,
            **sides,
            "timestamp": 1_790_425_000_223 + number,
        }
        found.append(_ENCODE({"delta": delta}))
    return found


def _deltas(levels: int, count: int, reach: int = _NEAR) -> list[int]:
    listener = _Listener()
    listener.snapshot(_body())
    took = timed(listener.take, _changes(levels, count, reach))
    assert listener.book.ready
    assert listener.book.sequence == count + 1
    return took


def _parse(levels: int, count: int) -> list[int]:
    return timed(decode_frame, _changes(levels, count, _NEAR))


def _snapshots(count: int) -> list[int]:
    """A fresh one comes after every reconnect, and while a stream is silent."""
    listener, body = _Listener(), _body()
    listener.snapshot(body)
    took = timed(listener.snapshot, [body] * count)
    assert listener.book.ready
    return took
