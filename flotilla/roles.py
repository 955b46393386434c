"""What a worker does: role → task queue → workflows and activities; runs and drains it."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final

import pydantic
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.hedge import HedgeActivities
from activities.market import MarketActivities
from activities.ports import ActivityPorts
from workflows import names
from workflows.hedge import HedgeWorkflow
from workflows.market import MarketWorkflow

# Workflow files import these; loading them once instead of once a sandbox keeps starts fast.
PASSTHROUGH: Final = ("activities", "quoting", "desk", "pydantic")

ROLES: Final = frozenset({"market", "guardian"})

MAX_MARKETS: Final = 400
STICKY_TIMEOUT: Final = timedelta(seconds=2)
HEARTBEAT_THROTTLE: Final = timedelta(seconds=1)


def market_worker(client: Client, ports: ActivityPorts) -> Worker:
    """A worker that owns markets: their workflows, their sessions and their hedges."""
    activities, hedges = MarketActivities(ports), HedgeActivities(ports)
    return _worker(
        client,
        names.MARKETS_QUEUE,
        workflows=[MarketWorkflow, HedgeWorkflow],
        activities=[
            activities.preflight,
            activities.quote_session,
            activities.take_over,
            activities.flatten_slice,
            activities.stand_down,
            activities.record_decision,
            hedges.open_hedge,
            hedges.watch_hedge,
            hedges.send_hedge_slice,
            hedges.release_hedge,
            hedges.leave_hedge,
        ],
    )


def workers(client: Client, ports: ActivityPorts, role: str) -> Sequence[Worker]:
    """What a process of this role polls: every role serves the brakes, one quotes markets."""
    return (market_worker(client, ports),) if role == "market" else ()


def _worker(
    client: Client,
    queue: str,
    *,
    workflows: Sequence[type],
    activities: Sequence[Callable[..., object]],
) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflows=workflows,
        activities=activities,
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
        ),
        # A person's bad input ends a market with a sentence; a bug of ours does not end it.
        workflow_failure_exception_types=[pydantic.ValidationError],
        max_concurrent_activities=MAX_MARKETS,
        # After a worker's death its cached workflows must not wait for it.
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
    )


async def run_worker(
    client: Client, ports: ActivityPorts, stop: asyncio.Event, *, role: str
) -> None:
    """Run until told to stop; sessions pull their quotes before it returns."""
    async with AsyncExitStack() as running:
        for one in workers(client, ports, role):
            await running.enter_async_context(one)
        await stop.wait()
