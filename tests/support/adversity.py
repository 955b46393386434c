"""A TCP proxy on loopback that stalls, cuts, splits and delays, to prove what a client concludes.

It knows no protocol: what it does is said before the bytes come, never found in them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_CHUNK = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Adversity:
    """What happens to the bytes of a connection.

    `forward`: whether what the client sends reaches the server. `answer_bytes`: how much of what
    the server says gets through (None: all), and then the connection is cut (`cut`) or silent.
    `piece`: the largest number of bytes passed on at once. `delay_s`: wait before each piece.
    """

    forward: bool = True
    answer_bytes: int | None = None
    cut: bool = True
    piece: int = _CHUNK
    delay_s: float = 0.0


CLEAR = Adversity()
LOST_REQUEST = Adversity(forward=False)
SWALLOWED_REQUEST = Adversity(forward=False, cut=False)
LOST_ANSWER = Adversity(answer_bytes=0)
SILENT_ANSWER = Adversity(answer_bytes=0, cut=False)


@dataclass(slots=True, kw_only=True)
class AdverseProxy:
    """The proxy. `adversity` may be changed at any time and counts from the next bytes on."""

    target_port: int
    adversity: Adversity = CLEAR
    accepting: bool = True
    port: int = 0
    seen: bytearray = field(default_factory=bytearray)
    """Everything clients have sent, whether forwarded or not."""
    connections: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut_all(self) -> None:
        """Close every connection now, in an orderly way."""
        for writer in self._writers:
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client connection."""
        self.connections += 1
        self._writers.add(writer)
        try:
            if self.accepting:
                with suppress(OSError):
                    await self._relay(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        try:
            async with asyncio.TaskGroup() as group:
                back = group.create_task(self._answers(server_reader, writer))
                await self._requests(reader, server_writer)
                back.cancel()
        finally:
            server_writer.close()
            writer.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            self.seen += data
            if self.adversity.forward:
                writer.write(data)
                await writer.drain()
            elif self.adversity.cut:
                return

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        while data := await reader.read(_CHUNK):
            limit = self.adversity.answer_bytes
            if limit is not None:
                data = data[: max(0, limit - passed)]
            await self._pass_on(data, writer)
            passed += len(data)
            if limit is not None and passed >= limit and self.adversity.cut:
                break
        writer.close()

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(data), self.adversity.piece):
            if self.adversity.delay_s:
                await asyncio.sleep(self.adversity.delay_s)
            writer.write(data[start : start + self.adversity.piece])
            await writer.drain()


@asynccontextmanager
async def adverse_proxy(target_port: int) -> AsyncIterator[AdverseProxy]:
    """A running proxy in front of a loopback port."""
    proxy = AdverseProxy(target_port=target_port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        yield proxy
        proxy.cut_all()
