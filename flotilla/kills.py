"""A kill as a person's command sees it: told three ways at once, watched until all have answered.

The one rule: none of the ways waits for another, and any one of them is enough to stop.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.answering import answered
from activities.kill_messages import StageSeen
from desk.errors import ConfigurationFault, Unavailable
from desk.identity import MarketId
from desk.records import Kill, KillAnswer, KillEffect
from flotilla.control import open_temporal, record_kill, tell_board
from flotilla.wiring import open_kill_record
from infra.settings import Settings
from workflows import names
from workflows.control import ControlWorkflow
from workflows.kill import KillWorkflow
from workflows.kill_messages import ControlStatus, KillRequest, StartControl, StartKill, WorkerName

_TEMPORAL_S = 4.0
_QUERY = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Why each of the three was not told; None where it was."""

    board: str | None
    record: str | None
    temporal: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KillProgress:
    """A kill, and what every market that was asked has answered."""

    kill: Kill
    markets: dict[MarketId, tuple[StageSeen, ...]]

    @property
    def late(self) -> tuple[MarketId, ...]:
        """Markets that have not answered."""
        return tuple(one for one, seen in self.markets.items() if not answered(self.kill, seen))


async def tell_everybody(settings: Settings, kill: Kill) -> Told:
    """Board, record and Temporal, all at once."""
    board, record, temporal = await asyncio.gather(
        tell_board(settings, kill), record_kill(settings, kill), tell_temporal(settings, kill)
    )
    return Told(board=board, record=record, temporal=temporal)


async def tell_temporal(settings: Settings, kill: Kill) -> str | None:
    """Tell the control desk, which is begun if need be; None when told, else why not."""
    request = KillRequest(
        scope=kill.scope,
        reason=kill.reason,
        by=kill.by,
        flatten=kill.effect is KillEffect.FLATTEN,
        at_ms=kill.at_ms,
    )
    try:
        async with asyncio.timeout(_TEMPORAL_S), open_temporal(settings) as client:
            await _tell_control(client, settings.fleet, "kill", request)
    except (Unavailable, ConfigurationFault, RPCError, TimeoutError) as trouble:
        return str(trouble) or "Temporal does not answer"
    return None


async def join_control(client: Client, fleet: str, worker: str) -> None:
    """See that the control desk runs, and that it knows this worker. Raises RPCError."""
    await _tell_control(client, fleet, "worker_joined", WorkerName(worker=worker))


async def leave_control(client: Client, fleet: str, worker: str) -> None:
    """This worker polls no more. Raises RPCError."""
    handle = client.get_workflow_handle(names.control_workflow_id(fleet))
    await handle.signal("worker_left", WorkerName(worker=worker))


async def control_status(client: Client, fleet: str) -> ControlStatus:
    """What the control desk knows. Raises RPCError when it does not run or nobody answers."""
    handle = client.get_workflow_handle_for(ControlWorkflow.run, names.control_workflow_id(fleet))
    return await handle.query(ControlWorkflow.status, rpc_timeout=_QUERY)


async def keep_kill(client: Client, fleet: str, kill: Kill) -> bool:
    """See that a workflow keeps this kill; False when all have answered. Raises RPCError."""
    try:
        await client.start_workflow(
            KillWorkflow.run,
            StartKill.of(kill, fleet),
            id=names.kill_workflow_id(fleet, kill.scope, kill.at_ms),
            task_queue=names.CONTROL_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            static_summary=f"kill {kill.scope} by {kill.by}",
        )
    except WorkflowAlreadyStartedError:
        return False
    return True


async def ended_kill(settings: Settings, kill: Kill) -> bool:
    """Whether the kill's workflow is over: all have answered, or the kill was lifted.

    False as well while Temporal does not answer.
    """
    workflow_id = names.kill_workflow_id(settings.fleet, kill.scope, kill.at_ms)
    with suppress(Unavailable, RPCError, TimeoutError):
        async with asyncio.timeout(_TEMPORAL_S), open_temporal(settings) as client:
            found = await client.get_workflow_handle(workflow_id).describe()
            return found.status is WorkflowExecutionStatus.COMPLETED
    return False


async def standing(settings: Settings) -> Sequence[KillProgress]:
    """The kills in force, oldest first, with what was answered. Raises Unavailable."""
    async with open_kill_record(settings) as (ledger, answers):
        return [
            progress(kill, await answers.answers(kill.scope, kill.at_ms))
            for kill in await ledger.active_kills()
        ]


async def asked_of(settings: Settings, kill: Kill) -> Sequence[MarketId] | None:
    """Markets of its scope that were ever quoted; None when the record cannot be read."""
    with suppress(Unavailable, ConfigurationFault):
        async with open_kill_record(settings) as (_, answers):
            return await answers.markets(kill.scope)
    return None


async def look_at(settings: Settings, kill: Kill) -> tuple[KillProgress, bool]:
    """What was answered to one kill, and whether it is in force no more. Raises Unavailable."""
    async with open_kill_record(settings) as (_, answers):
        found = await answers.answers(kill.scope, kill.at_ms)
        return progress(kill, found), await answers.over(kill.scope, kill.at_ms)


def progress(kill: Kill, answers: Sequence[KillAnswer]) -> KillProgress:
    """What was answered, by market."""
    markets: dict[MarketId, tuple[StageSeen, ...]] = {}
    for one in answers:
        seen = StageSeen(stage=one.stage, at_ms=one.at_ms, evidence=one.evidence)
        markets[one.market] = (*markets.get(one.market, ()), seen)
    return KillProgress(kill=kill, markets=markets)


async def _tell_control(
    client: Client, fleet: str, signal: str, said: KillRequest | WorkerName
) -> None:
    await client.start_workflow(
        ControlWorkflow.run,
        StartControl(fleet=fleet),
        id=names.control_workflow_id(fleet),
        task_queue=names.CONTROL_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal=signal,
        start_signal_args=[said],
        static_summary=f"control desk of fleet {fleet}",
    )
