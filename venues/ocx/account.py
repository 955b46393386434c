"""Our account: what the user stream tells each market, and the reads that settle the rest.

A fill is never dropped: those of markets nobody follows are kept, and logged.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
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
from desk.payments import Payment, PaymentKind
from desk.ports import Clock
from desk.sources import Quarrel, Source, SourceView
from venues._transport.sse import StreamEnded
from venues.ocx.config import OcxConfig
from venues.ocx.instruments import Catalog
from venues.ocx.reads import Reads, readable
from venues.ocx.trades import Numbered, RecentTrades, fill_of, number
from venues.ocx.views import ENDPOINT, SOURCES, STREAM, view_of
from venues.ocx.wire import (
    WireOrder,
    WirePosition,
    WireTrade,
    WireUser,
    decode_balance,
    decode_orders,
    decode_positions,
    decode_trades,
    venue_order,
)

_UNHEARD = "the account stream has given no snapshot yet"
_LOOKS = 2


class OcxAccount:
    """AccountPort of OCX. `snapshot` to `unheard` are for whoever holds its user stream."""

    def __init__(
        self, *, config: OcxConfig, account: str, reads: Reads, catalog: Catalog, clock: Clock
    ) -> None:
        self._account = account
        self._reads = reads
        self._catalog = catalog
        self._clock = clock
        self._page = config.trades_page
        self._by_venue = config.trade_ids == "venue"
        self._recent = RecentTrades(by_venue=self._by_venue)
        self._positions: dict[str, WirePosition] = {}
        self._followers: list[_Follower] = []
        self._lost: str | None = _UNHEARD
        self._heard_ns = 0
        self._quarrel = Quarrel()
        self._doubted = False
        self._noted: set[str] = set()
        self._log = structlog.get_logger(__name__)

    async def run(self, instrument: Instrument, sink: Callable[[AccountEvent], None]) -> None:
        """Deliver this market's account events until cancelled; one stream serves all markets.

        The stream itself is held by `OcxVenue.run`. Fills in a snapshot are those the venue and
        this process remember; they repeat, with the same trade ids.
        """
        self._catalog.adopt(instrument)
        follower = _Follower(instrument, sink)
        self._noted.discard(instrument.symbol)
        self._followers.append(follower)
        try:
            if self._lost is None:
                self._tell_snapshot(follower)
            else:
                sink(AccountLost(reason=self._lost, received_ns=self._clock.monotonic_ns()))
            await asyncio.Event().wait()
        finally:
            self._followers.remove(follower)

    async def open_orders(self, instrument: Instrument | None) -> Sequence[VenueOrder]:
        """Everything resting; orders of unknown symbols are kept, in units of 1e-8."""
        params = {} if instrument is None else {"marketId": instrument.symbol}
        listed = await self._reads.private("open_orders", decode_orders, params)
        mine = [
            order
            for order in listed
            if order.rests and (instrument is None or order.market_id == instrument.symbol)
        ]
        return readable(
            "open_orders", lambda _: [self._order(order, instrument) for order in mine], b""
        )

    async def position(self, instrument: Instrument) -> VenuePosition:
        """Signed position; zero lots when the venue lists none."""
        listed = await self._reads.private("positions", decode_positions, {})
        return readable("positions", lambda _: position_of(instrument, listed), b"")

    async def held(self) -> Sequence[str]:
        """Symbols in which the account holds a position, also such that we cannot trade."""
        listed = await self._reads.private("positions", decode_positions, {})
        return readable(
            "positions", lambda _: sorted({one.market_id for one in listed if one.held}), b""
        )

    async def fills(self, instrument: Instrument, since_ms: int) -> Sequence[Fill]:
        """Own fills since a venue wall-clock time, oldest first, all pages."""
        self._catalog.adopt(instrument)
        trades = await self._all_trades(instrument.symbol, since_ms)
        grids = self._catalog.grids(instrument)
        return readable(
            "own_trades",
            lambda _: [
                fill_of(one, instrument, self._account, grids)
                for one in number(trades, by_venue=self._by_venue)
            ],
            b"",
        )

    async def balance(self) -> Balance:
        """Collateral that backs quoting, and what all positions cost at entry.

        The venue does not tell what they are worth; an entry price it leaves out leaves that open.
        What is owned (spot) is no exposure: it is paid for, and not always in the collateral.
        """
        told = await self._reads.private(
            "balances", lambda body: decode_balance(body).balance(), {}
        )
        listed = await self._reads.private("positions", decode_positions, {})
        owed = [one for one in listed if not self._catalog.owns(one.market_id)]
        return replace(told, exposure=readable("positions", lambda _: exposure_of(owed), b""))

    async def payments(
        self,
        since_ms: int,  # noqa: ARG002
        kind: PaymentKind | None = None,  # noqa: ARG002
    ) -> Sequence[Payment]:
        """None: OCX lists neither funding nor transfers (ocx.md sections 3.4 and 4.5)."""
        return ()

    @property
    def sources(self) -> Sequence[Source]:
        """The account endpoint, and below it the user stream."""
        return SOURCES

    async def views(self) -> Sequence[SourceView]:
        """What both say now, for two requests; the stream only while it is in sync.

        Both once more when the stream moved while the endpoint was read. A stream that contradicts
        the endpoint for half a minute is started anew at its next word, so that what is told to
        markets follows the higher word.
        """
        for _ in range(_LOOKS):
            before = dict(self._positions)
            endpoint = await self._endpoint()
            if before == self._positions:
                break
        heard = self._heard()
        apart = heard is not None and heard.positions != endpoint.positions
        if self._quarrel.lasts(apart=apart, now_ns=endpoint.asked_ns):
            self._doubted = True
        return (endpoint,) if heard is None else (endpoint, heard)

    async def _endpoint(self) -> SourceView:
        asked_ns = self._clock.monotonic_ns()
        listed = await self._reads.private("positions", decode_positions, {})
        funds = await self._reads.private(
            "balances", lambda body: decode_balance(body).balance(), {}
        )
        return readable(
            "positions",
            lambda _: view_of(
                ENDPOINT, listed, self._catalog, asked_ns=asked_ns, equity=funds.equity
            ),
            b"",
        )

    def _heard(self) -> SourceView | None:
        """What the user stream says, as of its last sign of life; None when that cannot be said."""
        if self._lost is not None:
            return None
        try:
            return view_of(STREAM, self._positions.values(), self._catalog, asked_ns=self._heard_ns)
        except (ValueError, ArithmeticError) as error:
            self._log.error("ocx.account_unreadable", account=self._account, why=str(error))
            return None

    def snapshot(self, told: WireUser) -> None:
        """The user stream (re)started with the whole state."""
        self._check_doubt()
        self._heard_ns = self._clock.monotonic_ns()
        self._positions = {position.key: position for position in told.positions}
        self._recent.snapshot(told.trades)
        self._lost = None
        self._note_unfollowed(told.trades)
        for follower in tuple(self._followers):
            self._tell_snapshot(follower)

    def change(self, told: WireUser) -> None:
        """The user stream told new trades, changed positions, removed positions."""
        self._check_doubt()
        self._heard_ns = self._clock.monotonic_ns()
        fresh = self._recent.change(told.trades)
        moved = {self._forget(key) for key in told.removed_ids}
        for position in (*told.positions, *told.upserts):
            self._positions[position.key] = position
            moved.add(position.market_id)
        self._note_unfollowed(trade for _, trade in fresh)
        for follower in tuple(self._followers):
            symbol = follower.instrument.symbol
            mine = [one for one in fresh if one[1].market_id == symbol]
            if mine or symbol in moved:
                self._tell_change(follower, mine, moved=symbol in moved)
            else:
                follower.sink(AccountAlive(received_ns=self._clock.monotonic_ns()))

    def alive(self) -> None:
        """The user stream gave a sign of life."""
        self._check_doubt()
        event = AccountAlive(received_ns=self._clock.monotonic_ns())
        if self._lost is None:
            self._heard_ns = event.received_ns
            for follower in tuple(self._followers):
                follower.sink(event)

    def lost(self, reason: str) -> None:
        """The user stream is gone; what it told is not current any more."""
        self._lost, self._doubted = reason, False
        self._log.warning("ocx.account_stream_lost", account=self._account, reason=reason)
        event = AccountLost(reason=reason, received_ns=self._clock.monotonic_ns())
        for follower in tuple(self._followers):
            follower.sink(event)

    def unheard(self) -> None:
        """Nobody holds the user stream any more: nothing it told is current from now on."""
        self._lost, self._doubted = _UNHEARD, False

    def _check_doubt(self) -> None:
        """End a connection that is not believed; the next one begins with the whole state."""
        if self._doubted:
            raise StreamEnded("it contradicts the account endpoint")

    def _tell_snapshot(self, follower: "_Follower") -> None:
        instrument = follower.instrument
        self._tell(
            follower,
            lambda: AccountSnapshot(
                position=position_of(instrument, self._positions.values()),
                fills=self._fills(instrument, self._recent.recent(instrument.symbol)),
                received_ns=self._clock.monotonic_ns(),
            ),
        )

    def _tell_change(
        self, follower: "_Follower", fresh: Sequence[Numbered], *, moved: bool
    ) -> None:
        instrument = follower.instrument
        self._tell(
            follower,
            lambda: AccountChange(
                fills=self._fills(instrument, fresh),
                position=position_of(instrument, self._positions.values()) if moved else None,
                received_ns=self._clock.monotonic_ns(),
            ),
        )

    def _tell(self, follower: "_Follower", event: Callable[[], AccountEvent]) -> None:
        """One market's unreadable numbers must not silence the other markets."""
        try:
            told = event()
        except (ValueError, ArithmeticError) as error:
            reason = f"unreadable account event: {error}"
            self._log.error("ocx.account_unreadable", symbol=follower.instrument.symbol, why=reason)
            told = AccountLost(reason=reason, received_ns=self._clock.monotonic_ns())
        follower.sink(told)

    def _fills(self, instrument: Instrument, trades: Iterable[Numbered]) -> tuple[Fill, ...]:
        grids = self._catalog.grids(instrument)
        return tuple(fill_of(one, instrument, self._account, grids) for one in trades)

    def _forget(self, key: str) -> str:
        gone = self._positions.pop(key, None)
        return key if gone is None else gone.market_id

    def _note_unfollowed(self, trades: Iterable[WireTrade]) -> None:
        followed = {follower.instrument.symbol for follower in self._followers}
        strangers = {trade.market_id for trade in trades} - followed
        # Once: a guardian follows nothing, and hears every fill of the account.
        if new := strangers - self._noted:
            self._noted |= new
            self._log.warning("ocx.fills_nobody_follows", symbols=sorted(new))

    def _order(self, order: WireOrder, asked: Instrument | None) -> VenueOrder:
        instrument = asked or self._catalog.known(order.market_id)
        return venue_order(order, None if instrument is None else self._catalog.grids(instrument))

    async def _all_trades(self, symbol: str, since_ms: int) -> list[WireTrade]:
        """Every page starts with the last millisecond of the page before, read again whole.

        Only a page with nothing newer is the last: the venue may cap pages below what we ask for.
        """
        found: list[WireTrade] = []
        start_ms = since_ms
        while True:
            page = await self._trades_page(symbol, start_ms)
            last_ms = max((trade.created_ms for trade in page), default=start_ms)
            if last_ms <= start_ms:
                if len(page) >= self._page:
                    raise Unresolved(f"own_trades: more than one page of trades at {last_ms} ms")
                return found + page
            found += [trade for trade in page if trade.created_ms < last_ms]
            start_ms = last_ms

    async def _trades_page(self, symbol: str, start_ms: int) -> list[WireTrade]:
        page = await self._reads.private(
            "own_trades",
            decode_trades,
            {"marketId": symbol, "from": start_ms, "limit": self._page},
        )
        mine = readable(
            "own_trades",
            lambda _: [
                trade
                for trade in page
                if trade.market_id == symbol and trade.created_ms >= start_ms
            ],
            b"",
        )
        return sorted(mine, key=lambda trade: trade.created_ms)


class _Follower:
    __slots__ = ("instrument", "sink")

    def __init__(self, instrument: Instrument, sink: Callable[[AccountEvent], None]) -> None:
        self.instrument = instrument
        self.sink = sink


def exposure_of(listed: Iterable[WirePosition]) -> Decimal | None:
    """Entry value of all open positions, unsigned; None when an entry price is missing."""
    worth = Decimal(0)
    for one in listed:
        if not one.held:
            continue
        if one.entry_price is None:
            return None
        worth += abs(one.held) * Decimal(one.entry_price)
    return worth


def position_of(instrument: Instrument, listed: Iterable[WirePosition]) -> VenuePosition:
    """Sum of a market's open positions; ValueError when it is off the grid."""
    held = [one for one in listed if one.market_id == instrument.symbol and one.held]
    pnl = [Decimal(one.realized_pnl) for one in held if one.realized_pnl is not None]
    entry = held[0].entry_price if len(held) == 1 else None
    return VenuePosition(
        symbol=instrument.symbol,
        lots=instrument.exact_lots(sum((one.held for one in held), Decimal(0))),
        entry_price=None if entry is None else Decimal(entry),
        realized_pnl=sum(pnl, Decimal(0)) if pnl else None,
    )
