"""What a worker does: role → task queue → workflows and activities; runs and drains it."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

import pydantic
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.arbitrage import ArbitrageActivities
from activities.breaks import BreakActivities
from activities.drill import DrillActivities
from activities.flatten import FlattenActivities
from activities.guardian import GuardianActivities
from activities.hedge import HedgeActivities
from activities.kill import KillActivities
from activities.losses import LossActivities
from activities.market import MarketActivities
from activities.ports import ActivityPorts
from activities.reconciliation import ReconciliationActivities
from activities.upkeep import UpkeepActivities
from workflows import names
from workflows.arbitrage import ArbitrageWorkflow
from workflows.breaks import BreakWorkflow
from workflows.control import ControlWorkflow
from workflows.daily_loss import DailyLossWorkflow
from workflows.daily_loss_messages import WatchDailyLoss
from workflows.drill import DrillWorkflow
from workflows.flatten import FlattenWorkflow
from workflows.guardian import GuardianWorkflow
from workflows.hedge import HedgeWorkflow
from workflows.kill import KillWorkflow
from workflows.market import MarketWorkflow
from workflows.reconciliation import ReconciliationWorkflow
from workflows.upkeep import UpkeepWorkflow

# Workflow files import these; loading them once instead of once a sandbox keeps starts fast.
PASSTHROUGH: Final = ("activities", "quoting", "desk", "pydantic")

ROLES: Final = frozenset({"market", "guardian"})

MAX_MARKETS: Final = 400
STICKY_TIMEOUT: Final = timedelta(seconds=2)
HEARTBEAT_THROTTLE: Final = timedelta(seconds=1)
_WATCHED_AGAIN_S: Final = 15.0


def market_worker(client: Client, ports: ActivityPorts) -> Worker:
    """A worker that owns markets: their workflows, their sessions, their hedges and sets."""
    activities, hedges = MarketActivities(ports), HedgeActivities(ports)
    sets = ArbitrageActivities(ports)
    losses, breaks = LossActivities(ports), BreakActivities(ports)
    return _worker(
        client,
        names.MARKETS_QUEUE,
        workflows=[MarketWorkflow, HedgeWorkflow, ArbitrageWorkflow],
        activities=[
            activities.preflight,
            activities.quote_session,
            activities.take_over,
            activities.stand_down,
            activities.record_decision,
            losses.latch_market,
            breaks.break_holding,
            hedges.open_hedge,
            hedges.watch_hedge,
            hedges.send_hedge_slice,
            hedges.release_hedge,
            hedges.leave_hedge,
            sets.open_set,
            sets.run_set,
            sets.release_set,
            sets.tell_set,
            sets.leave_set,
        ],
    )


def control_worker(client: Client, ports: ActivityPorts) -> Worker:
    """A worker that serves the brakes: what must work while no market worker does."""
    drills, guardian = DrillActivities(ports), GuardianActivities(ports)
    losses = LossActivities(ports)
    kills = KillActivities(ports)
    flattens = FlattenActivities(ports)
    breaks = BreakActivities(ports)
    reconciliations = ReconciliationActivities(ports)
    return _worker(
        client,
        names.CONTROL_QUEUE,
        workflows=[
            FlattenWorkflow,
            DrillWorkflow,
            GuardianWorkflow,
            ControlWorkflow,
            KillWorkflow,
            DailyLossWorkflow,
            BreakWorkflow,
            ReconciliationWorkflow,
            UpkeepWorkflow,
        ],
        activities=[
            flattens.flatten_take_over,
            flattens.flatten_slice,
            flattens.flatten_tell,
            flattens.flatten_end,
            drills.prepare_drill,
            drills.see_quotes,
            drills.drill_kill,
            drills.drill_dead_man,
            drills.drill_panic,
            drills.clean_drill,
            drills.record_drill,
            guardian.look_for_unowned,
            guardian.tell_findings,
            losses.watch_losses,
            losses.latch_scope,
            kills.tell_board,
            kills.record_kill,
            kills.markets_in_scope,
            kills.collect_answers,
            kills.answer_kill,
            kills.alarm_kill,
            kills.lift_kill,
            kills.kills_standing,
            breaks.look_at_break,
            breaks.tell_break,
            breaks.settle_named,
            breaks.tell_markets,
            reconciliations.reconcile,
            reconciliations.record_blind,
            UpkeepActivities(ports).keep_tables,
        ],
    )


def own_worker(client: Client, ports: ActivityPorts) -> Worker:
    """A worker that serves what must reach exactly this process."""
    return _worker(
        client,
        names.worker_queue(ports.worker),
        workflows=[],
        activities=[KillActivities(ports).close_gates],
    )


def workers(client: Client, ports: ActivityPorts, role: str) -> Sequence[Worker]:
    """What a process of this role polls: every role serves the brakes, one quotes markets."""
    brakes = (control_worker(client, ports), own_worker(client, ports))
    return (market_worker(client, ports), *brakes) if role == "market" else brakes


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
    async with asyncio.TaskGroup() as tasks:
        for one in workers(client, ports, role):
            tasks.create_task(_serve(one, stop))
        tasks.create_task(_keep_daily_loss(client, ports.fleet, stop))


async def _serve(one: Worker, stop: asyncio.Event) -> None:
    # Each on its own: none waits for another's long activities before it stops its sessions.
    async with one:
        await stop.wait()


async def _keep_daily_loss(client: Client, fleet: str, stop: asyncio.Event) -> None:
    """Have the watch over daily losses run, also after somebody ended it."""
    while not stop.is_set():
        with suppress(RPCError):
            await client.start_workflow(
                DailyLossWorkflow.run,
                WatchDailyLoss(fleet=fleet),
                id=names.daily_loss_workflow_id(fleet),
                task_queue=names.CONTROL_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary=f"daily losses of fleet {fleet}",
            )
        with suppress(TimeoutError):
            async with asyncio.timeout(_WATCHED_AGAIN_S):
                await stop.wait()
