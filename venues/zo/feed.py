"""Public book of one market: changes from the stream, the whole from a read beside it.

The order of zo.md section 3.2: connect and keep, read the book, drop what it contains, apply the
rest; a gap starts over. Silence is harmless only while a fresh read shows the same number.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable

from desk.errors import NotSent, Unresolved
from desk.instrument import Instrument
from desk.market import BookDelta, BookSnapshot, FeedAlive, FeedEvent, FeedLost
from desk.ports import Clock
from desk.units import NS_PER_S
from venues._transport.backoff import Backoff
from venues._transport.websocket import StreamEnded
from venues.zo.config import ZoConfig
from venues.zo.instruments import Market
from venues.zo.markets import Markets
from venues.zo.payloads import WireBook, WireDelta, decode_book, decode_frame, levels
from venues.zo.reads import Reads
from venues.zo.streams import Continuity, KeptStream

_GRACE_S = 0.5


class ZoFeed:
    """FeedPort of 01.xyz. A market without an order book is only ever lost, with the reason."""

    def __init__(
        self,
        *,
        config: ZoConfig,
        markets: Markets,
        reads: Reads,
        clock: Clock,
        backoff: Callable[[], Backoff],
    ) -> None:
        self._config = config
        self._markets = markets
        self._reads = reads
        self._clock = clock
        self._backoff = backoff
        self._open: dict[str, list[KeptStream]] = defaultdict(list)

    async def run(self, instrument: Instrument, sink: Callable[[FeedEvent], None]) -> None:
        """Deliver events until cancelled. Reconnects by itself; every loss is told first."""
        book = _BookStream(
            config=self._config,
            markets=self._markets,
            reads=self._reads,
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
        config: ZoConfig,
        markets: Markets,
        reads: Reads,
        clock: Clock,
        instrument: Instrument,
        sink: Callable[[FeedEvent], None],
        backoff: Backoff,
    ) -> None:
        self._markets = markets
        self._reads = reads
        self._clock = clock
        self._instrument = instrument
        self._sink = sink
        self._silence_s = config.silence_s
        self._compare_ids = config.compare_ids
        self._market: Market | None = None
        self._waiting: list[WireDelta] | None = []
        self._numbers = Continuity(strict=config.first_delta == "strict")
        self._heard_ns = 0
        self.kept = KeptStream(
            config=config,
            on_message=self._message,
            on_alive=self._alive,
            path=self._path,
            follow=self._follow,
            lost=self._lost,
            backoff=backoff,
            clock=clock,
        )

    async def _path(self) -> str:
        self._waiting = []
        self._market = await self._markets.of(self._instrument)
        symbol = self._instrument.symbol
        return f"/ws/deltas@{symbol}&trades@{symbol}"

    def _lost(self, reason: str) -> None:
        self._sink(FeedLost(reason=reason, received_ns=self._clock.monotonic_ns()))

    def _alive(self) -> None:
        if self._waiting is None and not self.kept.dropping:
            self._sink(FeedAlive(received_ns=self._clock.monotonic_ns()))

    def _message(self, data: bytes) -> None:
        if self.kept.dropping:
            return
        delta = decode_frame(data).delta
        if delta is None or delta.market_symbol != self._instrument.symbol:
            self._alive()
        elif self._waiting is not None:
            self._waiting.append(delta)
        else:
            self._change(delta)

    def _change(self, delta: WireDelta) -> None:
        market, numbers = self._market, self._numbers
        received_ns = self._heard_ns = self._clock.monotonic_ns()
        previous = numbers.last
        if market is None or not numbers.is_new(delta.update_id, delta.last_update_id):
            self._alive()
            return
        self._sink(
            BookDelta(
                bids=levels(delta.bids, market.prices, market.sizes),
                asks=levels(delta.asks, market.prices, market.sizes),
                sequence=delta.update_id,
                previous=previous,
                received_ns=received_ns,
            )
        )

    async def _follow(self) -> None:
        """Read the whole book, then prove every silence harmless."""
        book = await self._read()
        self._numbers.start(book.update_id)
        self._tell(book)
        waiting, self._waiting = self._waiting or [], None
        for delta in waiting:
            self._change(delta)
        while True:
            quiet_s = (self._clock.monotonic_ns() - self._heard_ns) / NS_PER_S
            if quiet_s < self._silence_s:
                await asyncio.sleep(self._silence_s - quiet_s)
            elif not await self._prove():
                await asyncio.sleep(self._silence_s)

    async def _prove(self) -> bool:
        """Whether the venue's book is the one told; StreamEnded when it went on without us."""
        before = self._numbers.last
        try:
            book = await self._read()
        except (NotSent, Unresolved) as error:
            raise StreamEnded(f"silent, and the book could not be read: {error}") from error
        if book.update_id < self._numbers.last:
            return False
        if book.update_id > self._numbers.last:
            await asyncio.sleep(_GRACE_S)
            if self._compare_ids and self._numbers.last < book.update_id:
                raise StreamEnded(
                    f"silent since update {before}, and the venue is at {book.update_id}"
                )
            return False
        self._tell(book)
        return True

    async def _read(self) -> WireBook:
        market = self._market or await self._markets.of(self._instrument)
        return await self._reads.json("orderbook", decode_book, market.market_id)

    def _tell(self, book: WireBook) -> None:
        """Best first is only assumed by clients (zo.md section 2.3), so it is made sure of."""
        market = self._market
        if market is None or self.kept.dropping:
            return
        received_ns = self._heard_ns = self._clock.monotonic_ns()
        bids = levels(book.bids, market.prices, market.sizes)
        asks = levels(book.asks, market.prices, market.sizes)
        self._sink(
            BookSnapshot(
                bids=sorted((one for one in bids if one[1] > 0), reverse=True),
                asks=sorted(one for one in asks if one[1] > 0),
                sequence=book.update_id,
                received_ns=received_ns,
            )
        )
