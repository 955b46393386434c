"""One life of an event stream: connect, hand over events as they are read, say why it ended.

It never reconnects: the caller tells the loss first, then decides when to come back.
"""

import asyncio
import ssl
from collections.abc import Callable

import httptools

from desk.errors import VenueError
from venues._transport.address import Address, Wire, connect
from venues._transport.message import Headers, decode_headers, encode_request
from venues._transport.sse_parser import OnComment, OnEvent, SseOverflow, SseParser

__all__ = ["SseOverflow", "SseParser", "StreamEnded", "StreamRefused", "stream"]

_MAX_HEAD_BYTES = 64 * 1024
_MAX_REFUSAL_BYTES = 64 * 1024


class StreamEnded(VenueError):
    """The stream was open, or was to be opened, and is over; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StreamRefused(VenueError):
    """The server answered with another status than 200. Header names are lower-case."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(f"the stream was refused with status {status}")
        self.status = status
        self.headers = headers
        self.body = body


async def stream(
    base_url: str,
    path: str,
    *,
    headers: Headers = b"",
    on_event: OnEvent,
    on_comment: OnComment,
    on_open: Callable[[], None],
    idle_timeout_s: float,
    connect_timeout_s: float = 10.0,
    tls: ssl.SSLContext | None = None,
    max_event_bytes: int = 8 * 1024 * 1024,
) -> None:
    """Live through one stream; never returns, always raises.

    Callbacks run inside the read, in order, and must not block; what they raise ends the stream
    and comes out of here. `on_open` runs once, after the 200. Raises NotSent (no connection),
    StreamRefused (another status), StreamEnded (cut, ended, idle for `idle_timeout_s` seconds,
    unreadable). Any byte counts as life, comments included.
    """
    address = Address.parse(base_url)
    reader = _EventReader(
        parser=SseParser(on_event=on_event, on_comment=on_comment, max_bytes=max_event_bytes),
        on_open=on_open,
        idle_timeout_s=idle_timeout_s,
    )
    request = encode_request("GET", address.prefix + path, address.netloc, headers, b"")
    try:
        await connect(address, lambda: reader, tls=address.tls(tls), timeout_s=connect_timeout_s)
        reader.start(request)
        await reader.ended
    finally:
        reader.abort()


class _EventReader(Wire):
    """The receiving end of one stream."""

    def __init__(
        self, *, parser: SseParser, on_open: Callable[[], None], idle_timeout_s: float
    ) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._events = parser
        self._on_open = on_open
        self._idle_timeout_s = idle_timeout_s
        self._http = httptools.HttpResponseParser(self)
        self._timer: asyncio.TimerHandle | None = None
        self._last_byte_s = 0.0
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._open = False
        self._refused_with = 0
        self._refusal = bytearray()

    def start(self, request: bytes) -> None:
        """Ask for the stream and start to watch for silence."""
        if self.transport is not None:
            self.transport.write(request)
        loop = asyncio.get_running_loop()
        self._last_byte_s = loop.time()
        self._timer = loop.call_later(self._idle_timeout_s, self._check_silence)

    def abort(self) -> None:
        """Close at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.transport is not None:
            self.transport.abort()
        if not self.ended.cancel() and not self.ended.cancelled():
            self.ended.exception()  # looked at, so that asyncio does not report it as lost

    def data_received(self, data: bytes) -> None:
        """Bytes of the stream."""
        if self.ended.done():
            return
        self._last_byte_s = asyncio.get_running_loop().time()
        if not self._open:
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES + _MAX_REFUSAL_BYTES:
                self._end(StreamEnded("the answer's head is too large"))
                return
        try:
            self._http.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            self._end(_cause(error))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._end(StreamEnded(f"not readable HTTP ({type(error).__name__})"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        self._finish(f"the connection was cut ({exc or 'closed by the venue'})")
        self.transport = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Parser: one header line."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Parser: the status and all headers are known."""
        status = self._http.get_status_code()
        if status < 200:
            self._headers = []
        elif status == 200:
            kind = decode_headers(self._headers).get("content-type", "")
            if not kind.startswith("text/event-stream"):
                raise StreamEnded(f"not an event stream but {kind!r}")
            self._open = True
            self._on_open()
        else:
            self._refused_with = status

    def on_body(self, body: bytes) -> None:
        """Parser: part of the body."""
        if self._open:
            if not self.ended.done():
                self._events.feed(body)
            return
        self._refusal += body
        if len(self._refusal) > _MAX_REFUSAL_BYTES:
            self._finish("")

    def on_message_complete(self) -> None:
        """Parser: the body is over."""
        if self._open or self._refused_with:
            self._finish("the venue ended the stream")

    def _check_silence(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = self._last_byte_s + self._idle_timeout_s
        if loop.time() >= due_s:
            self._finish(f"no byte for {self._idle_timeout_s} s")
        else:
            self._timer = loop.call_at(due_s, self._check_silence)

    def _finish(self, reason: str) -> None:
        """End it, with the refusal when the server gave one, else with this reason."""
        if not self._refused_with:
            self._end(StreamEnded(reason))
            return
        headers = decode_headers(self._headers)
        self._end(StreamRefused(self._refused_with, headers, bytes(self._refusal)))

    def _end(self, error: BaseException) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)
        if self.transport is not None:
            self.transport.abort()


def _cause(error: BaseException) -> BaseException:
    """What a callback raised, out of the parser's wrapping."""
    inner = error.__context__ or error
    return StreamEnded(str(inner)) if isinstance(inner, SseOverflow) else inner
