"""This process's part of a rate budget that the whole fleet shares.

The rule: an order goes only on a token of the shared bucket, and no token is used twice; a cancel
is never held up because a service of ours is away. Taking is synchronous: tokens are drawn ahead.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace

import structlog

from desk.errors import Unavailable
from desk.ports import Clock
from desk.rate_ports import RateLaw, RateShare, RateShares
from desk.units import NS_PER_S
from venues._transport.rate_limit import RateBudget, RateNews, RequestKind
from venues._transport.rate_stock import Pace, RateStock

_HANDFUL = 5
_HANDFUL_SHARE = 20
_LIFE_SHARE = 20
_LONGEST_LIFE_S = 3.0
_SHORTEST_LIFE_S = 0.25
_ASK_S = 0.05
_AWAY_S = 1.0
_RETRY_S = 0.5
_PAUSE_S = 1.0
_LONGEST_PAUSE_WINDOWS = 10


class SharedRate:
    """Budget over `RateShares`. Hold `run` in a task group; without it, only cancels go.

    A token lives at most three seconds here, and the bucket counts it for that much longer than
    the venue's window: whenever it is used within its life, the venue's own limit holds.
    """

    def __init__(
        self, *, shares: RateShares, key: str, law: RateLaw, local: RateBudget, clock: Clock
    ) -> None:
        self._shares = shares
        self._key = key
        self._local = local
        self._clock = clock
        self._window_s = law.window_s
        self._life_s = min(max(law.window_s / _LIFE_SHARE, _SHORTEST_LIFE_S), _LONGEST_LIFE_S)
        self._life_ns = int(self._life_s * NS_PER_S)
        # Who has not asked for a token's life holds none: after that, everybody alive has told.
        self._law = replace(law, window_s=law.window_s + self._life_s, settle_s=self._life_s)
        self._most_orders = law.capacity - law.reserved
        self._handful = max(1, min(_HANDFUL, self._most_orders // _HANDFUL_SHARE))
        self._most_cancels = max(1, law.reserved // 2)
        self._cancels_handful = max(1, min(_HANDFUL, law.reserved // 4))
        self._orders = RateStock(life_ns=self._life_ns)
        self._cancels = RateStock(life_ns=self._life_ns)
        self._order_pace = Pace()
        self._cancel_pace = Pace()
        self._quoted_ns = clock.monotonic_ns()
        self._answered_ns: int | None = None
        self._generation = 0
        self._owed = 0
        self._orders_short_until_ns = 0
        self._cancels_short_until_ns = 0
        self._orders_low = 0
        self._scarce = False
        self._paused_until_ns = 0
        self._pause_to_tell_ns = 0
        self._away_told = False
        self._wake = asyncio.Event()
        self._log = structlog.get_logger(__name__)

    def take(self, kind: RequestKind) -> float:
        """Take one token: 0.0 when taken; else nothing was taken and so many seconds to wait."""
        now_ns = self._clock.monotonic_ns()
        return self._take_cancel(now_ns) if kind is RequestKind.CANCEL else self._take_order(now_ns)

    @property
    def bucket(self) -> str:
        """The key its tokens are drawn with."""
        return self._key

    def put(self, orders: int, *, stamp: int, asked_ns: int) -> None:
        """Hold order tokens that another call drew from the bucket, begun at `asked_ns`."""
        self._orders.add(orders, stamp=stamp, asked_ns=asked_ns)

    def overdraw(self) -> None:
        """Count a cancel that goes out although `take` said to wait; the bucket is told."""
        self._local.overdraw()
        self._owed += 1
        self._wake.set()

    def heard(self, news: RateNews) -> None:
        """Take in what an answer said. A 429, or a time to wait, pauses orders of every process."""
        pause_s = news.retry_after_s
        if pause_s is None and not news.too_many:
            self._local.heard(news)
            return
        self._local.heard(replace(news, retry_after_s=None))
        pause_s = _PAUSE_S if pause_s is None else pause_s
        pause_s = min(pause_s, _LONGEST_PAUSE_WINDOWS * self._window_s)
        until_ns = self._clock.monotonic_ns() + int(pause_s * NS_PER_S)
        if until_ns > self._paused_until_ns:
            self._paused_until_ns = self._pause_to_tell_ns = until_ns
            self._wake.set()

    async def run(self) -> None:
        """Keep the stock filled until cancelled; trouble with the shared bucket only delays."""
        while True:
            self._wake.clear()
            try:
                await self.refill()
            except Unavailable:
                await asyncio.sleep(_RETRY_S)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(self._life_s / 3):
                    await self._wake.wait()

    async def refill(self) -> None:
        """Tell the bucket what it has to know and draw what is missing. Raises Unavailable."""
        try:
            await self._tell_pause()
            await self._draw()
        except Unavailable as trouble:
            if not self._away_told:
                self._log.warning("rate.shared_budget_away", key=self._key, trouble=str(trouble))
            self._answered_ns, self._away_told = None, True
            raise

    def _take_order(self, now_ns: int) -> float:
        if self._paused_until_ns > now_ns:
            return (self._paused_until_ns - now_ns) / NS_PER_S
        self._quoted_ns = now_ns
        if not self._orders.ready(now_ns):
            return self._refused(now_ns, self._orders_short_until_ns, self._order_pace)
        wait_s = self._local.take(RequestKind.ORDER)
        if wait_s > 0:
            return wait_s
        self._orders.use(now_ns)
        self._order_pace.note(now_ns)
        if self._orders.held <= self._orders_low and now_ns >= self._orders_short_until_ns:
            self._wake.set()
        return 0.0

    def _take_cancel(self, now_ns: int) -> float:
        cancels, orders = self._cancels, self._orders
        stock = cancels if cancels.ready(now_ns) else orders if orders.ready(now_ns) else None
        if stock is None and self._reachable(now_ns):
            return self._refused(now_ns, self._cancels_short_until_ns, self._cancel_pace)
        wait_s = self._local.take(RequestKind.CANCEL)
        if wait_s > 0:
            return wait_s
        self._cancel_pace.note(now_ns)
        if stock is None:
            self._owed += 1
        else:
            stock.use(now_ns)
        if now_ns >= self._cancels_short_until_ns:
            self._wake.set()
        return 0.0

    def _refused(self, now_ns: int, short_until_ns: int, pace: Pace) -> float:
        """Seconds to wait without a token; never long, for others may give theirs back."""
        if not self._reachable(now_ns):
            return _AWAY_S
        if short_until_ns > now_ns:
            return min(max(_ASK_S, (short_until_ns - now_ns) / NS_PER_S), self._life_s)
        pace.note(now_ns)
        self._wake.set()
        return _ASK_S

    def _reachable(self, now_ns: int) -> bool:
        return self._answered_ns is not None and now_ns - self._answered_ns < self._life_ns

    async def _tell_pause(self) -> None:
        until_ns = self._pause_to_tell_ns
        left_ns = until_ns - self._clock.monotonic_ns()
        if left_ns > 0:
            await self._shares.pause(self._key, left_ns / NS_PER_S)
        if self._pause_to_tell_ns == until_ns:
            self._pause_to_tell_ns = 0

    async def _draw(self) -> None:
        asked_ns = self._clock.monotonic_ns()
        returned = self._orders.leaving(asked_ns) + self._cancels.leaving(asked_ns)
        orders = max(0, self._orders_target(asked_ns) - self._orders.young(asked_ns))
        cancels = max(0, self._cancels_target(asked_ns) - self._cancels.young(asked_ns))
        owed, self._owed = self._owed, 0
        heard = False
        try:
            share = await self._shares.draw(
                self._key,
                self._law,
                orders=orders,
                cancels=cancels,
                spent=owed,
                returned=returned,
                used=self._local.spent() + self._orders.held + self._cancels.held,
                generation=self._generation,
            )
            heard = True
        finally:
            # Perhaps counted and perhaps not: counted twice is the safe mistake.
            self._owed += 0 if heard else owed
        self._book(share, asked_ns)

    def _book(self, share: RateShare, asked_ns: int) -> None:
        now_ns = self._answered_ns = self._clock.monotonic_ns()
        self._away_told = False
        if self._generation not in {0, share.generation}:
            self._log.warning("rate.shared_budget_forgotten", key=self._key)
        self._generation = share.generation
        self._orders.add(share.orders, stamp=share.stamp, asked_ns=asked_ns)
        self._cancels.add(share.cancels, stamp=share.stamp, asked_ns=asked_ns)
        self._orders_short_until_ns = now_ns + int(share.orders_wait_s * NS_PER_S)
        self._cancels_short_until_ns = now_ns + int(share.cancels_wait_s * NS_PER_S)
        self._scarce = share.orders_wait_s > 0
        if share.paused_s > 0:
            until_ns = now_ns + int(share.paused_s * NS_PER_S)
            self._paused_until_ns = max(self._paused_until_ns, until_ns)
        target = self._orders_target(now_ns)
        self._orders_low = target // 2
        self._orders.trim(target)
        self._cancels.trim(self._cancels_target(now_ns))

    def _orders_target(self, now_ns: int) -> int:
        """A second's use, at least a handful (one where tokens are scarce); none when idle."""
        if self._paused_until_ns > now_ns or now_ns - self._quoted_ns > self._window_s * NS_PER_S:
            return 0
        least = 1 if self._scarce else self._handful
        return min(self._most_orders, max(least, self._order_pace.recent(now_ns)))

    def _cancels_target(self, now_ns: int) -> int:
        least = 1 if self._scarce else self._cancels_handful
        return min(self._most_cancels, max(least, 2 * self._cancel_pace.recent(now_ns)))
