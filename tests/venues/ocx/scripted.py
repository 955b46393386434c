"""A stand-in for OCX on loopback whose every answer is written by the test."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec
from aiohttp import web

from desk.identity import Slot
from desk.instrument import Instrument
from desk.orders import Batch, NewOrder
from desk.ports import Venue
from desk.rate_ports import RateShares
from desk.risk.approval import SEAL, Approved
from desk.units import Side
from venues.ocx import build

SYMBOL = "BTC-USDC-PERP"
INSTRUMENT = Instrument(
    venue="ocx",
    symbol=SYMBOL,
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.0001"),
    maker_fee_bps=Decimal(2),
    taker_fee_bps=Decimal(5),
)


class SystemClock:
    """The machine's own time."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        return time.time_ns()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as the venue saw it."""

    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> object:
        return msgspec.json.decode(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status and body, after `slow_s`; `cut` closes without answering; headers are added."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    slow_s: float = 0.0


@dataclass(slots=True)
class ScriptedVenue:
    """`answers[path]` are given in turn, the last one again and again; streams are fed by hand."""

    base_url: str = ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    seen: dict[str, list[Seen]] = field(default_factory=lambda: defaultdict(list))
    streams: dict[str, list[asyncio.Queue[bytes]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, path: str, *answers: Answer) -> None:
        self.answers[path] = list(answers)

    def feed(self, path: str, frame: bytes) -> None:
        """Send bytes on the latest stream at this path; no bytes close it."""
        self.streams[path][-1].put_nowait(frame)

    async def until(self, done: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not done():
                self.changed.clear()
                await self.changed.wait()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        self.seen[path].append(Seen(target=request.path_qs, headers=headers, body=body))
        self.changed.set()
        given = self.answers.get(path, [Answer()])
        answer = given.pop(0) if len(given) > 1 else given[0]
        await asyncio.sleep(answer.slow_s)
        if answer.cut:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if answer.status == 200 and path.rpartition("/")[2] in {"book-stream", "user"}:
            return await self._stream(request)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        frames: asyncio.Queue[bytes] = asyncio.Queue()
        self.streams[request.path].append(frames)
        self.changed.set()
        while frame := await frames.get():
            await response.write(frame)
        return response


@asynccontextmanager
async def scripted_venue() -> AsyncIterator[ScriptedVenue]:
    venue = ScriptedVenue()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", venue.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    venue.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield venue
    finally:
        for queues in venue.streams.values():
            for queue in queues:
                queue.put_nowait(b"")
        await runner.cleanup()


@asynccontextmanager
async def running(
    scripted: ScriptedVenue,
    *,
    hold: bool = True,
    rates: RateShares | None = None,
    **settings: object,
) -> AsyncIterator[Venue]:
    given = {"base_url": scripted.base_url, "api_key": "ocx_sk_x", **settings}
    venue = build(given, account="main", clock=SystemClock(), random=random.Random(1), rates=rates)
    async with asyncio.TaskGroup() as group:
        holder = group.create_task(venue.run() if hold else asyncio.Event().wait())
        try:
            if hold:
                await scripted.until(lambda: scripted.seen["/perps/stream/user"])
            yield venue
        finally:
            holder.cancel()
            await venue.close()


def frame(name: str, payload: object, *, seq: int, sse_id: bool = False) -> bytes:
    data = msgspec.json.encode({"eventSeq": seq, "eventType": "", "payload": payload})
    start = f"id: {seq}\n" if sse_id else ""
    return f"{start}event: {name}\ndata: ".encode() + data + b"\n\n"


def ladder(*, replace_all: bool = True, levels: int = 2) -> Approved[Batch]:
    orders = tuple(
        NewOrder(
            client_order_id=f"c{level}",
            slot=Slot(Side.BUY, level),
            side=Side.BUY,
            price=6_425_000 - level,
            lots=100,
        )
        for level in range(levels)
    )
    batch = Batch(batch_id="q1", symbol=SYMBOL, orders=orders, replace_all=replace_all)
    return Approved(batch, seal=SEAL)
