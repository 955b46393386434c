"""Our account: what the account stream tells each market, and the reads that settle the rest.

A fill is never dropped: those of markets nobody follows are kept, and logged. What a listing does
not show is concluded from REST alone, never from an empty stream snapshot (x10.md section 12.4).
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from urllib.parse import quote

import structlog

from desk.errors import VenueError
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
from desk.units import NS_PER_MS
from venues.x10.config import X10Config
from venues.x10.endings import Endings
from venues.x10.instruments import Catalog
from venues.x10.payments import Payments
from venues.x10.reads import Params, Reads, readable
from venues.x10.trades import History, OrderNames, RecentTrades, fill_of
from venues.x10.views import SOURCES, Views
from venues.x10.wire import (
    WireOrder,
    WirePosition,
    WireTrade,
    decode_balance,
    decode_orders,
    decode_positions,
    venue_order,
)

_ALIVE_EVERY_NS = 250 * NS_PER_MS
_LOOKS = 3


class X10Account:
    """AccountPort of X10. The methods from `snapshot` on are for its account stream."""

    def __init__(
        self,
        *,
        config: X10Config,
        account: str,
        reads: Reads,
        catalog: Catalog,
        history: History,
        payments: Payments,
        views: Views,
        clock: Clock,
    ) -> None:
        self._account = account
        self._grace_s = config.cancel_grace_ms / 1_000
        self._reads = reads
        self._catalog = catalog
        self._history = history
        self._payments = payments
        self._views = views
        self._clock = clock
        self._recent = RecentTrades()
        self._names = OrderNames()
        self._endings = Endings()
        self._positions: dict[str, WirePosition] = {}
        self._followers: dict[str, list[_Follower]] = defaultdict(list)
        self._lost: str | None = "the account stream has given no snapshot yet"
        self._alive_ns = 0
        self._noted: set[str] = set()
        self._log = structlog.get_logger(__name__)

    async def run(self, instrument: Instrument, sink: Callable[[AccountEvent], None]) -> None:
        """Deliver this market's account events until cancelled; one stream serves all markets.

        The stream itself is held by `X10Venue.run`. Fills in a snapshot are those the venue and
        this process remember; they repeat, with the same trade ids.
        """
        self._catalog.adopt(instrument)
        follower = _Follower(instrument, sink)
        self._noted.discard(instrument.symbol)
        followers = self._followers[instrument.symbol]
        followers.append(follower)
        try:
            if self._lost is None:
                self._tell_snapshot(follower)
            else:
                sink(AccountLost(reason=self._lost, received_ns=self._clock.monotonic_ns()))
            await asyncio.Event().wait()
        finally:
            followers.remove(follower)

    async def open_orders(self, instrument: Instrument | None) -> Sequence[VenueOrder]:
        """Everything resting; orders of unknown symbols are kept, in units of 1e-8."""
        params: Params = {} if instrument is None else {"market": instrument.symbol}
        listed = (await self._reads.get("/user/orders", decode_orders, params)).data
        mine = [
            order
            for order in listed
            if not order.gone and (instrument is None or order.market == instrument.symbol)
        ]
        self._learn(mine)
        return readable(
            "open orders", lambda _: [self._order(order, instrument) for order in mine], b""
        )

    async def position(self, instrument: Instrument) -> VenuePosition:
        """Signed position; zero lots when the venue lists none."""
        params = {"market": instrument.symbol}
        listed = (await self._reads.get("/user/positions", decode_positions, params)).data
        return readable("positions", lambda _: position_of(instrument, listed), b"")

    async def held(self) -> Sequence[str]:
        """Symbols in which the account holds a position, also such that we cannot trade."""
        listed = (await self._reads.get("/user/positions", decode_positions, {})).data
        return readable(
            "positions", lambda _: sorted({one.market for one in listed if one.held}), b""
        )

    async def fills(self, instrument: Instrument, since_ms: int) -> Sequence[Fill]:
        """Own fills since a venue wall-clock time, oldest first, all pages."""
        trades = await self._history.since(instrument.symbol, since_ms)
        return readable("own trades", lambda _: self._fills(instrument, trades), b"")

    async def balance(self) -> Balance:
        """Collateral that backs quoting; the venue answers 404 when it is zero (section 11.3)."""
        found = await self._reads.find("/user/balance", decode_balance, {})
        if found is None:
            return Balance(equity=Decimal(0), available=Decimal(0), exposure=Decimal(0))
        return readable("balance", lambda _: found.data.balance(), b"")

    async def payments(self, since_ms: int, kind: PaymentKind | None = None) -> Sequence[Payment]:
        """Funding and transfers since a venue wall-clock time, oldest first, all pages.

        A transfer that is pending comes once it has ended, with the time at which it began.
        """
        return await self._payments.since(since_ms, kind)

    @property
    def sources(self) -> Sequence[Source]:
        """The account endpoint, then the account stream; the chain is not readable from here."""
        return SOURCES

    async def views(self) -> Sequence[SourceView]:
        """What each source says now; the stream is left out while it is not in sync."""
        return await self._views.read()

    async def find(self, instrument: Instrument, client_order_id: str) -> VenueOrder | None:
        """The resting order with this id, None when the venue knows of none resting."""
        path = f"/user/orders/external/{quote(client_order_id, safe='')}"
        found = await self._reads.find(path, decode_orders, {})
        if found is None:
            return None
        # A state we do not know is not known to be an end.
        resting = [one for one in found.data if not one.gone and one.market == instrument.symbol]
        self._learn(resting)
        return readable(
            "order", lambda _: self._order(resting[0], instrument) if resting else None, b""
        )

    async def gone(self, instrument: Instrument, names: Sequence[str]) -> bool:
        """Whether these orders certainly rest no more: the stream said so, or a listing does."""
        if await self._endings.all_within(names, self._grace_s):
            return True
        try:
            listed = await self.open_orders(instrument)
        except VenueError:
            return False
        return not {one.client_order_id for one in listed} & set(names)

    async def cleared(self, instrument: Instrument) -> bool:
        """Whether the venue lists nothing of this market, within a few looks."""
        for look in range(_LOOKS):
            if look:
                await asyncio.sleep(self._grace_s)
            try:
                if not await self.open_orders(instrument):
                    return True
            except VenueError:
                return False
        return False

    def placed(self, venue_id: str, name: str) -> None:
        """An answer told the venue's id of one of our orders."""
        self._names.learn(venue_id, name)

    @property
    def last_trade_id(self) -> int | None:
        """Newest fill we know of, to page back to after a loss."""
        return self._recent.last_id

    def snapshot(self, positions: Iterable[WirePosition], trades: Iterable[WireTrade]) -> None:
        """The account stream (re)started, and REST told the whole state."""
        self._positions = {one.market: one for one in positions}
        self._note_unfollowed(self._recent.add(trades))
        self._lost = None
        for follower in self._everybody():
            self._tell_snapshot(follower)

    def orders(self, told: Sequence[WireOrder]) -> None:
        """The account stream told states of orders."""
        self._learn(told)
        for order in told:
            if order.gone and order.external_id:
                self._endings.ended(order.external_id)
            elif not order.rests:
                self._log.warning("x10.order_status_unknown", status=order.status)
                continue
            for follower in self._followers.get(order.market, ()):
                self._tell_order(follower, order)
        self._others_alive({order.market for order in told})

    def trades(self, told: Sequence[WireTrade]) -> None:
        """The account stream told fills, perhaps ones we know."""
        fresh = self._recent.add(told)
        self._note_unfollowed(fresh)
        markets = {trade.market for trade in fresh}
        for market in markets:
            mine = [trade for trade in fresh if trade.market == market]
            for follower in self._followers.get(market, ()):
                self._tell_change(follower, mine, moved=False)
        self._others_alive(markets)

    def positions(self, told: Sequence[WirePosition]) -> None:
        """The account stream told positions; news older than what we hold is ignored."""
        moved = set()
        for position in told:
            held = self._positions.get(position.market)
            if held is None or not position.told_ms or position.told_ms >= held.told_ms:
                self._positions[position.market] = position
                moved.add(position.market)
        for market in moved:
            for follower in self._followers.get(market, ()):
                self._tell_change(follower, (), moved=True)
        self._others_alive(moved)

    def alive(self) -> None:
        """The account stream gave a sign of life."""
        self._others_alive(())

    def lost(self, reason: str) -> None:
        """The account stream is gone; what it told is not current any more."""
        self._lost = reason
        self._log.warning("x10.account_stream_lost", account=self._account, reason=reason)
        event = AccountLost(reason=reason, received_ns=self._clock.monotonic_ns())
        for follower in self._everybody():
            follower.sink(event)

    def _everybody(self) -> list["_Follower"]:
        return [one for followers in self._followers.values() for one in followers]

    def _others_alive(self, told: Iterable[str]) -> None:
        """Who was not told anything hears that the stream lives, a few times a second at most."""
        now_ns = self._clock.monotonic_ns()
        if self._lost is not None or now_ns - self._alive_ns < _ALIVE_EVERY_NS:
            return
        self._alive_ns = now_ns
        event = AccountAlive(received_ns=now_ns)
        markets = set(told)
        for follower in self._everybody():
            if follower.instrument.symbol not in markets:
                follower.sink(event)

    def _tell_snapshot(self, follower: "_Follower") -> None:
        instrument = follower.instrument
        self._tell(
            follower,
            lambda: AccountSnapshot(
                position=self._held(instrument),
                fills=self._fills(instrument, self._recent.recent(instrument.symbol)),
                received_ns=self._clock.monotonic_ns(),
            ),
        )

    def _tell_change(
        self, follower: "_Follower", fresh: Sequence[WireTrade], *, moved: bool
    ) -> None:
        instrument = follower.instrument
        self._tell(
            follower,
            lambda: AccountChange(
                fills=self._fills(instrument, fresh),
                position=self._held(instrument) if moved else None,
                received_ns=self._clock.monotonic_ns(),
            ),
        )

    def _tell_order(self, follower: "_Follower", order: WireOrder) -> None:
        name, sizes = order.external_id, self._catalog.grids(follower.instrument)[1]
        if name:
            self._tell(
                follower,
                lambda: OrderUpdate(
                    client_order_id=name,
                    venue_order_id=str(order.id),
                    remaining=sizes.read(format(order.remaining, "f")),
                    filled=sizes.read(order.filled),
                    resting=order.rests,
                    reason=order.why,
                    received_ns=self._clock.monotonic_ns(),
                ),
            )

    def _tell(self, follower: "_Follower", event: Callable[[], AccountEvent]) -> None:
        """One market's unreadable numbers must not silence the other markets."""
        try:
            told = event()
        except (ValueError, ArithmeticError) as error:
            reason = f"unreadable account event: {error}"
            self._log.error("x10.account_unreadable", symbol=follower.instrument.symbol, why=reason)
            told = AccountLost(reason=reason, received_ns=self._clock.monotonic_ns())
        follower.sink(told)

    def _held(self, instrument: Instrument) -> VenuePosition:
        held = self._positions.get(instrument.symbol)
        return position_of(instrument, () if held is None else (held,))

    def _fills(self, instrument: Instrument, trades: Iterable[WireTrade]) -> tuple[Fill, ...]:
        grids = self._catalog.grids(instrument)
        return tuple(
            fill_of(one, instrument, self._account, grids=grids, name=self._names.of(one))
            for one in trades
        )

    def _learn(self, orders: Iterable[WireOrder]) -> None:
        for order in orders:
            if order.external_id:
                self._names.learn(str(order.id), order.external_id)

    def _note_unfollowed(self, trades: Iterable[WireTrade]) -> None:
        strangers = {one.market for one in trades if not self._followers.get(one.market)}
        # Once: a guardian follows nothing, and hears every fill of the account.
        if new := strangers - self._noted:
            self._noted |= new
            self._log.warning("x10.fills_nobody_follows", symbols=sorted(new))

    def _order(self, order: WireOrder, asked: Instrument | None) -> VenueOrder:
        instrument = asked or self._catalog.known(order.market)
        return venue_order(order, None if instrument is None else self._catalog.grids(instrument))


class _Follower:
    __slots__ = ("instrument", "sink")

    def __init__(self, instrument: Instrument, sink: Callable[[AccountEvent], None]) -> None:
        self.instrument = instrument
        self.sink = sink


def position_of(instrument: Instrument, listed: Iterable[WirePosition]) -> VenuePosition:
    """Sum of a market's open positions; ValueError when it is off the grid."""
    held = [one for one in listed if one.market == instrument.symbol and one.held]
    pnl = [Decimal(one.realised_pnl) for one in held if one.realised_pnl is not None]
    entry = held[0].open_price if len(held) == 1 else None
    return VenuePosition(
        symbol=instrument.symbol,
        lots=instrument.exact_lots(sum((one.held for one in held), Decimal(0))),
        entry_price=None if entry is None else Decimal(entry),
        realized_pnl=sum(pnl, Decimal(0)) if pnl else None,
    )
