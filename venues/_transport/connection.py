"""One keep-alive connection: one request out, one answer in, then idle again.

Once `write` was called the outcome is `Unresolved` until a whole answer was read.
"""

import asyncio
import socket
from collections.abc import Callable
from enum import Enum, auto

import httptools

from desk.errors import Unresolved
from desk.ports import Clock
from venues._transport.address import Wire
from venues._transport.message import HttpResponse, decode_headers


class Fitness(Enum):
    """Whether an idle connection may carry a request now."""

    READY = auto()
    UNREAD = auto()
    """Bytes lie on the socket that nobody asked for; the event loop has to read them first."""
    GONE = auto()


class Exchange:
    """One request and the future of its answer."""

    __slots__ = ("answer", "connection", "label", "message", "not_after_ns", "timer")

    def __init__(
        self,
        label: str,
        message: bytes,
        answer: asyncio.Future[HttpResponse],
        not_after_ns: int | None = None,
    ) -> None:
        self.label = label
        self.message = message
        self.answer = answer
        self.not_after_ns = not_after_ns
        self.connection: HttpConnection | None = None
        self.timer: asyncio.TimerHandle | None = None

    def succeed(self, response: HttpResponse) -> None:
        """Hand over the answer, unless nobody waits any more."""
        self._settled()
        if not self.answer.done():
            self.answer.set_result(response)

    def fail(self, error: Exception) -> None:
        """Hand over an error, unless nobody waits any more."""
        self._settled()
        if not self.answer.done():
            self.answer.set_exception(error)

    def _settled(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class HttpConnection(Wire):
    """A connected socket of an `HttpPool`, which it tells when it is idle or lost."""

    def __init__(
        self,
        *,
        clock: Clock,
        max_response_bytes: int,
        on_idle: Callable[["HttpConnection"], None],
        on_lost: Callable[["HttpConnection"], None],
    ) -> None:
        self.gone = asyncio.Event()
        self._clock = clock
        self._max_response_bytes = max_response_bytes
        self._on_idle = on_idle
        self._on_lost = on_lost
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None
        self._sent_ns = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = 0
        self._finished = False
        self._keep_alive = False

    def fitness(self) -> Fitness:
        """Ask the socket itself, because the event loop may not have read the server's close."""
        if self.transport is None or self.sock is None or self.transport.is_closing():
            return Fitness.GONE
        try:
            unread = self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return Fitness.READY
        except OSError:
            return Fitness.GONE
        return Fitness.UNREAD if unread else Fitness.GONE

    def send(self, exchange: Exchange) -> None:
        """Write the whole request now. Only on an idle connection that is READY."""
        if self.transport is None or self._exchange is not None:
            raise RuntimeError("send on a connection that is not idle")
        self._exchange = exchange
        exchange.connection = self
        self.transport.write(exchange.message)
        self._sent_ns = self._clock.monotonic_ns()

    def abort(self, reason: str) -> None:
        """Close at once; a request under way is Unresolved."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.fail(Unresolved(f"{exchange.label}: {reason}"))
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer."""
        if self._exchange is None:
            self.abort("bytes nobody asked for")
            return
        self._size += len(data)
        if self._size > self._max_response_bytes:
            self.abort(f"the answer is larger than {self._max_response_bytes} bytes")
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.abort(f"the answer is not readable HTTP ({type(error).__name__})")
            return
        if self._finished:
            self._complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        self.abort(f"the connection was cut before a whole answer ({exc or 'closed by the venue'})")
        self.transport = None
        self.gone.set()
        self._on_lost(self)

    def on_message_begin(self) -> None:
        """Parser: another answer starts."""
        if self._finished:
            raise httptools.HttpParserError("a second answer to one request")
        self._headers, self._body = [], []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Parser: one header line (or trailer)."""
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Parser: part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Parser: the answer is whole; interim answers (1xx) do not count."""
        self._finished = self._parser.get_status_code() >= 200
        self._keep_alive = self._parser.should_keep_alive()

    def _complete(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        response = HttpResponse(
            status=self._parser.get_status_code(),
            headers=decode_headers(self._headers),
            body=b"".join(self._body),
            sent_ns=self._sent_ns,
            received_ns=self._clock.monotonic_ns(),
        )
        self._finished, self._size = False, 0
        exchange.succeed(response)
        if self._keep_alive:
            self._on_idle(self)
        else:
            self.abort("the venue asked to close")
