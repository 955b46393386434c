"""One client's WebSocket: a bounded line of frames, written by a task of its own.

Pushing never waits; a reader that falls too far behind is cut off.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from aiohttp import WSCloseCode, WSMsgType, web

from desk.units import NS_PER_S
from venues.simulation.faults import Fault, FaultKind, FaultPlan, Site
from venues.zo.simulator import numbers
from venues.zo.simulator.feeds import Frame
from venues.zo.simulator.settings import Pings, Streams
from venues.zo.simulator.websocket_frames import text_frame

_LOOK_S = 0.05
"""How often a waiting writer looks for faults that close or silence the stream."""


class Clock(Protocol):
    """Wall time."""

    def now_ns(self) -> int:
        """Unix nanoseconds."""
        ...


class ConnectionLost(Exception):
    """The connection is gone, or a fault ended it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What a connection needs of the venue. `site` covers the whole connection."""

    faults: FaultPlan
    clock: Clock
    rules: Streams
    site: Site


class Connection:
    """Frames towards one client and its pings."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        wiring: Wiring,
        sites: dict[str, Site],
    ) -> None:
        self._request = request
        self._socket = socket
        self._wiring = wiring
        self._sites = sites
        self._line: deque[Frame] = deque()
        self._news = asyncio.Event()
        self._overrun = False
        self._begun: set[str] = set()

    def push(self, frame: Frame) -> None:
        """Queue one frame, unless a fault swallows it; twice if a fault repeats it."""
        if self._overrun:
            return
        faults, site = self._wiring.faults, self._sites[frame.stream]
        if faults.active(FaultKind.SILENT_STREAM, site) is not None:
            return
        if faults.take(site, FaultKind.DROP_EVENT) is not None:
            return
        frame = self._first(frame)
        twice = faults.take(site, FaultKind.DUPLICATE_EVENT) is not None
        self._line.extend((frame, frame) if twice else (frame,))
        if len(self._line) > self._wiring.rules.queue:
            self._overrun = True
            self._line.clear()
            self.abort()
        self._news.set()

    async def write(self) -> None:
        """Send what is queued until the connection ends; ConnectionLost then."""
        while True:
            await self._look()
            if self._overrun:
                raise ConnectionLost
            if not self._line:
                self._news.clear()
                await self._wait()
                continue
            await self._ripen(self._line[0])
            await self._send(self._line.popleft())

    async def listen(self) -> None:
        """Read what the client sends until it leaves; ConnectionLost then."""
        while True:
            message = await self._socket.receive()
            if message.type in {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED}:
                raise ConnectionLost
            if message.type is WSMsgType.ERROR:
                raise ConnectionLost
            if message.type is WSMsgType.PING:
                await self._pinged(bytes(message.data))

    async def ping(self, period_s: float) -> None:
        """Ping the client for ever."""
        while True:
            await asyncio.sleep(period_s)
            if not self._silent():
                await self._socket.ping()

    def abort(self) -> None:
        """Drop the connection without a word."""
        if self._request.transport is not None:
            self._request.transport.abort()

    # --- own steps --------------------------------------------------------------------------

    def _first(self, frame: Frame) -> Frame:
        """The first delta may carry 0 as its last id (zo.md section 3.2)."""
        if not self._wiring.rules.first_last_id_zero or frame.stream in self._begun:
            return frame
        self._begun.add(frame.stream)
        delta = frame.body.get("delta")
        if delta is None:
            return frame
        body = {"delta": delta | {"last_update_id": 0}}
        return Frame(stream=frame.stream, body=body, raw=numbers.encode(body), due_ns=frame.due_ns)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_S):
                await self._news.wait()
        except TimeoutError:
            return

    async def _look(self) -> None:
        """End the stream properly when a fault says so."""
        if self._wiring.faults.take(self._wiring.site, FaultKind.STREAM_CLOSED) is not None:
            await self._end(WSCloseCode.GOING_AWAY, b"")

    async def _end(self, code: int, message: bytes) -> None:
        await self._socket.close(code=code, message=message, drain=False)
        raise ConnectionLost

    async def _ripen(self, frame: Frame) -> None:
        """Wait for the moment a frame may be told."""
        delay = self._wiring.faults.take(self._sites[frame.stream], FaultKind.DELAY_EVENT)
        if delay is not None:
            await asyncio.sleep(delay.delay_s)
        left_ns = frame.due_ns - self._wiring.clock.now_ns()
        if left_ns > 0:
            await asyncio.sleep(left_ns / NS_PER_S)

    async def _send(self, frame: Frame) -> None:
        site, faults = self._sites[frame.stream], self._wiring.faults
        if faults.active(FaultKind.SILENT_STREAM, site) is not None:
            return
        cut = faults.take(site, FaultKind.CUT_FRAME)
        if cut is not None:
            self._cut(frame, cut)
        split = faults.take(site, FaultKind.SPLIT_FRAMES)
        if split is not None:
            await self._pieces(text_frame(frame.raw), split.at or 1)
            return
        try:
            await self._socket.send_frame(frame.raw, WSMsgType.TEXT)
        except (ConnectionError, RuntimeError) as fault:
            raise ConnectionLost from fault

    def _cut(self, frame: Frame, fault: Fault) -> None:
        transport = self._request.transport
        if transport is not None:
            raw = text_frame(frame.raw)
            transport.write(raw[: fault.at or len(raw) // 2])
            transport.close()
        raise ConnectionLost

    async def _pieces(self, raw: bytes, size: int) -> None:
        for start in range(0, len(raw), size):
            transport = self._request.transport
            if transport is None or transport.is_closing():
                raise ConnectionLost
            transport.write(raw[start : start + size])
            await asyncio.sleep(0)

    async def _pinged(self, payload: bytes) -> None:
        if self._silent():
            return
        match self._wiring.rules.pings:
            case Pings.ANSWER:
                await self._socket.pong(payload)
            case Pings.CLOSE:
                await self._end(WSCloseCode.INTERNAL_ERROR, b"keepalive ping timeout")
            case Pings.IGNORE:
                return

    def _silent(self) -> bool:
        return self._wiring.faults.active(FaultKind.SILENT_STREAM, self._wiring.site) is not None
