"""The one account stream: news of all markets, checked against the account's own counter.

It gives no snapshot and no trade ids, so it is a bell: what it announces is read from the lists
(zo.md section 3.4). A gap, or a counter that went on without it, starts over.
"""

import asyncio
from contextlib import suppress

from desk.ports import Clock
from desk.units import NS_PER_S
from venues._transport.backoff import Backoff
from venues._transport.websocket import StreamEnded
from venues.zo.account import ZoAccount
from venues.zo.client_ids import ClientIds
from venues.zo.config import ZoConfig
from venues.zo.engine_clock import EngineClock
from venues.zo.heard import Heard
from venues.zo.instruments import Market
from venues.zo.known_orders import KnownOrders
from venues.zo.markets import Markets
from venues.zo.own_trades import OwnTrades
from venues.zo.payloads import WireAccount, WireAccountUpdate, WireFill, WirePlace, decode_frame
from venues.zo.reads import readable
from venues.zo.streams import Continuity, KeptStream
from venues.zo.user import User

_LOOK_BACK_MS = 600_000
_RETRY_S = 0.1
_LONGEST_RETRY_S = 1.0
_PATIENCE = 12
_SETTLED_NS = 2 * NS_PER_S


class AccountStream:
    """Feeds a `ZoAccount` until cancelled."""

    def __init__(
        self,
        *,
        config: ZoConfig,
        user: User,
        engine: EngineClock,
        markets: Markets,
        account: ZoAccount,
        trades: OwnTrades,
        known: KnownOrders,
        heard: Heard,
        ids: ClientIds,
        clock: Clock,
        backoff: Backoff,
    ) -> None:
        self._user = user
        self._engine = engine
        self._markets = markets
        self._account = account
        self._trades = trades
        self._known = known
        self._heard = heard
        self._ids = ids
        self._clock = clock
        self._poll_s = config.account_poll_s
        self._interval_s = config.fills_interval_s
        self._compare_ids = config.compare_ids
        self._numbers = Continuity(strict=config.first_delta == "strict")
        self._waiting: list[WireAccountUpdate] | None = []
        self._account_id = 0
        self._behind = 0
        self._kept = KeptStream(
            config=config,
            on_message=self._message,
            on_alive=self._alive,
            path=self._path,
            follow=self._follow,
            lost=self._lost,
            backoff=backoff,
            clock=clock,
        )

    async def run(self) -> None:
        """Never returns."""
        await self._kept.run()

    async def _path(self) -> str:
        self._waiting = []
        self._account_id = await self._user.account_id()
        await self._markets.load()
        if self._engine.age_s() is None:
            await self._engine.refresh()
        self._trades.begin(self._engine.now_s() * 1_000 - _LOOK_BACK_MS)
        return f"/ws/account@{self._account_id}"

    def _lost(self, reason: str) -> None:
        self._heard.forget()
        self._account.lost(reason)

    def _alive(self) -> None:
        if self._waiting is None:
            self._account.alive()

    def _message(self, data: bytes) -> None:
        update = decode_frame(data).account
        if update is None or update.account_id != self._account_id:
            self._alive()
        elif self._waiting is not None:
            self._waiting.append(update)
        else:
            self._take(update)

    def _take(self, update: WireAccountUpdate) -> None:
        if self._numbers.is_new(update.update_id, update.last_update_id):
            self._heard.take(update)
            for order_id, place in update.places.items():
                self._placed(int(order_id), place)
            for order_id, fill in update.fills.items():
                self._filled(int(order_id), fill)
            for order_id, place in update.cancels.items():
                self._cancelled(int(order_id), place)
        self._account.alive()

    def _placed(self, order_id: int, place: WirePlace) -> None:
        market = self._market(place.market_id)
        known = self._known.get(order_id)
        if known is None and market is not None and place.client_order_id is not None:
            client_id = self._ids.text(place.client_order_id, market.tag, market.market_id)
            lots = market.sizes[place.current_size]
            now_ns = self._clock.monotonic_ns()
            known = self._known.posted(order_id, client_id, market.symbol, lots, now_ns)
        if known is not None and known.open:
            self._account.updated(known, resting=True)

    def _filled(self, order_id: int, fill: WireFill) -> None:
        market = self._market(fill.market_id)
        self._account.doubt()
        if market is None:
            return
        left = None if fill.remaining is None else market.sizes[fill.remaining]
        known = self._known.get(order_id)
        lots = market.sizes[fill.quantity]
        if fill.taker_id == self._account_id and fill.maker_id != self._account_id:
            self._trades.expect(None, fill.market_id, lots, whole=False)
        elif known is None or left is None:
            self._trades.expect(order_id, fill.market_id, lots, whole=False)
        else:
            known.filled = max(known.filled, known.lots - left)
            self._trades.expect(order_id, fill.market_id, known.filled, whole=True)
        if left == 0:
            known = self._known.ended(order_id, 0)
        if known is not None:
            self._account.updated(known, resting=known.open)

    def _cancelled(self, order_id: int, place: WirePlace) -> None:
        market = self._market(place.market_id)
        left = None if market is None else market.sizes[place.current_size]
        known = self._known.ended(order_id, left)
        if known is not None:
            self._account.updated(known, resting=False)

    def _market(self, market_id: int) -> Market | None:
        return self._markets.catalog.by_id(market_id)

    # --- reads beside the stream ---------------------------------------------------------------

    async def _follow(self) -> None:
        """Read the whole, take what the stream said meanwhile, then look whenever it rings."""
        start = await self._account.read()
        self._numbers.start(start.update_id)
        if self._compare_ids:
            readable("account", lambda _: self._heard.start(start), b"")
        await self._trades.fresh(self._account_id)
        asked_ns = self._clock.monotonic_ns()
        told = await self._account.read()
        self._learn(told, asked_ns)
        self._account.snapshot(told)
        self._tell_ended(told, asked_ns)
        waiting, self._waiting = self._waiting or [], None
        for update in waiting:
            self._take(update)
        self._behind = 0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._account.doubted()
            await self._look()
            if self._heard.doubted:
                raise StreamEnded("it contradicts the engine's state")
            await asyncio.sleep(self._interval_s)

    async def _look(self) -> None:
        """Trades first, then the account: its position holds every fill that is told with it."""
        for attempt in range(_PATIENCE):
            fresh = await self._trades.fresh(self._account_id)
            asked_ns = self._clock.monotonic_ns()
            told = await self._account.read()
            self._learn(told, asked_ns)
            self._account.change(fresh, told)
            self._tell_ended(told, asked_ns)
            self._judge(told)
            if not self._trades.missing:
                return
            await asyncio.sleep(min(_LONGEST_RETRY_S, _RETRY_S * 2**attempt))
        raise StreamEnded("fills were heard that the venue does not list")

    def _learn(self, told: WireAccount, asked_ns: int) -> None:
        readable("account", lambda _: [self._account.order(o, asked_ns) for o in told.orders], b"")

    def _tell_ended(self, told: WireAccount, asked_ns: int) -> None:
        """Orders known well before we asked that are not listed rest no more."""
        listed = {int(one.order_id) for one in told.orders}
        for known in self._known.open(asked_ns - _SETTLED_NS):
            if known.order_id not in listed:
                self._known.ended(known.order_id, None)
                self._account.updated(known, resting=False)

    def _judge(self, told: WireAccount) -> None:
        """A stream that is behind what was read one look ago has missed something."""
        if not self._compare_ids:
            return
        if self._numbers.last < self._behind:
            raise StreamEnded(
                f"the venue was at update {self._behind} and the stream is at {self._numbers.last}"
            )
        if told.update_id > self._numbers.last:
            self._behind = told.update_id
            # Looked at again soon, and not only at the next poll.
            asyncio.get_running_loop().call_later(2 * self._interval_s, self._account.doubt)
        else:
            self._behind = 0
