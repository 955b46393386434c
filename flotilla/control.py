"""What commands of a person need: the ports of a worker, or a Temporal client, for a moment.

A kill needs neither service to be there: the board is told first, the ledger after it. Lifting
needs both, in the other order: the board stops sessions until the record no longer does.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.client import Client

from activities.ports import ActivityPorts
from desk.errors import ConfigurationFault, Unavailable
from desk.records import Kill
from flotilla.wiring import open_board, open_ledger, open_ports
from infra.settings import Settings, load_settings
from infra.telemetry.setup import Telemetry
from infra.temporal.client import connect
from quoting.lifting import lift_kills

__all__ = ["lift_kills", "open_control", "open_temporal", "record_kill", "tell_board"]


@asynccontextmanager
async def open_control(settings: Settings | None = None) -> AsyncIterator[ActivityPorts]:
    """Ledger, board and venues, without telemetry."""
    async with open_ports(settings or load_settings(), Telemetry()) as ports:
        yield ports


@asynccontextmanager
async def open_temporal(settings: Settings | None = None) -> AsyncIterator[Client]:
    """A Temporal client. Raises Unavailable with the remedy."""
    yield await connect(settings or load_settings())


async def tell_board(settings: Settings, kill: Kill) -> str | None:
    """Put a kill where sessions look, at once; None when it stands there, else why it does not."""
    try:
        async with open_board(settings) as board:
            await board.set(kill)
    except (Unavailable, ConfigurationFault) as trouble:
        return str(trouble)
    return None


async def record_kill(settings: Settings, kill: Kill) -> str | None:
    """Write a kill into the durable record; None when it stands there, else why it does not."""
    try:
        async with open_ledger(settings) as ledger:
            await ledger.set_kill(kill)
    except (Unavailable, ConfigurationFault) as trouble:
        return str(trouble)
    return None
