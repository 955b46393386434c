"""A running simulator with quiet markets, hands to work it, and orders the official SDK signs."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import aiohttp
import httpx
from x10.config import TESTNET_CONFIG
from x10.core.client_config import ClientConfig
from x10.core.stark_account import StarkPerpetualAccount
from x10.models.market import MarketModel
from x10.models.order import OrderSide, OrderType, SelfTradeProtectionLevel, TimeInForce
from x10.signing.order_object import create_order_object

from venues.simulation.counterflow import FlowKind
from venues.simulation.faults import Fault, FaultKind
from venues.x10.simulator.server import X10Simulator
from venues.x10.simulator.settings import SeedAccount, SimMarket, SimulatorSettings

# Published test key, from the tests of the official client.
PRIVATE = "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986"
PUBLIC = "0x61c5e7e8339b7d56f197f54ea91b776776690e3232313de0f2ecbd0ef76f466"
MAKER, TAKER, SISTER = "key-maker", "key-taker", "key-sister"
ACCOUNTS = tuple(
    SeedAccount(
        name=name, api_key=key, stark_public_key=int(PUBLIC, 16), vault=vault, client=client
    )
    for name, key, vault, client in (
        ("maker", MAKER, 10002, "house"),
        ("sister", SISTER, 10004, "house"),
        ("taker", TAKER, 10003, None),
    )
)
BTC = SimMarket(
    symbol="BTC-USD",
    price=Decimal(1000),
    min_price_change=Decimal("0.5"),
    min_order_size_change=Decimal("0.01"),
    min_order_size=Decimal("0.02"),
    flow=FlowKind.NONE,
)
ETH = SimMarket(
    symbol="ETH-USD",
    price=Decimal(100),
    min_price_change=Decimal("0.01"),
    min_order_size_change=Decimal("0.001"),
    min_order_size=Decimal("0.001"),
    flow=FlowKind.NONE,
)
_VAULTS = {MAKER: 10002, TAKER: 10003, SISTER: 10004}
_SIDES = {"buy": OrderSide.BUY, "sell": OrderSide.SELL}
Body = dict[str, Any]


def signer(key: str = MAKER) -> StarkPerpetualAccount:
    return StarkPerpetualAccount(_VAULTS[key], PRIVATE, PUBLIC, key)


@dataclass
class Bench:
    sim: X10Simulator
    http: httpx.AsyncClient
    ws: aiohttp.ClientSession
    markets: dict[str, MarketModel] = field(default_factory=dict)
    made: int = 0

    @property
    def config(self) -> ClientConfig:
        """The official client's test network, elsewhere."""
        endpoints = replace(
            TESTNET_CONFIG.endpoints,
            api_base_url=self.sim.base_url,
            api_base_order_management_url=self.sim.base_url,
            stream_url=self.sim.stream_url,
        )
        return replace(TESTNET_CONFIG, endpoints=endpoints)

    async def get(self, path: str, key: str | None = MAKER, **params: Any) -> httpx.Response:
        return await self.http.get(self.sim.base_url + path, params=params, headers=_key(key))

    async def post(self, path: str, body: Any = None, key: str | None = MAKER) -> httpx.Response:
        return await self.http.post(self.sim.base_url + path, json=body, headers=_key(key))

    async def delete(self, path: str, key: str = MAKER, **params: Any) -> httpx.Response:
        return await self.http.delete(self.sim.base_url + path, params=params, headers=_key(key))

    async def patch(self, path: str, body: Any, key: str = MAKER) -> httpx.Response:
        return await self.http.patch(self.sim.base_url + path, json=body, headers=_key(key))

    async def lever(self, path: str, body: Any = None) -> httpx.Response:
        url = self.sim.base_url.removesuffix("/api/v1") + "/_sim" + path
        return await (self.http.get(url) if body is None else self.http.post(url, json=body))

    def order(self, side: str, price: str, qty: str = "0.10", **more: Any) -> Body:
        """A signed body; `key` says whose, `name` is the external id, `old` the one replaced."""
        self.made += 1
        given: dict[str, Any] = {
            "name": f"q-{self.made}",
            "old": None,
            "key": MAKER,
            "market": "BTC-USD",
            "post_only": False,
            "fee": "0.00025",
            "life_s": 600.0,
            "kind": OrderType.LIMIT,
            "force": TimeInForce.GTT,
            "protection": SelfTradeProtectionLevel.ACCOUNT,
            "reduce_only": False,
        } | more
        made = create_order_object(
            account=signer(given["key"]),
            market=self.markets[given["market"]],
            amount_of_synthetic=Decimal(qty),
            price=Decimal(price),
            side=_SIDES[side],
            starknet_domain=self.config.signing.starknet_domain,
            order_type=given["kind"],
            post_only=given["post_only"],
            previous_order_external_id=given["old"],
            expire_time=datetime.fromtimestamp(time.time() + given["life_s"], UTC),
            order_external_id=given["name"],
            time_in_force=given["force"],
            self_trade_protection_level=given["protection"],
            nonce=self.made,
            taker_fee=Decimal(given["fee"]),
            reduce_only=given["reduce_only"],
        )
        body: Body = made.to_api_request_json(exclude_none=True)
        return body

    async def send(self, side: str, price: str, qty: str = "0.10", **more: Any) -> httpx.Response:
        key = more.get("key", MAKER)
        return await self.post("/user/order", self.order(side, price, qty, **more), key)

    async def place(self, side: str, price: str, qty: str = "0.10", **more: Any) -> str:
        """Send an order that must be accepted; its external id."""
        answer = await self.send(side, price, qty, **more)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["externalId"])

    async def resting(self, key: str = MAKER) -> list[tuple[str, str]]:
        """External id and price of what is open."""
        answer = await self.get("/user/orders", key)
        return sorted((one["externalId"], one["price"]) for one in answer.json()["data"])

    async def known(self, name: str, key: str = MAKER) -> tuple[str, str]:
        """Status and reason of an order as the venue remembers it."""
        (found,) = (await self.get(f"/user/orders/external/{name}", key)).json()["data"]
        return found["status"], found["statusReason"]

    def arm(self, kind: FaultKind, **more: Any) -> int:
        return self.sim.faults.add(Fault(kind=kind, **more))

    def events(self, *names: str) -> list[dict[str, Any]]:
        """The venue's log, of these kinds."""
        return [one for one in self.sim.engine.events() if one["event"] in names]

    @asynccontextmanager
    async def listening(
        self, path: str, key: str | None = None, **more: Any
    ) -> AsyncIterator["Stream"]:
        url = self.sim.stream_url + path
        async with self.ws.ws_connect(url, headers=_key(key), **more) as socket:
            yield Stream(socket)

    @asynccontextmanager
    async def account(self, key: str = MAKER) -> AsyncIterator["Stream"]:
        """The account stream after its snapshots."""
        async with self.listening("/account", key) as stream:
            for _ in range(3):
                await stream.next()
            yield stream


@dataclass
class Stream:
    socket: aiohttp.ClientWebSocketResponse

    async def next(self, within_s: float = 5) -> dict[str, Any]:
        """The next message; EOFError when the stream is over."""
        message = await self.socket.receive(within_s)
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise EOFError(message.type)
        told = json.loads(message.data)
        assert isinstance(told, dict)
        return told

    async def orders(self, count: int) -> list[tuple[str, str, str]]:
        """External id, status and reason of the next orders told."""
        found: list[tuple[str, str, str]] = []
        while len(found) < count:
            message = await self.next()
            if message["type"] == "ORDER":
                found += [
                    (one["externalId"], one["status"], one["statusReason"])
                    for one in message["data"]["orders"]
                ]
        return found


def _key(secret: str | None) -> dict[str, str]:
    return {} if secret is None else {"X-Api-Key": secret}


async def until(condition: Callable[[], bool], within_s: float = 5) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


def code(answer: httpx.Response) -> int:
    found = answer.json()["error"]["code"]
    assert isinstance(found, int)
    return found


@asynccontextmanager
async def running(**changes: Any) -> AsyncIterator[Bench]:
    settings = SimulatorSettings(
        **{"accounts": ACCOUNTS, "markets": (BTC, ETH), "rate_per_minute": 100_000, **changes}
    )
    async with (
        X10Simulator(settings, random=Random(7)) as sim,
        httpx.AsyncClient(timeout=5) as http,
        aiohttp.ClientSession() as ws,
    ):
        bench = Bench(sim, http, ws)
        listed = (await bench.get("/info/markets")).json()["data"]
        bench.markets = {one["name"]: MarketModel.model_validate(one) for one in listed}
        yield bench
