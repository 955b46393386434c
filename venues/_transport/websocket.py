"""One life of a WebSocket: connect, hand over messages as they are read, say why it ended.

It never reconnects: the caller tells the loss first, then decides when to come back.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from picows import (
    WSFrame,
    WSHandshakeError,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from desk.errors import ConfigurationFault, NotSent
from venues._transport.address import (
    Address,
    connected_socket,  # the one place that decides which sockets may be plain
)
from venues._transport.sse import StreamEnded, StreamRefused

__all__ = ["StreamEnded", "StreamRefused", "listen", "stream_address"]

# The library would write the upgrade request, key included, at its finest level.
_SILENT = logging.getLogger("picows.silent")
_SILENT.setLevel(logging.CRITICAL + 1)
_SCHEMES = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


def stream_address(url: str) -> Address:
    """Read `wss://host[:port][/prefix]`, or ws to loopback; else ConfigurationFault."""
    scheme, separator, rest = url.partition("://")
    plain = _SCHEMES.get(scheme)
    if plain is None:
        raise ConfigurationFault("stream_url: it must be wss://HOST; give scheme and host")
    try:
        return Address.parse(plain + separator + rest)
    except ConfigurationFault as fault:
        text = str(fault).replace("base_url", "stream_url").replace("https", "wss")
    raise ConfigurationFault(text)


async def listen(
    url: str,
    path: str,
    *,
    headers: Sequence[tuple[str, str]] = (),
    on_message: Callable[[bytes], None],
    on_alive: Callable[[], None],
    on_open: Callable[[], None],
    idle_timeout_s: float,
    ping_s: float,
    connect_timeout_s: float = 10.0,
    max_message_bytes: int = 16 * 1024 * 1024,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Live through one connection; never returns, always raises.

    Callbacks run inside the read, in order, and must not block; what they raise ends the stream
    and comes out of here. `on_open` runs once, after the upgrade; `on_alive` for every ping and
    pong. We ping after `ping_s` seconds without a frame, so that a live stream without news is
    told from a dead one; `idle_timeout_s` seconds without any frame end it. Compression is never
    offered. Raises NotSent (no connection), StreamRefused (another status than 101), StreamEnded.
    """
    address = stream_address(url)
    listener = _Reader(
        on_message=on_message,
        on_alive=on_alive,
        idle_timeout_s=idle_timeout_s,
        ping_s=ping_s,
        max_message_bytes=max_message_bytes,
    )
    transport = await _connected(
        address,
        path,
        listener,
        headers=headers,
        tls=tls,
        timeout_s=connect_timeout_s,
        max_bytes=max_message_bytes,
    )
    try:
        listener.start(transport)
        on_open()
        listener.catch_up()
        await listener.ended
    finally:
        listener.stop()
        transport.disconnect(graceful=False)
        with suppress(Exception):
            await transport.wait_disconnected()


async def _connected(
    address: Address,
    path: str,
    listener: "_Reader",
    *,
    headers: Sequence[tuple[str, str]],
    tls: ssl.SSLContext | None,
    timeout_s: float,
    max_bytes: int,
) -> WSTransport:
    held: list[socket.socket] = []

    async def dial(_: object) -> socket.socket:
        held.append(await connected_socket(address))
        return held[0]

    scheme = "wss" if address.secure else "ws"
    try:
        async with asyncio.timeout(timeout_s):
            transport, reader = await ws_connect(
                lambda: listener,
                f"{scheme}://{address.netloc}{address.prefix}{path}",
                ssl_context=address.tls(tls),
                websocket_handshake_timeout=None,
                logger_name=_SILENT,
                enable_auto_pong=False,
                max_frame_size=max_bytes,
                extra_headers=headers,
                max_redirects=0,
                socket_factory=dial,
                use_aiofastnet=False,
            )
    except BaseException as error:
        _hang_up(held)
        if isinstance(error, WSHandshakeError):
            raise _refusal(error) from None
        if isinstance(error, TimeoutError):
            raise NotSent(f"no stream from {address.netloc} within {timeout_s} s") from None
        if isinstance(error, OSError):
            raise NotSent(f"no connection to {address.netloc}: {error}") from error
        raise
    # Without a listener the server closed before it answered; the types do not say so.
    if not isinstance(reader, _Reader):
        raise StreamEnded("the connection was cut during the upgrade")
    return transport


def _hang_up(held: Sequence[socket.socket]) -> None:
    """Given up half-way, the library would keep the socket until its peer closes it."""
    for sock in held:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _refusal(error: WSHandshakeError) -> Exception:
    response = error.response
    if response is None:
        return StreamEnded("the answer to the upgrade is not readable HTTP")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return StreamRefused(int(response.status), headers, error.raw_body or b"")


class _Reader(WSListener):
    """The receiving end of one connection."""

    def __init__(
        self,
        *,
        on_message: Callable[[bytes], None],
        on_alive: Callable[[], None],
        idle_timeout_s: float,
        ping_s: float,
        max_message_bytes: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._on_message = on_message
        self._on_alive = on_alive
        self._idle_timeout_s = idle_timeout_s
        self._ping_s = ping_s
        self._max_message_bytes = max_message_bytes
        self._parts: list[bytes] = []
        self._early: list[tuple[WSMsgType, bytes, bool]] = []
        self._transport: WSTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard_s = self._loop.time()
        self._pinged_s = 0.0

    def start(self, transport: WSTransport) -> None:
        """Watch for silence."""
        self._transport = transport
        self._heard_s = self._loop.time()
        self._watch()

    def catch_up(self) -> None:
        """Take what came together with the answer to the upgrade."""
        early, self._early = self._early, []
        for kind, payload, final in early:
            self._take(kind, payload, final=final)

    def stop(self) -> None:
        """No callback runs after this."""
        if self._timer is not None:
            self._timer.cancel()
        if not self.ended.cancel() and not self.ended.cancelled():
            self.ended.exception()  # looked at, so that asyncio does not report it as lost

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:  # noqa: ARG002
        """One frame; the library does not join the parts of a message."""
        kind, payload, final = frame.msg_type, frame.get_payload_as_bytes(), frame.fin
        if self._transport is None:
            self._early.append((kind, payload, final))
        else:
            self._take(kind, payload, final=final)

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002
        """The socket is closed."""
        self._end(StreamEnded("the connection was cut"))

    def _take(self, kind: WSMsgType, payload: bytes, *, final: bool) -> None:
        if self.ended.done():
            return
        self._heard_s = self._loop.time()
        try:
            if len(payload) > self._max_message_bytes:
                self._too_large()
            elif kind is WSMsgType.TEXT and final and not self._parts:
                self._on_message(payload)
            else:
                self._take_rare(kind, payload, final=final)
        except Exception as error:  # noqa: BLE001 - it comes out of `listen`, whatever it is
            self._end(error)

    def _take_rare(self, kind: WSMsgType, payload: bytes, *, final: bool) -> None:
        if kind is WSMsgType.PING:
            if self._transport is not None:
                self._transport.send_pong(payload)
            self._on_alive()
        elif kind is WSMsgType.PONG:
            self._on_alive()
        elif kind is WSMsgType.CLOSE:
            if self._transport is not None:
                self._transport.send_close()
            raise StreamEnded("the venue closed the stream")
        else:
            self._join(payload, final=final)

    def _too_large(self) -> NoReturn:
        raise StreamEnded(f"a message is larger than {self._max_message_bytes} bytes")

    def _join(self, payload: bytes, *, final: bool) -> None:
        self._parts.append(payload)
        if sum(map(len, self._parts)) > self._max_message_bytes:
            self._too_large()
        if final:
            whole = b"".join(self._parts)
            self._parts.clear()
            self._on_message(whole)

    def _watch(self) -> None:
        now_s = self._loop.time()
        if now_s - self._heard_s >= self._idle_timeout_s:
            self._end(StreamEnded(f"nothing was heard for {self._idle_timeout_s} s"))
            return
        if self._transport is not None and now_s - max(self._heard_s, self._pinged_s) >= (
            self._ping_s
        ):
            self._pinged_s = now_s
            self._transport.send_ping()
        due_s = min(
            self._heard_s + self._idle_timeout_s,
            max(self._heard_s, self._pinged_s) + self._ping_s,
        )
        self._timer = self._loop.call_at(due_s, self._watch)

    def _end(self, error: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)
