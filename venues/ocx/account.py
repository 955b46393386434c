"""Our account: one user stream for all markets, and the reads that settle what it leaves open.

A fill is never dropped: those of markets nobody follows are kept and logged.
"""

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal

import structlog

from desk.errors import Unresolved
from desk.instrument import Instrument
from desk.orders import (
    AccountAlive,
    AccountChange,
    AccountEvent,
    AccountLost,
    AccountSnapshot,
    Balance,
    Fill,
    VenueOrder,
    VenuePosition,
)
from desk.ports import Clock
from venues.ocx.config import OcxConfig
from venues.ocx.instruments import Catalog
from venues.ocx.reads import Reads
from venues.ocx.trades import Numbered, RecentTrades, fill_of, number
from venues.ocx.wire import (
    WirePosition,
    WireTrade,
    WireUser,
    WireWhole,
    decode_balance,
    decode_orders,
    decode_positions,
    decode_trades,
    venue_order,
)

Sink = Callable[[AccountEvent], None]


class OcxAccount:
    """AccountPort of OCX. The stream itself lives in `user_stream.py` and feeds this."""

    def __init__(
        self, *, config: OcxConfig, account: str, reads: Reads, catalog: Catalog, clock: Clock
    ) -> None:
        self._config = config
        self._account = account
        self._reads = reads
        self._catalog = catalog
        self._clock = clock
        self._by_venue = config.trade_ids == "venue"
        self._recent = RecentTrades(by_venue=self._by_venue)
        self._positions: dict[str, WirePosition] = {}
        self._sinks: dict[str, list[tuple[Instrument, Sink]]] = {}
        self._lost: str | None = "the account stream has not given a snapshot yet"
        self._log = structlog.get_logger(__name__)
