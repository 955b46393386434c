"""Public book of one market: one stream per market, a loss always told before anything else.

Silence is judged by data too: a full snapshot comes about once a minute (x10.md section 12.3), so
a stream that only answers pings is lost.
"""

from collections import defaultdict
from collections.abc import Callable
from urllib.parse import quote

from desk.instrument import Instrument
from desk.market import BookDelta, BookSnapshot, FeedAlive, FeedEvent, FeedLost
from desk.ports import Clock
from desk.units import NS_PER_S
from venues._transport.backoff import Backoff
from venues._transport.websocket import StreamEnded, listen
from venues.x10.book import VenueBook, decode_book
from venues.x10.config import X10Config
from venues.x10.credentials import Credentials
from venues.x10.instruments import Catalog
from venues.x10.streams import KeptStream, Numbering


class X10Feed:
    """FeedPort of X10."""

    def __init__(
        self,
        *,
        config: X10Config,
        credentials: Credentials,
        catalog: Catalog,
        clock: Clock,
        backoff: Callable[[], Backoff],
    ) -> None:
        self._config = config
        self._credentials = credentials
        self._catalog = catalog
        self._clock = clock
        self._backoff = backoff
        self._open: dict[str, list[KeptStream]] = defaultdict(list)

    async def run(self, instrument: Instrument, sink: Callable[[FeedEvent], None]) -> None:
        """Deliver events until cancelled. Reconnects by itself; every loss is told first.

        Levels are told from the touch to at least `streams.depth` levels a side.
        """
        book = _BookStream(
            config=self._config,
            credentials=self._credentials,
            catalog=self._catalog,
            clock=self._clock,
            instrument=instrument,
            sink=sink,
            backoff=self._backoff(),
        )
        streams = self._open[instrument.symbol]
        streams.append(book.kept)
        try:
            await book.kept.run()
        finally:
            streams.remove(book.kept)

    def resnapshot(self, symbol: str, reason: str) -> None:
        """Drop the connection of this market's feed and start over from a snapshot."""
        for kept in self._open.get(symbol, ()):
            kept.drop(f"resnapshot: {reason}")


class _BookStream:
    def __init__(
        self,
        *,
        config: X10Config,
        credentials: Credentials,
        catalog: Catalog,
        clock: Clock,
        instrument: Instrument,
        sink: Callable[[FeedEvent], None],
        backoff: Backoff,
    ) -> None:
        self._config = config
        self._clock = clock
        self._sink = sink
        self._prices, self._sizes = catalog.grids(instrument)
        self._path = f"/orderbooks/{quote(instrument.symbol, safe='')}"
        self._credentials = credentials
        self._silence_ns = int(config.book_silence_s * NS_PER_S)
        self._numbering = Numbering()
        self._book = self._new_book()
        self._heard_ns = 0
        self.kept = KeptStream(
            connect=self._connect,
            lost=self._lost,
            backoff=backoff,
            refused_wait_s=config.refused_wait_s,
            clock=clock,
        )

    async def _connect(self) -> None:
        self._numbering = Numbering()
        self._book = self._new_book()
        self._heard_ns = self._clock.monotonic_ns()
        await listen(
            self._config.stream_url,
            self._path,
            headers=self._credentials.public,
            on_message=self._message,
            on_alive=self._alive,
            on_open=_ignore,
            idle_timeout_s=self._config.idle_timeout_s,
            ping_s=self._config.ping_s,
        )

    def _new_book(self) -> VenueBook:
        return VenueBook(depth=self._config.depth, prices=self._prices, sizes=self._sizes)

    def _lost(self, reason: str) -> None:
        self._sink(FeedLost(reason=reason, received_ns=self._clock.monotonic_ns()))

    def _alive(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._heard_ns > self._silence_ns:
            raise StreamEnded(f"no book message for {self._config.book_silence_s} s")
        if not self.kept.dropping:
            self._sink(FeedAlive(received_ns=now_ns))

    def _message(self, data: bytes) -> None:
        if self.kept.dropping:
            return
        received_ns = self._clock.monotonic_ns()
        message = decode_book(data)
        if message.error is not None:
            raise StreamEnded(f"the book stream told an error: {message.error}")
        before = self._numbering.last
        if not self._numbering.is_new(message.seq) or message.data is None:
            self._sink(FeedAlive(received_ns=received_ns))
            return
        self._heard_ns = received_ns
        if message.type == "SNAPSHOT":
            bids, asks = self._book.replace(message.data)
            self._sink(
                BookSnapshot(bids=bids, asks=asks, sequence=message.seq, received_ns=received_ns)
            )
            return
        bids, asks = self._book.change(message.data)
        # Told even without a level near the touch, so that numbers follow each other.
        self._sink(
            BookDelta(
                bids=bids,
                asks=asks,
                sequence=message.seq,
                previous=before,
                received_ns=received_ns,
            )
        )


def _ignore() -> None:
    """The stream is open; only its snapshot counts."""
