"""Sees that the control desk runs, that it knows this worker, and that kills and breaks are kept.

The one rule: one in the record without a workflow gets one; looking costs no history.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from activities.ports import ActivityPorts
from desk.errors import Unavailable
from desk.permit import wants_answers
from desk.records import Kill
from flotilla.break_keeper import BreakKeeper
from flotilla.kills import control_status, join_control, keep_kill, leave_control

_EVERY_S = 5.0
_LISTED_EVERY = 3
_LEAVE_S = 2.0


@asynccontextmanager
async def kept_kills(client: Client, ports: ActivityPorts, fleet: str) -> AsyncIterator[None]:
    """Keep every kill while the block runs, and take leave of the control desk after it."""
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(_keep(client, ports, fleet))
        try:
            yield
        finally:
            keeping.cancel()
    with suppress(RPCError, TimeoutError):  # one that does not answer is dropped
        async with asyncio.timeout(_LEAVE_S):
            await leave_control(client, fleet, ports.worker)


async def _keep(client: Client, ports: ActivityPorts, fleet: str) -> None:
    log, answered, looks = structlog.get_logger("flotilla.kills"), set[Kill](), 0
    breaks = BreakKeeper(client, ports, fleet)
    while True:
        try:
            if looks % _LISTED_EVERY == 0 and not await _listed(client, ports.worker, fleet):
                await join_control(client, fleet, ports.worker)
            looks += 1
            answered = await _keep_all(client, ports, fleet, answered)
            await breaks.look()
        except (RPCError, Unavailable) as trouble:
            log.warning("kills not checked", trouble=str(trouble))
        await asyncio.sleep(_EVERY_S)


async def _listed(client: Client, worker: str, fleet: str) -> bool:
    try:
        return worker in (await control_status(client, fleet)).workers
    except RPCError:
        return False  # it does not run, or no worker was there to answer


async def _keep_all(
    client: Client, ports: ActivityPorts, fleet: str, answered: set[Kill]
) -> set[Kill]:
    """Start what is missing; kills in force that everybody has answered."""
    active = set(filter(wants_answers, await ports.ledger.active_kills()))
    for kill in active - answered:
        try:
            kept = await keep_kill(client, fleet, kill)
        except ValueError as trouble:  # a scope no version of ours wrote
            structlog.get_logger("flotilla.kills").error("kill not kept", trouble=str(trouble))
            kept = False
        if not kept:
            answered = answered | {kill}
    return answered & active
