"""A running simulator with quiet markets, and hands to work it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

import httpx

from venues.ocx.simulator.server import OcxSimulator
from venues.ocx.simulator.settings import FlowKind, SeedAccount, SimMarket, SimulatorSettings
from venues.simulation.faults import Fault, FaultKind

MAKER, TAKER, READER = "ocx_sk_maker", "ocx_sk_taker", "ocx_sk_reader"
ACCOUNTS = (
    SeedAccount(name="maker", api_key_secret=MAKER, wallet=Decimal(500)),
    SeedAccount(name="taker", api_key_secret=TAKER),
    SeedAccount(name="reader", api_key_secret=READER, api_key_scope="read"),
)
BTC = SimMarket(
    symbol="BTC-PERP",
    price=Decimal(1000),
    tick=Decimal("0.5"),
    lot=Decimal("0.01"),
    min_lots=2,
    flow=FlowKind.NONE,
    band_low=Decimal(500),
    band_high=Decimal(2000),
)
ETH = SimMarket(
    symbol="ETH-PERP",
    price=Decimal(100),
    tick=Decimal("0.01"),
    lot=Decimal("0.001"),
    flow=FlowKind.NONE,
)


@dataclass
class Bench:
    sim: OcxSimulator
    http: httpx.AsyncClient
    names: list[int] = field(default_factory=lambda: [0])

    async def get(self, path: str, key: str | None = None, **params: Any) -> httpx.Response:
        return await self.http.get(path, params=params, headers=_key(key))

    async def post(self, path: str, body: Any = None, key: str | None = MAKER) -> httpx.Response:
        return await self.http.post(path, json=body, headers=_key(key))

    async def place(self, side: str, price: str, quantity: str = "0.10", **more: Any) -> str:
        """Rest an order of the maker; its id."""
        answer = await self.post("/perps/orders", order(side, price, quantity, **more))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["orderId"])

    async def quote(self, *levels: dict[str, Any], key: str = MAKER, **more: Any) -> httpx.Response:
        body = {"marketId": "BTC-PERP", "cancelAll": True, "levels": list(levels), **more}
        return await self.post("/perps/quotes/bulk", body, key)

    async def resting(self, key: str = MAKER) -> list[tuple[str, str]]:
        """Side and price of what rests."""
        answer = await self.get("/perps/orders", key)
        return sorted((one["side"], one["price"]) for one in answer.json())

    def arm(self, kind: FaultKind, **more: Any) -> int:
        return self.sim.faults.add(Fault(kind=kind, **more))


def order(side: str, price: str | None, quantity: str = "0.10", **more: Any) -> dict[str, Any]:
    body = {"marketId": "BTC-PERP", "side": side, "quantity": quantity, **more}
    return body if price is None else {**body, "price": price}


def level(side: str, price: str, quantity: str = "0.10", **more: Any) -> dict[str, Any]:
    return {"side": side, "price": price, "quantity": quantity, "postOnly": True, **more}


def _key(secret: str | None) -> dict[str, str]:
    return {} if secret is None else {"x-api-key": secret}


@asynccontextmanager
async def running(**changes: Any) -> AsyncIterator[Bench]:
    settings = SimulatorSettings(**{"accounts": ACCOUNTS, "markets": (BTC, ETH), **changes})
    async with (
        OcxSimulator(settings, random=Random(7)) as sim,
        httpx.AsyncClient(base_url=sim.base_url, timeout=5) as http,
    ):
        yield Bench(sim, http)


@dataclass
class Event:
    name: str
    sse_id: str | None
    data: dict[str, Any]

    @property
    def payload(self) -> dict[str, Any]:
        payload = self.data["payload"]
        assert isinstance(payload, dict)
        return payload


class Stream:
    """Reads one event stream; comments are kept apart."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.comments: list[str] = []
        self._lines = response.aiter_lines()

    async def next(self) -> Event:
        name, sse_id, data = "message", None, ""
        async for line in self._lines:
            if line.startswith(":"):
                self.comments.append(line)
            elif line.startswith("event: "):
                name = line[7:]
            elif line.startswith("id: "):
                sse_id = line[4:]
            elif line.startswith("data: "):
                data += line[6:]
            elif not line and data:
                return Event(name, sse_id, json.loads(data))
        raise EOFError

    async def comment(self) -> str:
        """The next comment line."""
        async for line in self._lines:
            if line.startswith(":"):
                return line
        raise EOFError


@asynccontextmanager
async def listening(
    bench: Bench, path: str, key: str | None = None, **params: Any
) -> AsyncIterator[Stream]:
    async with bench.http.stream("GET", path, params=params, headers=_key(key)) as response:
        assert response.status_code == 200, await response.aread()
        yield Stream(response)
