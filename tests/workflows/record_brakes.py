"""Record the histories of the brakes: `python -m tests.workflows.record_brakes`.

Kills, the control desk, the guardian, the watch over losses and drills; when to record anew is
said in `record.py`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from activities.loss_messages import WatchLossesReport
from desk.drills import DrillKind
from desk.ownership import FindingKind
from tests.workflows.conftest import SERVER, add_search_attributes, skip_until_so, worker
from tests.workflows.record import keep
from tests.workflows.scripted_guardian import FlattenForEver, Watched, found, look
from tests.workflows.scripted_kill import OCX, X10, ZO, KillScript, brakes, process, until
from tests.workflows.test_daily_loss import (
    EVENT,
    LATCHED,
    PICTURE,
    WatchScript,
    until_latched,
    watching,
)
from tests.workflows.test_drill import DrillScript, drill
from workflows import names
from workflows.control import ControlWorkflow
from workflows.guardian import GuardianWorkflow
from workflows.guardian_messages import ExposurePolicy, GuardAccount
from workflows.kill import KillWorkflow
from workflows.kill_messages import KillStatus, LiftKill, StartControl, StartKill, WorkerName

AT_MS = 1_700_000_000_000
FLEET = "main"
KILL = StartKill(scope="fleet", at_ms=AT_MS, reason="flood", by="ana", fleet=FLEET)
KILL_ID = names.kill_workflow_id(FLEET, KILL.scope, KILL.at_ms)
CONTROL_ID = names.control_workflow_id(FLEET)
DAILY_LOSS_ID = names.daily_loss_workflow_id(FLEET)
DRILL_ID = names.drill_workflow_id("ocx", "drill")
GUARDIAN_ID = names.guardian_schedule_id(FLEET, "ocx", "main")

Kept = WorkflowHandle[KillWorkflow, KillStatus]
Scenario = Callable[[WorkflowEnvironment], Awaitable[str]]


async def _kill_answered(server: WorkflowEnvironment) -> str:
    """One market answers by itself, one is late and alarmed, and answers in the end."""
    script = KillScript(markets=[OCX, X10], by_itself={OCX}, stuck={X10: "x10: no answer"})
    async with brakes(server.client, script):
        handle = await _started_kill(server.client)
        await skip_until_so(server, lambda: bool(script.alarms), 20)
        script.stuck.clear()
        await handle.result()
    return KILL_ID


async def _kill_lifted(server: WorkflowEnvironment) -> str:
    """The board is away for a while, and the kill is lifted before its market has answered."""
    script = KillScript(markets=[ZO], stuck={ZO: "zo: no answer"}, away={"board"})
    async with brakes(server.client, script):
        handle = await _started_kill(server.client)
        await until(lambda: script.asked, "it is asked")
        script.away.clear()
        script.over = True
        await handle.result()
    return KILL_ID


async def _control_desk(server: WorkflowEnvironment) -> str:
    """A worker joins, one is gone, a kill comes, one that cannot be read, and a lift."""
    script = KillScript(markets=[OCX])
    async with brakes(server.client, script), process(server.client, script, "w-1"):
        handle = await server.client.start_workflow(
            ControlWorkflow.run,
            StartControl(fleet=FLEET),
            id=CONTROL_ID,
            task_queue=names.CONTROL_QUEUE,
        )
        for name in ("w-1", "gone-1"):
            await handle.signal(ControlWorkflow.worker_joined, WorkerName(worker=name))
        await handle.signal("kill", {"scope": "fleet", "by": "ana", "at_ms": AT_MS})
        await until(lambda: script.gates["w-1"] and script.kills, "it is kept")
        while "gone-1" in (await handle.query(ControlWorkflow.status)).workers:
            await server.sleep(1)
        await handle.signal("kill", {"scpe": "fleet"})
        await until(lambda: script.alarms, "a person is told")
        lift = LiftKill(scope="fleet", by="ana", reason="the flood is over")
        await handle.execute_update("lift", lift)
        await handle.signal(ControlWorkflow.worker_left, WorkerName(worker="w-1"))
        while (await handle.query(ControlWorkflow.status)).workers:
            await server.sleep(1)
    return CONTROL_ID


async def _guardian_found(server: WorkflowEnvironment) -> str:
    """Orders and a position that nobody owns: told, and flattened by policy."""
    exposed = found(FindingKind.EXPOSURE, held="0.5")
    script = Watched(looks=deque([look(found(FindingKind.ORDERS), exposed, cleared=3)]))
    await _guarded(server.client, script, ExposurePolicy.FLATTEN)
    return GUARDIAN_ID


async def _guardian_quiet(server: WorkflowEnvironment) -> str:
    """Nothing to say."""
    await _guarded(server.client, Watched(), ExposurePolicy.ALARM)
    return GUARDIAN_ID


async def _daily_loss_latched(server: WorkflowEnvironment) -> str:
    """A quiet look, a limit that was passed, and the watch that goes on."""
    looks = [
        WatchLossesReport(picture=PICTURE),
        WatchLossesReport(picture=PICTURE, events=(EVENT,)),
        WatchLossesReport(picture=LATCHED),
    ]
    script = WatchScript(looks=deque(looks), latch_failures=1)
    async with watching(server, script) as handle:
        await until_latched(handle)
        await until(lambda: script.calls.count("watch") > len(looks), "it watches on")
    return DAILY_LOSS_ID


async def _drill_kill(server: WorkflowEnvironment) -> str:
    """A real market is killed, and stands down flat."""
    await drill(server, DrillScript(), DrillKind.KILL)
    return DRILL_ID


async def _drill_failed(server: WorkflowEnvironment) -> str:
    """The dead-man's switch did nothing: recorded at once, and cleaned up."""
    await drill(server, DrillScript(failing="drill_dead_man"), DrillKind.DEAD_MAN)
    return DRILL_ID


SCENARIOS: dict[str, Scenario] = {
    "kill_answered": _kill_answered,
    "kill_lifted": _kill_lifted,
    "control_desk": _control_desk,
    "guardian_found": _guardian_found,
    "guardian_quiet": _guardian_quiet,
    "daily_loss_latched": _daily_loss_latched,
    "drill_kill": _drill_kill,
    "drill_failed": _drill_failed,
}


async def _started_kill(client: Client) -> Kept:
    return await client.start_workflow(
        KillWorkflow.run, KILL, id=KILL_ID, task_queue=names.CONTROL_QUEUE
    )


async def _guarded(client: Client, script: Watched, exposure: ExposurePolicy) -> None:
    flows = [GuardianWorkflow, FlattenForEver]
    async with worker(client, names.CONTROL_QUEUE, flows, script.activities()):
        await client.execute_workflow(
            GuardianWorkflow.run,
            GuardAccount(venue="ocx", exposure=exposure),
            id=GUARDIAN_ID,
            task_queue=names.CONTROL_QUEUE,
        )


async def main() -> None:
    """Write every scenario as JSON, each on a server of its own."""
    for name, scenario in SCENARIOS.items():
        env = await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=str(SERVER),
            data_converter=pydantic_data_converter,
            identity="recorder",
        )
        async with env:
            await add_search_attributes(env.client, names.SEARCH_ATTRIBUTES)
            workflow_id = await scenario(env)
            await keep(env.client, workflow_id, name)


if __name__ == "__main__":
    asyncio.run(main())
