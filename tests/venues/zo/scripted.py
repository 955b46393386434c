"""A stand-in for 01.xyz on loopback: the test writes its answers, signatures are checked."""

import asyncio
import itertools
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import nacl.signing
from aiohttp import web

import venues.zo.schema
from desk.identity import MarketId, OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import Batch, NewOrder
from desk.ports import Clock
from desk.rate_ports import RateShares
from desk.risk.approval import SEAL, Approved
from desk.units import Side
from tests.venues.zo.harness import SystemClock
from tests.venues.zo.vectors import WALLET_ADDRESS, WALLET_SECRET
from venues.zo import ZoVenue, build
from venues.zo.schema import nord_pb2 as pb
from venues.zo.signing import address_of
from venues.zo.wire import framed, read_action

SYMBOL, ACCOUNT_ID, SESSION_ID = "BTCUSD", 7, 42
TAG = MarketId("zo", "main", SYMBOL).tag
SCHEMA = (Path(venues.zo.schema.__file__).parent / "nord.proto").read_text()
OCTETS = "application/octet-stream"
INSTRUMENT = Instrument(
    venue="zo", symbol=SYMBOL, tick_size=Decimal("0.1"), lot_size=Decimal("0.00001")
)
MARKET = {
    "marketId": 0,
    "symbol": SYMBOL,
    "priceDecimals": 1,
    "sizeDecimals": 5,
    "baseTokenId": 1,
    "quoteTokenId": 0,
    "imf": 0.1,
    "mmf": 0.05,
    "cmf": 0.0625,
}
MARGINS = {"omf": 900.5, "mf": 1000.25, "imf": 100.5, "cmf": 60, "mmf": 50, "pon": 1, "pn": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status, body and type; `cut` closes without answering."""

    status: int = 200
    body: bytes = b"{}"
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


@dataclass(slots=True)
class ScriptedVenue:
    """`say(path, …)` writes reads; `receipts` answers actions in turn, else they succeed.

    Answers to the kinds in `lost` never arrive; while `deaf`, such actions are not executed either.
    """

    base_url: str = ""
    reads: dict[str, list[Answer]] = field(default_factory=dict)
    receipts: list[Answer] = field(default_factory=list)
    seen: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    actions: list[pb.Action] = field(default_factory=list)
    orders: list[dict[str, Any]] = field(default_factory=list)
    sessions: dict[str, dict[str, str]] = field(default_factory=dict)
    keys: dict[int, bytes] = field(default_factory=dict)
    streams: dict[str, list[web.WebSocketResponse]] = field(
        default_factory=lambda: defaultdict(list)
    )
    lost: set[str] = field(default_factory=set)
    deaf: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(9_007_199_254_740_993))

    def say(self, path: str, *answers: object) -> None:
        """Answers given in turn, the last one again and again; values are written as JSON."""
        self.reads[path] = [
            one if isinstance(one, Answer) else Answer(body=msgspec.json.encode(one))
            for one in answers
        ]

    def placed(self) -> list[pb.Action]:
        """Actions that place or cancel, in the order they came."""
        return [
            one
            for one in self.actions
            if one.WhichOneof("kind") not in {"create_session", "revoke_session"}
        ]

    async def feed(self, stream: str, message: object) -> None:
        """Send one frame on the latest connection of this stream."""
        await self.streams[stream][-1].send_str(msgspec.json.encode(message).decode())

    async def until(self, done: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not done():
                self.changed.clear()
                await self.changed.wait()

    async def read(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        self.seen[path].append(request.path_qs)
        self.changed.set()
        if path.startswith("/ws/"):
            return await self._stream(request)
        given = self.reads.get(path)
        if given is None:
            return web.json_response(
                self._usual(path), dumps=lambda x: msgspec.json.encode(x).decode()
            )
        return _reply(request, given.pop(0) if len(given) > 1 else given[0])

    async def act(self, request: web.Request) -> web.StreamResponse:
        assert request.content_type == OCTETS
        body = await request.read()
        action, signature = read_action(body)
        self._verify(action, body[:-64], signature)
        self.actions.append(action)
        self.changed.set()
        kind = action.WhichOneof("kind")
        if kind in self.lost:
            if not self.deaf:
                self._success(action)
            return _reply(request, Answer(cut=True))
        if kind not in {"create_session", "revoke_session"} and self.receipts:
            return _reply(request, self.receipts.pop(0))
        return _reply(request, receipt(self._success(action)))

    def _usual(self, path: str) -> object:
        usual: dict[str, object] = {
            "/timestamp": int(time.time()),
            "/info": {"markets": [MARKET], "tokens": []},
            "/state/info": {"version": 1, "state": {"paused": False}},
            f"/user/{WALLET_ADDRESS}": {"accountIds": [ACCOUNT_ID], "sessions": self.sessions},
            f"/account/{ACCOUNT_ID}": account(orders=self.orders),
            f"/account/{ACCOUNT_ID}/fee/tier": 3,
            "/fee/brackets/info": [[3, {"maker_fee_ppm": 50, "taker_fee_ppm": 350}]],
            "/trades": {"items": []},
            "/market/0/orderbook": {
                "updateId": 5,
                "asks": [[65001.0, 1]],
                "bids": [[65000.0, 2.5]],
            },
        }
        return usual[path]

    def _verify(self, action: pb.Action, raw: bytes, signature: bytes) -> None:
        kind = action.WhichOneof("kind")
        if kind in {"create_session", "revoke_session"}:
            key, message = WALLET_PUBLIC, raw.hex().encode()
        else:
            assert kind is not None
            key, message = self.keys[getattr(action, kind).session_id], raw
        nacl.signing.VerifyKey(key).verify(message, signature)

    def _success(self, action: pb.Action) -> pb.Receipt:
        told = pb.Receipt(action_id=900)
        match action.WhichOneof("kind"):
            case "create_session":
                session_id = SESSION_ID + len(self.keys)
                key = self.keys[session_id] = action.create_session.session_pubkey
                self.sessions[str(session_id)] = {
                    "pubkey": address_of(key),
                    "expiry": "2100-01-01T00:00:00Z",
                }
                told.create_session_result.session_id = session_id
            case "revoke_session":
                told.session_revoked.SetInParent()
            case "atomic":
                self._atomic(action, told)
            case _:
                told.cancel_order_result.order_id = 1
        return told

    def _atomic(self, action: pb.Action, told: pb.Receipt) -> None:
        for one in action.atomic.actions:
            result = told.atomic.results.add()
            if one.HasField("cancel_order"):
                result.cancel_order.order_id = one.cancel_order.order_id
                self.orders = [
                    o for o in self.orders if int(o["orderId"]) != one.cancel_order.order_id
                ]
                continue
            place = one.trade_or_place
            posted = result.place_order_result.posted
            posted.order_id = next(self.numbers)
            posted.size, posted.price = place.limit.size, place.limit.price
            result.place_order_result.client_order_id = place.client_order_id

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.streams[request.path.removeprefix("/ws/")].append(socket)
        self.changed.set()
        async for _ in socket:
            continue
        return socket


WALLET_PUBLIC = bytes(nacl.signing.SigningKey(bytes(range(32))).verify_key)


def _reply(request: web.Request, answer: Answer) -> web.Response:
    if answer.cut:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()
    return web.Response(
        status=answer.status, body=answer.body, content_type=answer.kind, headers=answer.headers
    )


def receipt(told: pb.Receipt) -> Answer:
    """A receipt as the venue sends it."""
    return Answer(body=framed(told.SerializeToString()), kind=OCTETS)


def error(code: int) -> Answer:
    """An error receipt; zero is one, too."""
    told = pb.Receipt(action_id=1)
    told.err = code  # type: ignore[assignment]
    return receipt(told)


def account(**more: object) -> dict[str, object]:
    """Body of `/account/{id}`."""
    return {
        "updateId": 10,
        "orders": [],
        "positions": [],
        "balances": [],
        "margins": {**MARGINS, "bankruptcy": False},
        **more,
    }


def resting(order_id: int, number: int | None = None, market_id: int = 0) -> dict[str, object]:
    """One open order as the venue lists it."""
    return {
        "orderId": str(order_id),
        "marketId": market_id,
        "side": "bid",
        "size": 0.001,
        "price": 64000.5,
        "originalOrderSize": 0.002,
        "clientOrderId": number,
    }


def name(cycle: int, level: int = 0) -> str:
    """A client order id of ours."""
    slot = Slot(Side.BUY, level)
    return OrderIdentity(tag=TAG, epoch=1, cycle=cycle, slot=slot).encode()


def batch(cycle: int, orders: int, cancels: tuple[str, ...] = (), **more: Any) -> Approved[Batch]:
    """So many bids under the names of a cycle, and cancels."""
    placed = tuple(
        NewOrder(
            client_order_id=name(cycle, level),
            slot=Slot(Side.BUY, level),
            side=Side.BUY,
            price=640_000 - level,
            lots=100,
            **more,
        )
        for level in range(orders)
    )
    value = Batch(batch_id=f"b{cycle}", symbol=SYMBOL, orders=placed, cancels=cancels)
    return Approved(value, seal=SEAL)


@asynccontextmanager
async def scripted_venue() -> AsyncIterator[ScriptedVenue]:
    scripted = ScriptedVenue()
    scripted.say("/schema.proto", Answer(body=SCHEMA.encode(), kind="text/plain"))
    app = web.Application()
    app.router.add_route("POST", "/action", scripted.act)
    app.router.add_route("GET", "/{rest:.*}", scripted.read)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    scripted.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield scripted
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running(
    scripted: ScriptedVenue,
    *,
    hold: bool = True,
    rates: RateShares | None = None,
    clock: Clock | None = None,
    **settings: object,
) -> AsyncIterator[ZoVenue]:
    """An adapter; `hold` also holds its `run` until the account stream and a session are there."""
    given = {
        "base_url": scripted.base_url,
        "wallet_key": WALLET_SECRET,
        "request_timeout_s": 2,
        **settings,
    }
    time = clock or SystemClock()
    venue = build(given, account="main", clock=time, random=random.Random(1), rates=rates)
    async with asyncio.TaskGroup() as group:
        holder = group.create_task(venue.run() if hold else asyncio.Event().wait())
        try:
            if hold:
                await scripted.until(lambda: scripted.streams[f"account@{ACCOUNT_ID}"])
                await venue.instruments()
            yield venue
        finally:
            holder.cancel()
            await venue.close()
