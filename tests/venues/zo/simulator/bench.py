"""A running simulator with quiet markets, and hands to work it: signed actions, reads, streams."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

import base58
import httpx
from nacl.signing import SigningKey
from websockets.asyncio.client import ClientConnection, connect

from venues.simulation.faults import Fault, FaultKind
from venues.zo.schema.nord_pb2 import (
    Action,
    Atomic,
    CancelOrder,
    CancelOrderByClientId,
    CancelOrderById,
    CreateSession,
    Error,
    FillMode,
    OrderLimit,
    OrderType,
    PlaceOrder,
    Receipt,
    RevokeSession,
    Side,
    Subaction,
    TradeOrPlace,
)
from venues.zo.simulator.server import ZoSimulator
from venues.zo.simulator.settings import FlowKind, SeedAccount, SimMarket, SimulatorSettings

OCTETS = {"content-type": "application/octet-stream"}
MAKER, TAKER = SigningKey(bytes(range(32))), SigningKey(bytes(range(64, 96)))
BID, ASK = Side.BID, Side.ASK
LIMIT, POST_ONLY = FillMode.LIMIT, FillMode.POST_ONLY
IOC, FOK = FillMode.IMMEDIATE_OR_CANCEL, FillMode.FILL_OR_KILL
BTC = SimMarket(
    symbol="BTCUSD",
    price=Decimal(1000),
    price_decimals=1,
    size_decimals=3,
    flow=FlowKind.NONE,
)
ETH = SimMarket(
    symbol="ETHUSD", price=Decimal(100), price_decimals=2, size_decimals=2, flow=FlowKind.NONE
)
RFQ = SimMarket(
    symbol="GOLDUSD",
    price=Decimal(10),
    price_decimals=2,
    size_decimals=2,
    mode="rfq",
    flow=FlowKind.NONE,
)


def wallet_text(key: SigningKey) -> str:
    return base58.b58encode(bytes(key.verify_key)).decode()


ACCOUNTS = (
    SeedAccount(name="maker", wallet=wallet_text(MAKER)),
    SeedAccount(name="taker", wallet=wallet_text(TAKER)),
    SeedAccount(name="maker2", wallet=wallet_text(MAKER)),
)


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def raw_of(action: Action) -> bytes:
    payload = action.SerializeToString()
    return varint(len(payload)) + payload


def by_wallet(action: Action, key: SigningKey) -> bytes:
    raw = raw_of(action)
    return raw + key.sign(raw.hex().encode()).signature


def by_session(action: Action, key: SigningKey) -> bytes:
    raw = raw_of(action)
    return raw + key.sign(raw).signature


def receipt_of(body: bytes) -> Receipt:
    value = shift = start = 0
    for byte in body:
        value |= (byte & 127) << shift
        shift, start = shift + 7, start + 1
        if byte < 128:
            break
    assert len(body) == start + value
    receipt = Receipt()
    receipt.ParseFromString(body[start:])
    return receipt


def error_of(receipt: Receipt) -> str | None:
    """Name of the error, its number as text when it has none, None when it went well."""
    if receipt.WhichOneof("kind") != "err":
        return None
    number = int(receipt.err)
    return next((name for name, known in Error.items() if known == number), str(number))


@dataclass
class Trader:
    """One wallet with a session."""

    bench: "Bench"
    wallet: SigningKey
    key: SigningKey
    session_id: int
    account_id: int

    async def send(self, **kind: Any) -> Receipt:
        return await self.bench.post(by_session(self.bench.action(**kind), self.key))

    async def place(
        self, side: Side, price: int, size: int = 100, mode: FillMode = POST_ONLY, **more: Any
    ) -> Receipt:
        order = PlaceOrder(
            session_id=self.session_id,
            side=side,
            fill_mode=mode,
            price=price,
            size=size,
            **{"market_id": 0, "sender_account_id": self.account_id, **more},
        )
        return await self.send(place_order=order)

    async def rest(self, side: Side, price: int, size: int = 100, **more: Any) -> int:
        """Rest an order; its id."""
        receipt = await self.place(side, price, size, **more)
        assert error_of(receipt) is None, error_of(receipt)
        return int(receipt.place_order_result.posted.order_id)

    async def cancel(self, order_id: int, **more: Any) -> Receipt:
        message = CancelOrderById(
            session_id=self.session_id,
            order_id=order_id,
            **{"sender_account_id": self.account_id, **more},
        )
        return await self.send(cancel_order_by_id=message)

    async def cancel_named(self, client_order_id: int) -> Receipt:
        message = CancelOrderByClientId(
            session_id=self.session_id,
            client_order_id=client_order_id,
            sender_account_id=self.account_id,
        )
        return await self.send(cancel_order_by_client_id=message)

    async def atomic(self, *parts: Subaction) -> Receipt:
        message = Atomic(
            session_id=self.session_id, account_id=self.account_id, actions=list(parts)
        )
        return await self.send(atomic=message)

    async def resting(self) -> list[tuple[str, float, float]]:
        """Side, price and size of what rests."""
        body = await self.bench.get(f"/account/{self.account_id}")
        return sorted((one["side"], one["price"], one["size"]) for one in body["orders"])


def cancelling(order_id: int) -> Subaction:
    return Subaction(cancel_order=CancelOrder(order_id=order_id))


def placing(
    side: Side, price: int, size: int = 100, mode: FillMode = POST_ONLY, **more: Any
) -> Subaction:
    reduce_only = more.pop("is_reduce_only", False)
    return Subaction(
        trade_or_place=TradeOrPlace(
            order_type=OrderType(side=side, fill_mode=mode, is_reduce_only=reduce_only),
            limit=OrderLimit(price=price, size=size),
            **more,
        )
    )


@dataclass
class Bench:
    sim: ZoSimulator
    http: httpx.AsyncClient
    count: list[int] = field(default_factory=lambda: [0])

    def action(self, **kind: Any) -> Action:
        self.count[0] += 1
        now = self.sim.world.engine_s()
        return Action(**{"current_timestamp": now, "nonce": self.count[0], **kind})

    async def post(self, body: bytes) -> Receipt:
        answer = await self.http.post("/action", content=body, headers=OCTETS)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == OCTETS["content-type"]
        return receipt_of(answer.content)

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def create(self, wallet: SigningKey, key: SigningKey, *, ttl_s: int = 3600) -> bytes:
        message = CreateSession(
            user_pubkey=bytes(wallet.verify_key),
            session_pubkey=bytes(key.verify_key),
            expiry_timestamp=self.sim.world.engine_s() + ttl_s,
        )
        return by_wallet(self.action(create_session=message), wallet)

    def revoke(self, wallet: SigningKey, session_id: int) -> bytes:
        return by_wallet(self.action(revoke_session=RevokeSession(session_id=session_id)), wallet)

    async def trader(
        self, wallet: SigningKey = MAKER, account_id: int = 1, *, ttl_s: int = 3600
    ) -> Trader:
        self.count[0] += 1
        key = SigningKey(self.count[0].to_bytes(32, "big"))
        receipt = await self.post(self.create(wallet, key, ttl_s=ttl_s))
        assert error_of(receipt) is None, error_of(receipt)
        session_id = receipt.create_session_result.session_id
        return Trader(self, wallet, key, session_id, account_id)

    def arm(self, kind: FaultKind, **more: Any) -> int:
        return self.sim.faults.add(Fault(kind=kind, **more))

    def events(self, *names: str) -> list[dict[str, Any]]:
        return [one for one in self.sim.engine.events() if one["event"] in names]

    @asynccontextmanager
    async def listening(self, streams: str) -> AsyncIterator["Ear"]:
        url = f"{self.sim.stream_url}/ws/{streams}"
        async with connect(url, ping_interval=None, compression=None) as socket:
            yield Ear(socket)


@dataclass
class Ear:
    socket: ClientConnection

    async def next(self, kind: str) -> dict[str, Any]:
        """The next message; it must be of this kind."""
        message = json.loads(await self.socket.recv())
        assert kind in message, message
        body = message[kind]
        assert isinstance(body, dict)
        return body


@asynccontextmanager
async def running(**changes: Any) -> AsyncIterator[Bench]:
    settings = SimulatorSettings(**{"accounts": ACCOUNTS, "markets": (BTC, ETH, RFQ), **changes})
    async with (
        ZoSimulator(settings, random=Random(7)) as sim,
        httpx.AsyncClient(base_url=sim.base_url, timeout=5) as http,
    ):
        yield Bench(sim, http)
