"""A stand-in for X10 on loopback whose every answer and stream message is written by the test."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from desk.identity import Slot
from desk.instrument import Instrument
from desk.orders import Batch, NewOrder, TimeInForce
from desk.ports import Venue
from desk.rate_ports import RateShares
from desk.risk.approval import SEAL, Approved
from desk.units import Side
from tests.venues.ocx.scripted import Answer, Seen, SystemClock
from venues.x10 import build

SYMBOL = "BTC-USD"
KEY = "x10-key-0123456789"
PRIVATE_KEY = "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986"
INSTRUMENT = Instrument(
    venue="x10",
    symbol=SYMBOL,
    tick_size=Decimal(1),
    lot_size=Decimal("0.00001"),
    min_lots=10,
    taker_fee_bps=Decimal("2.5"),
)
MARKET: dict[str, Any] = {
    "name": SYMBOL,
    "type": "PERPETUAL",
    "active": True,
    "status": "ACTIVE",
    "isRfq": False,
    "tradingConfig": {
        "minOrderSize": "0.0001",
        "minOrderSizeChange": "0.00001",
        "minPriceChange": "1",
        "maxNumOrders": "200",
    },
    "l2Config": {
        "type": "STARKX",
        "collateralId": "0x1",
        "collateralResolution": 1_000_000,
        "syntheticId": "0x4254432d3600000000000000000000",
        "syntheticResolution": 1_000_000,
    },
}
FEE = {"market": SYMBOL, "makerFeeRate": "0.00000", "takerFeeRate": "0.00025"}
API, STREAMS = "/api/v1", "/stream.extended.exchange/v1"
ORDER, MASS, TIMER = "POST /user/order", "POST /user/order/massCancel", "POST /user/deadmanswitch"
ACCOUNT, BOOK = "/account", f"/orderbooks/{SYMBOL}"


def ok(data: object, cursor: int | None = None) -> Answer:
    """A successful answer."""
    page = None if cursor is None else {"cursor": cursor, "count": 1}
    return Answer(body=msgspec.json.encode({"status": "OK", "data": data, "pagination": page}))


def error(code: object, status: int = 400, message: str = "") -> Answer:
    """An error envelope."""
    told = {"status": "ERROR", "error": {"code": code, "message": message}}
    return Answer(status=status, body=msgspec.json.encode(told))


@dataclass(slots=True)
class ScriptedX10:
    """`say(call, ...)` scripts a call (`GET /user/orders`): given in turn, the last one again and
    again. Streams are fed by hand.
    """

    base_url: str = ""
    stream_url: str = ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    seen: dict[str, list[Seen]] = field(default_factory=lambda: defaultdict(list))
    streams: dict[str, list[web.WebSocketResponse]] = field(
        default_factory=lambda: defaultdict(list)
    )
    refuse: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    upgrades: dict[str, list[dict[str, str]]] = field(default_factory=lambda: defaultdict(list))
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, call: str, *answers: Answer) -> None:
        self.answers[call] = list(answers)

    def hold(self, call: str) -> asyncio.Event:
        """Keep answers of a call back until the event is set."""
        self.held[call] = asyncio.Event()
        return self.held[call]

    async def feed(self, path: str, message: object, which: int = -1) -> None:
        """Send one message on the latest stream at this path."""
        await self.streams[path][which].send_str(msgspec.json.encode(message).decode())

    async def until(self, done: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not done():
                self.changed.clear()
                await self.changed.wait()

    def news(self) -> None:
        self.changed.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if request.path.startswith(STREAMS):
            return await self._stream(request, request.path.removeprefix(STREAMS), headers)
        call = f"{request.method} {request.path.removeprefix(API)}"
        body = await request.read()
        self.seen[call].append(Seen(target=request.path_qs, headers=headers, body=body))
        self.changed.set()
        given = self.answers.get(call) or self.answers.get(call.rpartition("/")[0] + "/*")
        given = given or [ok([])]
        answer = given.pop(0) if len(given) > 1 else given[0]
        if call in self.held:
            await self.held[call].wait()
        if answer.cut:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    async def _stream(
        self, request: web.Request, path: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        self.upgrades[path].append(headers)
        self.changed.set()
        if self.refuse[path]:
            return web.Response(status=self.refuse[path].pop(0))
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self.streams[path].append(socket)
        self.changed.set()
        async for message in socket:
            if message.type is WSMsgType.ERROR:
                break
        return socket


@asynccontextmanager
async def scripted_x10() -> AsyncIterator[ScriptedX10]:
    venue = ScriptedX10()
    venue.say("GET /info/markets", ok([MARKET]))
    venue.say("GET /user/fees", ok([FEE]))
    venue.say(ORDER, ok({"id": 2_100_000_000_000_000_001, "externalId": "c0"}))
    venue.say(MASS, ok({}))
    venue.say("DELETE /user/order", ok({}))
    venue.say(TIMER, Answer(body=b""))
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", venue.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    venue.base_url = f"http://127.0.0.1:{port}{API}"
    venue.stream_url = f"ws://127.0.0.1:{port}{STREAMS}"
    try:
        yield venue
    finally:
        for event in venue.held.values():
            event.set()
        for sockets in venue.streams.values():
            for socket in sockets:
                await socket.close()
        await runner.cleanup()


def settings(scripted: ScriptedX10, **changes: object) -> dict[str, object]:
    """Settings that fit the scripted venue."""
    return {
        "base_url": scripted.base_url,
        "stream_url": scripted.stream_url,
        "api_key": KEY,
        "private_key": PRIVATE_KEY,
        "vault": 10_002,
        "domain": "SN_SEPOLIA",
        "dead_man.unit": "seconds",
        "cancel_grace_ms": 20,
        "streams.refused_wait_s": 0.05,
        **changes,
    }


@asynccontextmanager
async def running(
    scripted: ScriptedX10,
    *,
    hold: bool = True,
    learn: bool = True,
    rates: RateShares | None = None,
    unit: str = "seconds",
    **changes: object,
) -> AsyncIterator[Venue]:
    venue = build(
        settings(scripted, **{"dead_man.unit": unit, **changes}),
        account="main",
        clock=SystemClock(),
        random=random.Random(1),
        rates=rates,
    )
    async with asyncio.TaskGroup() as group:
        holder = group.create_task(venue.run() if hold else asyncio.Event().wait())
        try:
            if hold:
                await scripted.until(lambda: scripted.streams[ACCOUNT])
            if learn:
                await venue.instruments()
            yield venue
        finally:
            holder.cancel()
            await venue.close()


def quote(
    name: str = "c0",
    *,
    replaces: str | None = None,
    time_in_force: TimeInForce = TimeInForce.GTC,
    post_only: bool = True,
) -> NewOrder:
    return NewOrder(
        client_order_id=name,
        slot=Slot(Side.BUY, 0),
        side=Side.BUY,
        price=80_000,
        lots=100,
        time_in_force=time_in_force,
        post_only=post_only,
        replaces=replaces,
    )


def batch(
    *orders: NewOrder, cancels: tuple[str, ...] = (), replace_all: bool = False
) -> Approved[Batch]:
    value = Batch(
        batch_id="q1", symbol=SYMBOL, orders=orders, cancels=cancels, replace_all=replace_all
    )
    return Approved(value, seal=SEAL)
