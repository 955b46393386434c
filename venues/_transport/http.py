"""A pool of warm keep-alive connections to one venue; a request is on the wire when made.

It never repeats a request: `NotSent` means no byte left, `Unresolved` means any byte may have.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable

from desk.errors import NotSent
from desk.ports import Clock
from desk.units import NS_PER_S
from venues._transport.address import Address, connect
from venues._transport.backoff import Backoff
from venues._transport.connection import Exchange, Fitness, HttpConnection
from venues._transport.message import Headers, HttpResponse, encode_headers, encode_request

__all__ = ["Headers", "HttpPool", "HttpResponse", "encode_headers"]

_UNREAD_RECHECK_S = 0.001
_SHORT_LIFE_S = 1.0


def _longest(_low: float, high: float) -> float:
    return high


class HttpPool:
    """`connections` keep-alive connections to one base URL; `request` never blocks.

    Use: `await pool.open()`, keep `pool.run()` in a task group, at the end `await pool.close()`.
    Without a running `run`, closed connections stay closed. `timeout_s` bounds a request from
    call to whole answer, the wait for a connection included. At most `max_waiting` requests wait.
    ConfigurationFault for a base URL that is plain http and not loopback.
    """

    def __init__(
        self,
        base_url: str,
        *,
        clock: Clock,
        connections: int = 2,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = 5.0,
        max_waiting: int = 64,
        max_response_bytes: int = 8 * 1024 * 1024,
        uniform: Callable[[float, float], float] = _longest,
    ) -> None:
        self._address = Address.parse(base_url)
        self._tls = self._address.tls(tls)
        self._clock = clock
        self._connections = connections
        self._timeout_s = timeout_s
        self._max_waiting = max_waiting
        self._max_response_bytes = max_response_bytes
        self._uniform = uniform
        self._idle: deque[HttpConnection] = deque()
        self._live: set[HttpConnection] = set()
        self._unkept: list[HttpConnection] = []
        self._waiting: deque[Exchange] = deque()
        self._demand = asyncio.Event()
        self._running = False
        self._closing = False

    def __repr__(self) -> str:
        return f"HttpPool({self._address.netloc!r}, {len(self._live)} live)"

    @property
    def connected(self) -> int:
        """Connections that are up, busy ones included."""
        return len(self._live)

    async def open(self) -> None:
        """Connect all connections, so that the first request finds them warm; else NotSent."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._connections):
                    group.create_task(self._open_one())
        except* NotSent as failures:
            await self._abort_all("the pool could not be opened")
            raise NotSent(str(failures.exceptions[0])) from failures

    async def run(self) -> None:
        """Reopen connections that were lost, until cancelled or the pool is closed."""
        self._running = True
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._connections):
                    group.create_task(self._keep())
        finally:
            self._running = False
            if not self._live:
                self._fail_waiting("not connected")

    async def close(self) -> None:
        """Close all; waiting requests are NotSent, requests under way Unresolved."""
        self._closing = True
        self._demand.set()
        self._fail_waiting("the pool is closed")
        await self._abort_all("the pool was closed")

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Headers = b"",
        body: bytes = b"",
        timeout_s: float | None = None,
        not_after_ns: int | None = None,
    ) -> Awaitable[HttpResponse]:
        """Send one request; with an idle connection its bytes are on the socket on return.

        `path` is percent-encoded, with query, and put behind the base URL's path. The awaitable
        gives the whole answer of any status, or raises NotSent or Unresolved. ValueError (here,
        at once) for a malformed method, path or header. Cancelling it does not stop the request.
        Later than `not_after_ns` (monotonic) no byte of it goes out: then it is NotSent.
        """
        target = self._address.prefix + path
        message = encode_request(method, target, self._address.netloc, headers, body)
        loop = asyncio.get_running_loop()
        label = f"{method} {path.partition('?')[0]}"
        exchange = Exchange(label, message, loop.create_future(), not_after_ns)
        if self._late(exchange):
            self._lapse(exchange)
            return exchange.answer
        connection = self._ready_connection()
        if connection is not None:
            connection.send(exchange)
        elif not self._queue(exchange):
            return exchange.answer
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        exchange.timer = loop.call_later(wait_s, self._expire, exchange, wait_s)
        return exchange.answer

    def _ready_connection(self) -> HttpConnection | None:
        for _ in range(len(self._idle)):
            connection = self._idle.popleft()
            fitness = connection.fitness()
            if fitness is Fitness.READY:
                return connection
            if fitness is Fitness.UNREAD:
                self._idle.append(connection)
            else:
                connection.abort("closed by the venue while idle")
        return None

    def _queue(self, exchange: Exchange) -> bool:
        if self._closing or not (self._live or self._running):
            reason = "the pool is closed" if self._closing else "not connected"
            exchange.fail(NotSent(f"{exchange.label}: {reason}"))
            return False
        if len(self._waiting) >= self._max_waiting:
            exchange.fail(NotSent(f"{exchange.label}: {self._max_waiting} requests already wait"))
            return False
        self._waiting.append(exchange)
        self._demand.set()
        loop = asyncio.get_running_loop()
        if exchange.not_after_ns is not None:
            left_ns = exchange.not_after_ns - self._clock.monotonic_ns()
            loop.call_later(left_ns / NS_PER_S, self._lapse, exchange)
        if self._idle:
            loop.call_later(_UNREAD_RECHECK_S, self._serve_waiting)
        return True

    def _late(self, exchange: Exchange) -> bool:
        by_ns = exchange.not_after_ns
        return by_ns is not None and self._clock.monotonic_ns() > by_ns

    def _lapse(self, exchange: Exchange) -> None:
        """Its time to be sent is over; nothing happens to one that left, or that nobody awaits."""
        if exchange.connection is None and not exchange.answer.done():
            if exchange in self._waiting:
                self._waiting.remove(exchange)
            exchange.fail(NotSent(f"{exchange.label}: its permission ended while it waited"))

    def _serve_waiting(self) -> None:
        while self._waiting:
            if self._waiting[0].answer.done():
                self._waiting.popleft().fail(NotSent("nobody waits any more"))
                continue
            # Asked again here: after a freeze of this process, an answer may be read before timers.
            if self._late(self._waiting[0]):
                self._lapse(self._waiting[0])
                continue
            connection = self._ready_connection()
            if connection is None:
                break
            connection.send(self._waiting.popleft())
        if self._waiting and self._idle:
            asyncio.get_running_loop().call_later(_UNREAD_RECHECK_S, self._serve_waiting)

    def _became_idle(self, connection: HttpConnection) -> None:
        self._idle.append(connection)
        if self._waiting:
            self._serve_waiting()

    def _lost(self, connection: HttpConnection) -> None:
        self._live.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if not (self._live or self._running):
            self._fail_waiting("not connected")

    def _expire(self, exchange: Exchange, wait_s: float) -> None:
        exchange.timer = None
        if exchange.connection is not None:
            # Its answer may still come, and must not be taken for that of a later request.
            exchange.connection.abort(f"no whole answer within {wait_s} s")
            return
        self._waiting.remove(exchange)
        exchange.fail(NotSent(f"{exchange.label}: no free connection within {wait_s} s"))

    def _fail_waiting(self, reason: str) -> None:
        while self._waiting:
            exchange = self._waiting.popleft()
            exchange.fail(NotSent(f"{exchange.label}: {reason}"))

    async def _abort_all(self, reason: str) -> None:
        for connection in tuple(self._live):
            connection.abort(reason)
        for connection in tuple(self._live):
            await connection.gone.wait()

    async def _dial(self) -> HttpConnection:
        connection = await connect(
            self._address, self._new_connection, tls=self._tls, timeout_s=self._timeout_s
        )
        if self._closing or connection.gone.is_set():
            connection.abort("the pool was closed")
            raise NotSent(f"connection to {self._address.netloc} closed at once")
        self._live.add(connection)
        self._became_idle(connection)
        return connection

    def _new_connection(self) -> HttpConnection:
        return HttpConnection(
            clock=self._clock,
            max_response_bytes=self._max_response_bytes,
            on_idle=self._became_idle,
            on_lost=self._lost,
        )

    def _adopt(self) -> HttpConnection | None:
        while self._unkept:
            connection = self._unkept.pop()
            if not connection.gone.is_set():
                return connection
        return None

    async def _open_one(self) -> None:
        self._unkept.append(await self._dial())

    async def _keep(self) -> None:
        backoff = Backoff(uniform=self._uniform, base_s=0.05, cap_s=2.0, healthy_s=5.0)
        while not self._closing:
            lived_s = await self._hold_one()
            wait_s = backoff.failed(lived_s=lived_s)
            if lived_s < _SHORT_LIFE_S and not self._closing:
                await self._pause(wait_s)

    async def _hold_one(self) -> float:
        try:
            connection = self._adopt() or await self._dial()
        except NotSent as error:
            if not self._live:
                self._fail_waiting(str(error))
            return 0.0
        opened_ns = self._clock.monotonic_ns()
        await connection.gone.wait()
        return (self._clock.monotonic_ns() - opened_ns) / NS_PER_S

    async def _pause(self, wait_s: float) -> None:
        """Wait before the next attempt, or until somebody needs a connection."""
        self._demand.clear()
        try:
            async with asyncio.timeout(wait_s):
                await self._demand.wait()
        except TimeoutError:
            return
