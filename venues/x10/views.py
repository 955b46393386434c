"""The two ways in which X10 tells of our account, and what each says now.

The Starknet contract behind both cannot be read from here: the endpoint is the highest word we get.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import structlog

from desk.ports import Clock
from desk.sources import Authority, Quarrel, Source, SourceView
from desk.units import Lots
from venues.x10.grid import Grid
from venues.x10.instruments import Catalog
from venues.x10.reads import Reads, readable
from venues.x10.wire import UNKNOWN_GRID, WirePosition, decode_balance, decode_positions

ENDPOINT = Source(name="GET /user/positions and /user/balance", authority=Authority.ENDPOINT)
STREAM = Source(name="account stream", authority=Authority.STREAM)
SOURCES = (ENDPOINT, STREAM)
_LOOKS = 2
_NOTHING: Mapping[str, WirePosition] = {}


class Heard:
    """Positions by the stream's own word on this connection; REST never adds to them."""

    def __init__(self) -> None:
        self._told: dict[str, WirePosition] | None = None
        self._silent: set[str] = set()
        self._doubted = asyncio.Event()
        self.at_ns = 0
        """Monotonic time of the stream's last sign of life."""

    def forget(self) -> None:
        """The connection is gone."""
        self._told = None
        self._doubted.clear()

    def snapshot(self, told: Sequence[WirePosition], held: Iterable[str]) -> None:
        """The whole as the stream has it; `held` are the markets REST showed a position in.

        An empty snapshot says nothing of these, until the stream tells of each: empty ones of
        accounts that were not empty were seen (section 12.4).
        """
        self._told = {one.market: one for one in told}
        self._silent = set() if told else set(held)

    def changed(self, told: Iterable[WirePosition]) -> None:
        """News of some positions; no use without a snapshot before."""
        if self._told is not None:
            self._told.update({one.market: one for one in told})
            self._silent.difference_update(one.market for one in told)

    @property
    def positions(self) -> Mapping[str, WirePosition] | None:
        """By market, None while the stream cannot say."""
        return None if self._silent else self._told

    def doubt(self) -> None:
        """What the stream says is not right: have it started anew."""
        self._doubted.set()

    async def doubted(self) -> None:
        """Wait until somebody doubts."""
        await self._doubted.wait()


class Views:
    """Reads the sources, two requests a look. Raises Refused, NotSent or Unresolved."""

    def __init__(self, *, reads: Reads, catalog: Catalog, heard: Heard, clock: Clock) -> None:
        self._reads = reads
        self._catalog = catalog
        self._heard = heard
        self._clock = clock
        self._quarrel = Quarrel()
        self._log = structlog.get_logger(__name__)

    async def read(self) -> list[SourceView]:
        """What each says now; both once more when the stream moved while the endpoint was read.

        A stream that contradicts the endpoint for half a minute is started anew, so that what is
        told to markets follows the higher word.
        """
        for _ in range(_LOOKS):
            before = dict(self._heard.positions or _NOTHING)
            endpoint = await self._endpoint()
            if before == dict(self._heard.positions or _NOTHING):
                break
        stream = self._stream()
        apart = stream is not None and stream.positions != endpoint.positions
        if self._quarrel.lasts(apart=apart, now_ns=endpoint.asked_ns):
            self._heard.doubt()
        return [endpoint] if stream is None else [endpoint, stream]

    async def _endpoint(self) -> SourceView:
        asked_ns = self._clock.monotonic_ns()
        listed = (await self._reads.get("/user/positions", decode_positions, {})).data
        found = await self._reads.find("/user/balance", decode_balance, {})
        positions = readable("positions", lambda _: self._lots(listed), b"")
        # The venue answers 404 for a balance of zero (section 11.3).
        equity = readable(
            "balance", lambda _: Decimal(0) if found is None else found.data.balance().equity, b""
        )
        return SourceView(source=ENDPOINT, positions=positions, asked_ns=asked_ns, equity=equity)

    def _stream(self) -> SourceView | None:
        told = self._heard.positions
        if told is None:
            return None
        try:
            positions = self._lots(told.values())
        except (ValueError, ArithmeticError) as error:
            self._log.error("x10.account_unreadable", why=str(error))
            return None
        return SourceView(source=STREAM, positions=positions, asked_ns=self._heard.at_ns)

    def _lots(self, told: Iterable[WirePosition]) -> dict[str, Lots]:
        """Signed lots, in units of 1e-8 where the market is unknown; ValueError off the grid."""
        found: dict[str, Lots] = {}
        for one in told:
            if one.held:
                instrument = self._catalog.known(one.market)
                grid = Grid(UNKNOWN_GRID if instrument is None else instrument.lot_size)
                lots = grid.read(format(one.held, "f"))
                found[one.market] = found.get(one.market, 0) + lots
        return {symbol: lots for symbol, lots in found.items() if lots}
