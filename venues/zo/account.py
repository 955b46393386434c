"""Our account: what stream and reads tell each market, and the reads that settle the rest.

A fill is told once it is in the venue's list, never from a figure of the stream.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

import structlog

from desk.errors import Refused
from desk.instrument import Instrument
from desk.orders import (
    AccountAlive,
    AccountChange,
    AccountEvent,
    AccountLost,
    AccountSnapshot,
    Balance,
    Fill,
    OrderUpdate,
    VenueOrder,
    VenuePosition,
)
from desk.payments import Payment, PaymentKind
from desk.ports import Clock
from desk.sources import Source, SourceView
from venues.zo.client_ids import ClientIds
from venues.zo.instruments import Market
from venues.zo.known_orders import KnownOrder, KnownOrders
from venues.zo.margins import Margins, margins_of
from venues.zo.markets import Markets
from venues.zo.own_trades import OwnTrade, OwnTrades
from venues.zo.payloads import (
    WireAccount,
    WireOrder,
    WirePosition,
    decode_account,
    decode_stats,
    side_of,
)
from venues.zo.payments import Payments
from venues.zo.reads import Reads, readable
from venues.zo.scale import Scale
from venues.zo.user import User
from venues.zo.views import SOURCES, Views

_UNKNOWN = Scale(8)


class ZoAccount:
    """AccountPort of 01.xyz. `snapshot`, `change`, `updated`, `alive`, `lost` serve its stream."""

    def __init__(
        self,
        *,
        user: User,
        reads: Reads,
        markets: Markets,
        trades: OwnTrades,
        known: KnownOrders,
        ids: ClientIds,
        payments: Payments,
        views: Views,
        clock: Clock,
    ) -> None:
        self._user = user
        self._reads = reads
        self._markets = markets
        self._trades = trades
        self._known = known
        self._ids = ids
        self._payments = payments
        self._views = views
        self._clock = clock
        self._positions: dict[int, WirePosition] = {}
        self._followers: list[_Follower] = []
        self._doubted = asyncio.Event()
        self._lost: str | None = "the account stream has given no snapshot yet"
        self._noted: set[str] = set()
        self._log = structlog.get_logger(__name__)

    async def run(self, instrument: Instrument, sink: Callable[[AccountEvent], None]) -> None:
        """Deliver this market's account events until cancelled; one stream serves all markets.

        The stream itself is held by `ZoVenue.run`. Fills in a snapshot are those the venue and
        this process remember; they repeat, with the same trade ids.
        """
        follower = _Follower(instrument, sink)
        self._noted.discard(instrument.symbol)
        self._followers.append(follower)
        try:
            if self._lost is None:
                self._tell(follower, lambda: self._snapshot(instrument))
            else:
                sink(AccountLost(reason=self._lost, received_ns=self._clock.monotonic_ns()))
            await asyncio.Event().wait()
        finally:
            self._followers.remove(follower)

    async def open_orders(self, instrument: Instrument | None) -> Sequence[VenueOrder]:
        """Everything resting; orders of unknown markets are kept, in units of 1e-8."""
        market = None if instrument is None else await self._markets.of(instrument)
        asked_ns = self._clock.monotonic_ns()
        told = await self.read()
        mine = [o for o in told.orders if market is None or o.market_id == market.market_id]
        return readable("account", lambda _: [self.order(one, asked_ns) for one in mine], b"")

    async def position(self, instrument: Instrument) -> VenuePosition:
        """Signed position; zero lots when the venue lists none."""
        market = await self._markets.of(instrument)
        told = await self.read()
        held = {one.market_id: one for one in told.positions}.get(market.market_id)
        return readable("account", lambda _: position_of(market, held), b"")

    async def held(self) -> Sequence[str]:
        """Symbols in which the account holds a position; a number for a market we cannot name."""
        told = await self.read()
        markets = ((one, self._markets.catalog.by_id(one.market_id)) for one in told.positions)
        return readable(
            "account",
            lambda _: sorted(
                str(one.market_id) if market is None else market.symbol
                for one, market in markets
                if one.perp is not None and one.perp.held
            ),
            b"",
        )

    async def fills(self, instrument: Instrument, since_ms: int) -> Sequence[Fill]:
        """Own fills since a venue wall-clock time, oldest first, all pages."""
        market = await self._markets.of(instrument)
        account_id = await self._user.account_id()
        trades = await self._trades.since(account_id, market.market_id, since_ms)
        return readable("trades", lambda _: list(self._trades.fills(trades, instrument)), b"")

    async def balance(self) -> Balance:
        """Account value, what new orders may use, and what is held (zo.md section 8)."""
        told = await self.margins()
        return Balance(
            equity=told.equity,
            available=told.available,
            exposure=told.exposure,
            maintenance=told.maintenance,
        )

    async def payments(self, since_ms: int, kind: PaymentKind | None = None) -> Sequence[Payment]:
        """Funding, deposits and withdrawals since a venue wall-clock time, oldest first, all pages.

        The venue lists no transfers between accounts of the engine.
        """
        return await self._payments.since(since_ms, kind)

    @property
    def sources(self) -> Sequence[Source]:
        """The engine's state, then the account stream."""
        return SOURCES

    async def views(self) -> Sequence[SourceView]:
        """What each source says now; the stream is left out while it is not in sync."""
        return await self._views.read()

    async def margins(self) -> Margins:
        """Margin figures for risk gates; reads a mark for every market that is held."""
        told = await self.read()
        marks: dict[int, Decimal | None] = {}
        for position in told.positions:
            if position.perp is not None and position.perp.base_size:
                stats = await self._reads.json("stats", decode_stats, position.market_id)
                marks[position.market_id] = stats.mark
        return readable("account", lambda _: margins_of(told.margins, told.positions, marks), b"")

    async def read(self) -> WireAccount:
        """The account as the venue has it now. Raises Refused, NotSent or Unresolved."""
        return await self._reads.json("account", decode_account, await self._user.account_id())

    def order(self, order: WireOrder, asked_ns: int) -> VenueOrder:
        """A listed order in the desk's words, remembered as known; ValueError off the grid."""
        market, order_id = self._markets.catalog.by_id(order.market_id), int(order.order_id)
        prices, sizes = (market.prices, market.sizes) if market else (_UNKNOWN, _UNKNOWN)
        number = order.client_order_id
        client_id = None if number is None else self._text(number, market)
        symbol = market.symbol if market else str(order.market_id)
        remaining = sizes[order.size]
        if client_id is not None:
            original = order.original_order_size
            lots = remaining if original is None else sizes[original]
            known = self._known.posted(order_id, client_id, symbol, lots, asked_ns)
            known.filled = max(known.filled, known.lots - remaining)
        return VenueOrder(
            symbol=symbol,
            side=side_of(order.side),
            price=prices[order.price],
            remaining=remaining,
            venue_order_id=str(order_id),
            client_order_id=client_id,
        )

    def _text(self, number: int, market: Market | None) -> str:
        if market is None:
            return str(number)
        return self._ids.text(number, market.tag, market.market_id)

    # --- what the stream tells -----------------------------------------------------------------

    def snapshot(self, told: WireAccount) -> None:
        """Stream and reads agree from here on."""
        self._positions = {one.market_id: one for one in told.positions}
        self._lost = None
        for follower in tuple(self._followers):
            instrument = follower.instrument
            self._tell(follower, lambda on=instrument: self._snapshot(on))  # type: ignore[misc]

    def change(self, fresh: Sequence[OwnTrade], told: WireAccount) -> None:
        """New trades, and the account read after them."""
        before = self._positions
        self._positions = {one.market_id: one for one in told.positions}
        traded = {one.trade.market_id for one in fresh}
        self._note_unfollowed(traded)
        for follower in tuple(self._followers):
            market = self._markets.catalog.at_hand(follower.instrument.symbol)
            moved = market is not None and (
                _held(before, market.market_id) != _held(self._positions, market.market_id)
            )
            if market is not None and (moved or market.market_id in traded):
                instrument = follower.instrument
                self._tell(follower, lambda on=instrument: self._change(on, fresh))  # type: ignore[misc]
            else:
                follower.sink(AccountAlive(received_ns=self._clock.monotonic_ns()))

    def updated(self, known: KnownOrder, *, resting: bool) -> None:
        """One order of ours changed."""
        event = OrderUpdate(
            client_order_id=known.client_id,
            venue_order_id=str(known.order_id) if known.order_id else None,
            remaining=known.lots - known.filled if resting else 0,
            filled=known.filled,
            resting=resting,
            reason=None,
            received_ns=self._clock.monotonic_ns(),
        )
        for follower in tuple(self._followers):
            if follower.instrument.symbol == known.symbol:
                follower.sink(event)

    def alive(self) -> None:
        """The stream gave a sign of life, or was proven to have missed nothing."""
        event = AccountAlive(received_ns=self._clock.monotonic_ns())
        if self._lost is None:
            for follower in tuple(self._followers):
                follower.sink(event)

    def doubt(self) -> None:
        """An answer showed that our view of the open orders is old: have it looked at now."""
        self._doubted.set()

    async def doubted(self) -> None:
        """Wait until somebody doubts."""
        await self._doubted.wait()
        self._doubted.clear()

    def lost(self, reason: str) -> None:
        """The stream is gone; what it told is not current any more."""
        self._lost = reason
        self._log.warning("zo.account_stream_lost", reason=reason)
        event = AccountLost(reason=reason, received_ns=self._clock.monotonic_ns())
        for follower in tuple(self._followers):
            follower.sink(event)

    def _snapshot(self, instrument: Instrument) -> AccountEvent:
        market = self._markets.catalog.of(instrument)
        return AccountSnapshot(
            position=position_of(market, self._positions.get(market.market_id)),
            fills=self._trades.fills(self._trades.recent(instrument.symbol), instrument),
            received_ns=self._clock.monotonic_ns(),
        )

    def _change(self, instrument: Instrument, fresh: Iterable[OwnTrade]) -> AccountEvent:
        market = self._markets.catalog.of(instrument)
        return AccountChange(
            fills=self._trades.fills(fresh, instrument),
            position=position_of(market, self._positions.get(market.market_id)),
            received_ns=self._clock.monotonic_ns(),
        )

    def _tell(self, follower: "_Follower", event: Callable[[], AccountEvent]) -> None:
        """One market's unreadable figures must not silence the other markets."""
        try:
            told = event()
        except (ValueError, ArithmeticError, Refused) as error:
            reason = f"unreadable account event: {error}"
            self._log.error("zo.account_unreadable", symbol=follower.instrument.symbol, why=reason)
            told = AccountLost(reason=reason, received_ns=self._clock.monotonic_ns())
        follower.sink(told)

    def _note_unfollowed(self, traded: set[int]) -> None:
        catalog = self._markets.catalog
        symbols = {market.symbol for one in traded if (market := catalog.by_id(one))}
        strangers = symbols - {follower.instrument.symbol for follower in self._followers}
        # Once: a guardian follows nothing, and hears every fill of the account.
        if new := strangers - self._noted:
            self._noted |= new
            self._log.warning("zo.fills_nobody_follows", symbols=sorted(new))


class _Follower:
    __slots__ = ("instrument", "sink")

    def __init__(self, instrument: Instrument, sink: Callable[[AccountEvent], None]) -> None:
        self.instrument = instrument
        self.sink = sink


def position_of(market: Market, told: WirePosition | None) -> VenuePosition:
    """A market's holding; ValueError when it is off the grid."""
    perp = None if told is None else told.perp
    if perp is None:
        return VenuePosition(symbol=market.symbol, lots=0)
    lots = market.sizes.units(perp.held)
    return VenuePosition(symbol=market.symbol, lots=lots, entry_price=perp.price if lots else None)


def _held(positions: dict[int, WirePosition], market_id: int) -> Decimal:
    told = positions.get(market_id)
    return Decimal(0) if told is None or told.perp is None else told.perp.held
