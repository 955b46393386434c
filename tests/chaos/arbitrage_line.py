"""The way from workers to the venue, on which single orders can be kept back or lost.

An order that was kept back arrives although its sender gave up on it, or is dead by then.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

_BULK: Final = b"POST /perps/quotes/bulk"
_LINGERS_S: Final = 0.3


@dataclass(slots=True, kw_only=True)
class Kept:
    """What is to happen to an order for a market, and when it did (unix nanoseconds).

    The first `skip` pass. `lost`: it never arrives. `seconds` None: it is kept until somebody sets
    `let_go`.
    """

    symbol: str
    skip: int
    seconds: float | None
    lost: bool
    let_go: asyncio.Event
    taken_ns: int = 0
    passed_ns: int = 0


class Line:
    """Forwards bytes to a port on loopback; `port` is where to connect."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._waiting: list[Kept] = []
        self._ways: set[asyncio.Task[None]] = set()
        self.history: list[Kept] = []
        """Everything that was ever kept, in the order in which it was taken."""
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Line"]:
        """Serve until the block ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for way in tuple(self._ways):
                way.cancel()
            if self._ways:
                await asyncio.wait(self._ways)

    def keep(
        self, symbol: str, *, seconds: float | None = None, lost: bool = False, skip: int = 0
    ) -> Kept:
        """Keep the next order for a market."""
        kept = Kept(symbol=symbol, skip=skip, seconds=seconds, lost=lost, let_go=asyncio.Event())
        self._waiting.append(kept)
        return kept

    def clear(self) -> None:
        """Keep nothing that is not kept already."""
        self._waiting.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._ways.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            back = asyncio.create_task(_pump(far_reader, writer))
            try:
                await self._forth(reader, far_writer)
            finally:
                back.cancel()
                far_writer.transport.abort()
        except asyncio.CancelledError:
            pass  # the line is over; its server does not want to hear of it
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._ways.discard(task)

    async def _forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(65_536):
                kept = self._kept(chunk)
                if kept is not None:
                    await _wait(kept)
                    if kept.lost:
                        continue
                writer.write(chunk)
                await writer.drain()
        await asyncio.sleep(_LINGERS_S)  # so that what was handed over last is read

    def _kept(self, chunk: bytes) -> Kept | None:
        if not chunk.startswith(_BULK):
            return None
        found = None
        for kept in tuple(self._waiting):
            if f'"{kept.symbol}"'.encode() not in chunk:
                continue
            if kept.skip:
                kept.skip -= 1
            elif found is None:
                self._waiting.remove(kept)
                kept.taken_ns = time.time_ns()
                self.history.append(kept)
                found = kept
        return found


async def _wait(kept: Kept) -> None:
    if not kept.lost:
        with suppress(TimeoutError):
            async with asyncio.timeout(kept.seconds):
                await kept.let_go.wait()
    kept.passed_ns = time.time_ns()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    writer.transport.abort()
