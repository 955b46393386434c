"""The one account stream of an account: orders, fills and positions of all markets.

REST tells the state after every connect; what the stream says meanwhile waits, and follows.
"""

import asyncio

from desk.ports import Clock
from venues._transport.backoff import Backoff
from venues._transport.websocket import StreamEnded, listen
from venues.x10.account import X10Account
from venues.x10.config import X10Config
from venues.x10.credentials import Credentials
from venues.x10.reads import Reads
from venues.x10.streams import KeptStream, Numbering
from venues.x10.trades import History
from venues.x10.views import Heard
from venues.x10.wire import WireAccount, decode_account, decode_positions

_POSITIONS = "POSITION"


class AccountStream:
    """Feeds an `X10Account` until cancelled."""

    def __init__(
        self,
        *,
        config: X10Config,
        credentials: Credentials,
        reads: Reads,
        history: History,
        account: X10Account,
        heard: Heard,
        clock: Clock,
        backoff: Backoff,
    ) -> None:
        self._config = config
        self._credentials = credentials
        self._reads = reads
        self._history = history
        self._account = account
        self._heard = heard
        self._clock = clock
        self._numbering = Numbering()
        self._waiting: list[WireAccount] | None = None
        self._held: set[str] = set()
        self._kept = KeptStream(
            connect=self._connect,
            lost=account.lost,
            backoff=backoff,
            refused_wait_s=config.refused_wait_s,
            clock=clock,
        )

    async def run(self) -> None:
        """Never returns."""
        await self._kept.run()

    async def _connect(self) -> None:
        self._numbering = Numbering()
        self._waiting = []
        opened = asyncio.Event()
        parts = [
            asyncio.ensure_future(self._listen(opened)),
            asyncio.ensure_future(self._backfill(opened)),
            asyncio.ensure_future(self._doubted()),
        ]
        # No task group: one that fails while it waits leaves a cancellation behind in Python 3.11.
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self._heard.forget()
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
        for part in done:
            part.result()

    async def _listen(self, opened: asyncio.Event) -> None:
        await listen(
            self._config.stream_url,
            "/account",
            headers=self._credentials.private,
            on_message=self._message,
            on_alive=self._alive,
            on_open=opened.set,
            idle_timeout_s=self._config.idle_timeout_s,
            ping_s=self._config.ping_s,
        )

    async def _doubted(self) -> None:
        await self._heard.doubted()
        raise StreamEnded("it contradicts the account endpoint")

    def _alive(self) -> None:
        self._heard.at_ns = self._clock.monotonic_ns()
        self._account.alive()

    async def _backfill(self, opened: asyncio.Event) -> None:
        await opened.wait()
        trades = await self._history.back_to_id(self._account.last_trade_id)
        positions = await self._reads.get("/user/positions", decode_positions, {})
        self._account.snapshot(positions.data, trades)
        self._held = {one.market for one in positions.data if one.held}
        waiting, self._waiting = self._waiting or [], None
        for message in waiting:
            self._take(message)

    def _message(self, data: bytes) -> None:
        self._heard.at_ns = self._clock.monotonic_ns()
        message = decode_account(data)
        if message.error is not None:
            raise StreamEnded(f"the account stream told an error: {message.error}")
        if not self._numbering.is_new(message.seq):
            self._account.alive()
        elif self._waiting is not None:
            self._waiting.append(message)
        else:
            self._take(message)

    def _take(self, message: WireAccount) -> None:
        told = message.data
        if told is None:
            self._account.alive()
            return
        if told.orders:
            self._account.orders(told.orders)
        if told.trades:
            self._account.trades(told.trades)
        if message.type == _POSITIONS and told.is_snapshot:
            self._heard.snapshot(told.positions, self._held)
        else:
            self._heard.changed(told.positions)
        if told.positions:
            self._account.positions(told.positions)
        if not (told.orders or told.trades or told.positions):
            self._account.alive()
