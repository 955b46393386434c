"""What commands of a person need: the ports of a worker, or a Temporal client, for a moment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.client import Client

from activities.ports import ActivityPorts
from flotilla.wiring import open_ports
from infra.settings import Settings, load_settings
from infra.telemetry.setup import Telemetry
from infra.temporal.client import connect


@asynccontextmanager
async def open_control(settings: Settings | None = None) -> AsyncIterator[ActivityPorts]:
    """Ledger, board and venues, without telemetry."""
    async with open_ports(settings or load_settings(), Telemetry()) as ports:
        yield ports


@asynccontextmanager
async def open_temporal(settings: Settings | None = None) -> AsyncIterator[Client]:
    """A Temporal client. Raises Unavailable with the remedy."""
    yield await connect(settings or load_settings())
