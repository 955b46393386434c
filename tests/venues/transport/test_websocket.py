"""One WebSocket life: every message in order, pings answered, and the reason why it ended."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import WSMsgType, web

from desk.errors import ConfigurationFault, NotSent
from venues._transport.websocket import StreamEnded, StreamRefused, listen, stream_address

Serve = Callable[[web.WebSocketResponse], Awaitable[None]]


@asynccontextmanager
async def _server(serve: Serve, seen: list[web.Request] | None = None) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.StreamResponse:
        if seen is not None:
            seen.append(request)
        if request.path == "/refused":
            return web.Response(status=429, headers={"Retry-After": "3"}, text="slow down")
        if request.path == "/moved":
            return web.Response(status=302, headers={"Location": "/ws"})
        socket = web.WebSocketResponse(autoping=False, compress=True)
        await socket.prepare(request)
        await serve(socket)
        return socket

    app = web.Application()
    app.router.add_get("/{rest:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class _Heard:
    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.alive = 0
        self.opened = 0

    def message(self, data: bytes) -> None:
        assert self.opened == 1
        self.messages.append(data)

    def sign(self) -> None:
        self.alive += 1

    def open(self) -> None:
        self.opened += 1


async def _listen(url: str, heard: _Heard, path: str = "/ws", **changes: float) -> None:
    await listen(
        url,
        path,
        headers=[("X-Api-Key", "secret"), ("User-Agent", "flotilla")],
        on_message=heard.message,
        on_alive=heard.sign,
        on_open=heard.open,
        idle_timeout_s=changes.get("idle_timeout_s", 5.0),
        ping_s=changes.get("ping_s", 1.0),
        connect_timeout_s=changes.get("connect_timeout_s", 5.0),
        max_message_bytes=int(changes.get("max_message_bytes", 1 << 20)),
    )


async def _until_gone(socket: web.WebSocketResponse) -> None:
    async for message in socket:
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)


async def test_messages_come_whole_and_in_order_and_the_first_is_not_lost() -> None:
    sent = [f"message {number} ".encode() * (1 + 3_000 * (number % 3)) for number in range(40)]

    async def serve(socket: web.WebSocketResponse) -> None:
        for text in sent:
            await socket.send_str(text.decode())
        await socket.close()

    heard, seen = _Heard(), list[web.Request]()
    async with _server(serve, seen) as url:
        with pytest.raises(StreamEnded, match="closed the stream"):
            await _listen(url, heard)
    assert heard.messages == sent
    assert heard.opened == 1
    assert seen[0].headers["X-Api-Key"] == "secret"
    assert seen[0].headers["User-Agent"] == "flotilla"
    assert "Sec-WebSocket-Extensions" not in seen[0].headers


async def test_a_message_in_parts_is_joined() -> None:
    async def serve(socket: web.WebSocketResponse) -> None:
        assert socket._writer is not None
        transport = socket._writer.transport
        for head, text in ((0x01, b"one "), (0x00, b"two "), (0x89, b"p"), (0x80, b"three")):
            transport.write(bytes([head, len(text)]) + text)
        await _until_gone(socket)

    heard = _Heard()
    async with _server(serve) as url:
        task = asyncio.ensure_future(_listen(url, heard))
        async with asyncio.timeout(5):
            while not heard.messages:
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert heard.messages == [b"one two three"]
    assert heard.alive == 1


async def test_pings_of_the_server_are_answered() -> None:
    answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(socket: web.WebSocketResponse) -> None:
        await socket.ping(b"hello")
        async for message in socket:
            if message.type is WSMsgType.PONG:
                answered.set_result(message.data)
                return

    heard = _Heard()
    async with _server(serve) as url:
        with pytest.raises(StreamEnded):
            await _listen(url, heard)
        assert await answered == b"hello"
    assert heard.alive == 1


async def test_a_live_stream_without_news_is_told_from_a_dead_one() -> None:
    answering = True

    async def serve(socket: web.WebSocketResponse) -> None:
        async for message in socket:
            if message.type is WSMsgType.PING and answering:
                await socket.pong(message.data)

    heard = _Heard()
    async with _server(serve) as url:
        task = asyncio.ensure_future(_listen(url, heard, ping_s=0.03, idle_timeout_s=0.25))
        async with asyncio.timeout(5):
            while heard.alive < 15:
                await asyncio.sleep(0.005)
        answering = False
        with pytest.raises(StreamEnded, match="nothing was heard for 0.25 s"):
            await task


async def test_a_cut_connection_says_so() -> None:
    async def serve(socket: web.WebSocketResponse) -> None:
        await socket.send_str("one")
        assert socket._writer is not None
        socket._writer.transport.abort()

    heard = _Heard()
    async with _server(serve) as url:
        with pytest.raises(StreamEnded, match="cut"):
            await _listen(url, heard)


async def test_a_refusal_gives_status_and_headers_and_is_not_followed() -> None:
    async with _server(_until_gone) as url:
        with pytest.raises(StreamRefused) as refusal:
            await _listen(url, _Heard(), "/refused")
        assert (refusal.value.status, refusal.value.headers["retry-after"]) == (429, "3")
        with pytest.raises(StreamRefused) as refusal:
            await _listen(url, _Heard(), "/moved")
        assert refusal.value.status == 302


async def test_what_a_callback_raises_comes_out() -> None:
    class OurError(Exception):
        """Something the caller knows."""

    async def serve(socket: web.WebSocketResponse) -> None:
        await socket.send_str("one")
        await socket.send_str("two")
        await _until_gone(socket)

    heard: list[bytes] = []

    def refuse(data: bytes) -> None:
        heard.append(data)
        raise OurError

    async with _server(serve) as url:
        with pytest.raises(OurError):
            await listen(
                url,
                "/ws",
                on_message=refuse,
                on_alive=lambda: None,
                on_open=lambda: None,
                idle_timeout_s=5,
                ping_s=1,
            )
    assert heard == [b"one"]


@pytest.mark.parametrize("parts", [1, 4])
async def test_a_message_that_is_too_large_ends_the_stream(parts: int) -> None:
    async def serve(socket: web.WebSocketResponse) -> None:
        assert socket._writer is not None
        size = 4_000 // parts
        for number in range(parts):
            head = (0x80 if number == parts - 1 else 0) | (0x00 if number else 0x01)
            frame = bytes([head, 126]) + size.to_bytes(2, "big") + b"x" * size
            socket._writer.transport.write(frame)
        await _until_gone(socket)

    heard = _Heard()
    async with _server(serve) as url:
        with pytest.raises(StreamEnded):
            await _listen(url, heard, max_message_bytes=2_000)
    assert heard.messages == []


async def test_nobody_there_or_nobody_answering_is_not_sent() -> None:
    gone = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    with pytest.raises(NotSent, match="within 0.1 s"):
        await _listen(f"ws://127.0.0.1:{port}", _Heard(), connect_timeout_s=0.1)
    async with asyncio.timeout(5):
        await gone.wait()
    silent.close()
    await silent.wait_closed()
    with pytest.raises(NotSent, match="no connection"):
        await _listen(f"ws://127.0.0.1:{port}", _Heard())


async def test_a_connection_closed_during_the_upgrade_is_an_end() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(StreamEnded, match="upgrade"):
        await _listen(f"ws://127.0.0.1:{port}", _Heard())
    server.close()
    await server.wait_closed()


async def test_a_cancelled_listener_leaves_no_connection() -> None:
    gone = asyncio.Event()

    async def serve(socket: web.WebSocketResponse) -> None:
        await _until_gone(socket)
        gone.set()

    heard = _Heard()
    async with _server(serve) as url:
        task = asyncio.ensure_future(_listen(url, heard))
        async with asyncio.timeout(5):
            while not heard.opened:
                await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            await gone.wait()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ws://venue.example/v1", "stream_url: plain http to venue.example is refused; use wss"),
        ("http://10.0.0.1/v1", "is refused"),
        ("ftp://127.0.0.1", "stream_url: it must be wss"),
        ("127.0.0.1", "stream_url"),
        ("wss://user:secret@venue.example", "stream_url: it holds more than"),
    ],
)
def test_plain_streams_stay_on_this_machine(url: str, words: str) -> None:
    with pytest.raises(ConfigurationFault, match=words) as fault:
        stream_address(url)
    assert "secret" not in f"{fault.value!r}{fault.value.__context__!r}"


def test_a_secure_address_is_read() -> None:
    address = stream_address("wss://venue.example/stream/v1/")
    assert (address.secure, address.netloc, address.prefix) == (True, "venue.example", "/stream/v1")
