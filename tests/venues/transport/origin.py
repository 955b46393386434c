"""A small HTTP origin on loopback whose answers are raw bytes chosen by the test."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httptools


class SystemClock:
    """The machine's own time."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        return time.time_ns()


async def eventually(true: Callable[[], bool], within_s: float = 5.0) -> None:
    """Look again until it is true; TimeoutError when it does not become so in time."""
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.005)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def answer(body: bytes = b"{}", *, status: str = "200 OK", extra: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body


@dataclass(slots=True)
class Origin:
    """Answers every request with `answers[target]`, else with an empty JSON object.

    Pieces of an answer that is a list are written one by one; an empty piece closes.
    """

    port: int = 0
    answers: dict[str, bytes | list[bytes]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)
    """`/held` is answered once this is set."""
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.add(writer)
        try:
            with suppress(OSError):
                await self._converse(reader, writer)
        finally:
            self.writers.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming = _Incoming()
        parser = httptools.HttpRequestParser(incoming)
        incoming.parser = parser
        while data := await reader.read(65_536):
            parser.feed_data(data)
            while incoming.complete:
                request = incoming.complete.pop(0)
                self.requests.append(request)
                if request.target == "/held":
                    await self.release.wait()
                given = self.answers.get(request.target, answer())
                for piece in [given] if isinstance(given, bytes) else given:
                    if not piece:
                        return
                    writer.write(piece)
                    await writer.drain()


class _Incoming:
    def __init__(self) -> None:
        self.parser: httptools.HttpRequestParser | None = None
        self.complete: list[Request] = []
        self._target = ""
        self._headers: dict[str, str] = {}
        self._body = b""

    def on_message_begin(self) -> None:
        self._target, self._headers, self._body = "", {}, b""

    def on_url(self, url: bytes) -> None:
        self._target += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        assert self.parser is not None
        method = self.parser.get_method().decode()
        self.complete.append(
            Request(method=method, target=self._target, headers=self._headers, body=self._body)
        )


@asynccontextmanager
async def origin(tls: ssl.SSLContext | None = None) -> AsyncIterator[Origin]:
    """A running origin."""
    running = Origin()
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0, ssl=tls)
    running.port = server.sockets[0].getsockname()[1]
    async with server:
        yield running
        for writer in tuple(running.writers):
            writer.close()
