"""Writes one WebSocket connection: envelope, pings, and the faults of a wire.

`seq` starts at 1 and grows by one per message made, also for one that a fault then drops.
"""

import asyncio
import struct
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from venues.simulation.faults import Fault, FaultKind, Site
from venues.x10.simulator.world import World

_LOOK_AGAIN_S = 0.02
_GONE = frozenset({WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR})


class StreamEndedError(Exception):
    """The connection is gone or a fault cut it."""


class Wire:
    """One connection; a slow reader holds up nobody but itself."""

    def __init__(
        self, world: World, request: web.Request, socket: web.WebSocketResponse, site: Site
    ) -> None:
        self._world = world
        self._request = request
        self._socket = socket
        self._sequence = 0
        self._answered = asyncio.Event()
        self._told_to_close = asyncio.Event()
        self.site = site

    async def send(self, kind: str, data: Any) -> None:
        """Send one message in its envelope (x10.md section 12.1)."""
        self._sequence += 1
        now_ms = self._world.clock.told_ms()
        envelope = {"type": kind, "data": data, "ts": now_ms, "seq": self._sequence}
        await self._send(msgspec.json.encode(envelope))

    @property
    def silent(self) -> bool:
        """Whether a fault keeps the connection open without a word."""
        return self._world.faults.active(FaultKind.SILENT_STREAM, self.site) is not None

    async def listen(self) -> None:
        """Read what the client says: answers to pings, and pings of its own."""
        while True:
            message = await self._socket.receive()
            if message.type in _GONE:
                raise StreamEndedError
            if message.type is WSMsgType.PONG:
                self._answered.set()
            elif message.type is WSMsgType.PING and not self.silent:
                await self._socket.pong(message.data)

    async def keep_alive(self) -> None:
        """Ping, and cut whoever does not answer in time (section 12.2)."""
        rules = self._world.settings.streams
        while True:
            await asyncio.sleep(rules.ping_s)
            if self.silent:
                continue
            self._answered.clear()
            try:
                async with asyncio.timeout(rules.pong_s):
                    await self._socket.ping()
                    await self._answered.wait()
            except (TimeoutError, ConnectionError) as fault:
                self.cut()
                raise StreamEndedError from fault

    async def watch(self) -> None:
        """Close properly once told to."""
        await self._told_to_close.wait()
        await self._socket.close()
        raise StreamEndedError

    def close(self) -> None:
        """Have the venue close the connection properly."""
        self._told_to_close.set()

    def cut(self) -> None:
        """Close the connection without a word."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _send(self, raw: bytes) -> None:
        faults = self._world.faults
        await self._silence()
        delay = faults.take(self.site, FaultKind.DELAY_EVENT)
        if delay is not None:
            await asyncio.sleep(delay.delay_s)
        if faults.take(self.site, FaultKind.DROP_EVENT) is not None:
            return
        cut = faults.take(self.site, FaultKind.CUT_FRAME)
        if cut is not None:
            await self._cut_within(raw, cut)
        twice = faults.take(self.site, FaultKind.DUPLICATE_EVENT) is not None
        for copy in (raw, raw) if twice else (raw,):
            await self._write(copy)

    async def _silence(self) -> None:
        while True:
            if not self.silent:
                return
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _cut_within(self, raw: bytes, fault: Fault) -> None:
        """A frame that promises more than it holds, then nothing."""
        transport = self._request.transport
        if transport is not None:
            transport.write((_head(len(raw)) + raw)[: fault.at or len(raw) // 2])
            await asyncio.sleep(_LOOK_AGAIN_S)
            transport.close()
        raise StreamEndedError

    async def _write(self, raw: bytes) -> None:
        try:
            await self._socket.send_str(raw.decode())
        except ConnectionError as fault:
            raise StreamEndedError from fault


def _head(length: int) -> bytes:
    """Head of an unmasked text frame."""
    if length < 126:
        return struct.pack("!BB", 0x81, length)
    if length < 1 << 16:
        return struct.pack("!BBH", 0x81, 126, length)
    return struct.pack("!BBQ", 0x81, 127, length)
