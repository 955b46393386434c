"""Writes one event stream: frames, envelope, heartbeat, and the faults of a wire.

`eventSeq` grows by one per event made, also for an event a fault then drops.
"""

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from desk.units import NS_PER_S
from venues.ocx.simulator.settings import Timestamps
from venues.ocx.simulator.world import World
from venues.simulation.clock import iso_ms
from venues.simulation.faults import Fault, FaultKind, Site


class StreamEndedError(Exception):
    """The connection is gone or a fault cut it."""


class EventWriter:
    """One connection. Times of silence are judged by the world's clock."""

    def __init__(
        self, world: World, request: web.Request, response: web.StreamResponse, site: Site
    ) -> None:
        self._world = world
        self._request = request
        self._response = response
        self._site = site
        self._sequence = 0
        self._last_byte_ns = world.clock.now_ns()

    async def event(
        self, name: str, event_type: str, payload: dict[str, Any], *, with_id: bool
    ) -> None:
        """Send one event in its envelope."""
        self._sequence += 1
        data = msgspec.json.encode(self._envelope(event_type, payload))
        head = f"event: {name}\n"
        if with_id:
            head += f"id: {self._sequence}\n"
        await self._send(head.encode() + b"data: " + data + b"\n\n")

    async def error(self, code: str, message: str, *, retryable: bool) -> None:
        """Send the error event; it stands outside the envelope."""
        body = {"code": code, "message": message, "retryable": retryable}
        await self._write(b"event: error\ndata: " + msgspec.json.encode(body) + b"\n\n")

    async def heartbeat_if_due(self) -> None:
        """Send the comment when nothing was sent for the heartbeat period."""
        rules = self._world.settings.streams
        if self._world.clock.now_ns() - self._last_byte_ns >= rules.heartbeat_s * NS_PER_S:
            await self._write(f"{rules.heartbeat}\n\n".encode())

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        transport = self._request.transport
        return transport is None or transport.is_closing()

    async def _send(self, frame: bytes) -> None:
        faults = self._world.faults
        delay = faults.take(self._site, FaultKind.DELAY_EVENT)
        if delay is not None:
            await asyncio.sleep(delay.delay_s)
        if faults.take(self._site, FaultKind.DROP_EVENT) is not None:
            return
        cut = faults.take(self._site, FaultKind.CUT_FRAME)
        if cut is not None:
            await self._cut(frame, cut)
        split = faults.take(self._site, FaultKind.SPLIT_FRAMES)
        twice = faults.take(self._site, FaultKind.DUPLICATE_EVENT) is not None
        for copy in (frame, frame) if twice else (frame,):
            await self._pieces(copy, len(copy) if split is None else split.at or 1)

    async def _cut(self, frame: bytes, fault: Fault) -> None:
        await self._write(frame[: fault.at or len(frame) // 2])
        if self._request.transport is not None:
            self._request.transport.close()
        raise StreamEndedError

    async def _pieces(self, frame: bytes, size: int) -> None:
        for start in range(0, len(frame), size):
            await self._write(frame[start : start + size])
            if size < len(frame):
                await asyncio.sleep(0)

    async def _write(self, raw: bytes) -> None:
        try:
            await self._response.write(raw)
        except ConnectionError as fault:
            raise StreamEndedError from fault
        self._last_byte_ns = self._world.clock.now_ns()

    def _envelope(self, event_type: str, payload: dict[str, Any]) -> dict[str, Any]:
        now_ms = self._world.clock.told_ms()
        text = self._world.settings.streams.timestamps is Timestamps.ISO
        return {
            "eventId": f"{event_type}-{self._sequence}-{now_ms}",
            "eventType": event_type,
            "eventSeq": self._sequence,
            "engineTs": iso_ms(now_ms) if text else now_ms,
            "sourceTs": None,
            "payload": payload,
        }
