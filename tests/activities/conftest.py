"""Activities on real parts: PostgreSQL, Valkey, and the simulated OCX on loopback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.market import MarketActivities
from activities.ports import ActivityPorts
from desk.errors import Unavailable
from desk.identity import MarketId
from flotilla.wiring import open_ports
from infra.settings import load_settings
from infra.telemetry.setup import Telemetry
from tests.support.services import Services
from venues.ocx.simulator.server import OcxSimulator
from venues.ocx.simulator.settings import (
    DEFAULT_MARKETS,
    SeedAccount,
    SimMarket,
    SimulatorSettings,
)

T = TypeVar("T")
KEY = "ocx_sk_" + "a1" * 16
MARKET = MarketId("ocx", "main", "BTC-PERP")
NOTHING: Mapping[str, Decimal] = {}


@dataclass(frozen=True)
class Desk:
    """What an activity test works with."""

    ports: ActivityPorts
    activities: MarketActivities
    venue: OcxSimulator
    state_dir: Path
    client: Client

    async def run(self, work: Callable[..., Awaitable[T]], request: object) -> T:
        """Run one activity as a worker would."""
        return await ActivityEnvironment(client=self.client).run(work, request)


OpenDesk = Callable[..., AbstractAsyncContextManager[Desk]]


@pytest.fixture
def open_desk(
    services: Services,
    database_url: str,
    redis_url: str,
    temporal_client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> OpenDesk:
    @asynccontextmanager
    async def opened(
        collateral: str = "100000",
        markets: tuple[SimMarket, ...] = DEFAULT_MARKETS,
        others: tuple[SeedAccount, ...] = (),
        spot: Mapping[str, Decimal] = NOTHING,
        **environment: str,
    ) -> AsyncIterator[Desk]:
        settings = SimulatorSettings(
            markets=markets,
            accounts=(
                SeedAccount(
                    name="main",
                    api_key_secret=KEY,
                    perps_collateral=Decimal(collateral),
                    rate_per_minute=60_000,
                    spot=spot,
                ),
                *others,
            ),
        )
        async with OcxSimulator(settings, random=Random(7)) as venue:
            given = {
                "FLOTILLA_VENUE_OCX__BASE_URL": venue.base_url,
                "FLOTILLA_VENUE_OCX__API_KEY": KEY,
                "FLOTILLA_VENUE_OCX__RATE__ORDER_PER_MIN": "60000",
                **environment,
            }
            for one in others:
                given[f"FLOTILLA_VENUE_OCX__{one.name.upper()}__API_KEY"] = one.api_key_secret or ""
            for name, value in given.items():
                monkeypatch.setenv(name, value)
            chosen = load_settings(
                database_url=database_url,
                redis_url=redis_url,
                data_dir=tmp_path / "data",
                state_dir=tmp_path / "state",
            )
            (tmp_path / "state").mkdir(exist_ok=True)
            async with open_ports(chosen, Telemetry()) as ports:
                await _connected(ports)
                yield Desk(
                    ports, MarketActivities(ports), venue, tmp_path / "state", temporal_client
                )

    return opened


async def _connected(ports: ActivityPorts) -> None:
    """On a busy machine the first connection may take longer than the product waits for one."""
    async with asyncio.timeout(20):
        while True:
            with suppress(Unavailable):
                await ports.claims.armed()
                return
