"""Public book of one market: one stream per market, a loss always told before anything else.

The book is not kept here; whoever keeps it asks for a fresh one with `resnapshot`.
"""

from collections import defaultdict
from collections.abc import Callable
from urllib.parse import urlencode

from desk.instrument import Instrument
from desk.market import BookDelta, BookSnapshot, FeedAlive, FeedEvent, FeedLost
from desk.ports import Clock
from venues._transport.backoff import Backoff
from venues._transport.sse import StreamEnded, stream
from venues.ocx.config import OcxConfig
from venues.ocx.instruments import Catalog
from venues.ocx.streams import KeptStream, Numbering, raise_stream_error
from venues.ocx.wire import decode_book_event, event_kind, levels

_SEQUENCE_DIGITS = 18


class OcxFeed:
    """FeedPort of OCX."""

    def __init__(
        self,
        *,
        config: OcxConfig,
        catalog: Catalog,
        clock: Clock,
        backoff: Callable[[], Backoff],
    ) -> None:
        self._config = config
        self._catalog = catalog
        self._clock = clock
        self._backoff = backoff
        self._open: dict[str, list[KeptStream]] = defaultdict(list)

    async def run(self, instrument: Instrument, sink: Callable[[FeedEvent], None]) -> None:
        """Deliver events until cancelled. Reconnects by itself; every loss is told first."""
        book = _BookStream(
            config=self._config,
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
        config: OcxConfig,
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
        self._path = f"{config.paths['book_stream']}?" + urlencode(
            {
                "marketId": instrument.symbol,
                "depth": config.depth,
                "intervalMs": config.book_interval_ms,
            }
        )
        self._numbering = Numbering()
        self._has_snapshot = False
        self.kept = KeptStream(connect=self._connect, lost=self._lost, backoff=backoff, clock=clock)

    async def _connect(self) -> None:
        self._numbering = Numbering()
        self._has_snapshot = False
        await stream(
            self._config.base_url,
            self._path,
            on_event=self._event,
            on_comment=self._comment,
            on_open=_ignore,
            idle_timeout_s=self._config.heartbeat_timeout_s,
        )

    def _lost(self, reason: str) -> None:
        self._sink(FeedLost(reason=reason, received_ns=self._clock.monotonic_ns()))

    def _comment(self, _text: str) -> None:
        if not self.kept.dropping:
            self._sink(FeedAlive(received_ns=self._clock.monotonic_ns()))

    def _event(self, name: str, data: bytes, sse_id: str | None) -> None:
        if self.kept.dropping:
            return
        received_ns = self._clock.monotonic_ns()
        if name == "error":
            raise_stream_error(data)
        event = decode_book_event(data)
        kind = event_kind(name, event.event_type)
        if kind == "error":
            raise_stream_error(data)
        before = self._numbering.last
        number = event.event_seq if sse_id is None else _sequence(sse_id)
        if not self._numbering.is_new(number) or not kind:
            self._sink(FeedAlive(received_ns=received_ns))
            return
        book = event.book
        bids = levels(book.bids, self._prices, self._sizes)
        asks = levels(book.asks, self._prices, self._sizes)
        if kind == "snapshot":
            self._has_snapshot = True
            self._sink(BookSnapshot(bids=bids, asks=asks, sequence=number, received_ns=received_ns))
            return
        if not self._has_snapshot:
            raise StreamEnded("a change came before the first snapshot")
        self._sink(
            BookDelta(
                bids=bids,
                asks=asks,
                sequence=number,
                previous=None if number is None else before,
                received_ns=received_ns,
            )
        )


def _sequence(sse_id: str) -> int | None:
    return int(sse_id) if sse_id.isdecimal() and len(sse_id) <= _SEQUENCE_DIGITS else None


def _ignore() -> None:
    """The stream is open; only its snapshot counts."""
