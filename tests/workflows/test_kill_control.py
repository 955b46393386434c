"""The control desk tells every worker at once, keeps every kill once, and loses no request."""

import asyncio
import uuid

import pytest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from activities.kill_messages import LiftReport
from desk.records import Kill, KillEffect
from tests.workflows.scripted_kill import OCX, KillScript, brakes, process, until
from workflows import names
from workflows.control import ControlWorkflow
from workflows.kill import KillWorkflow
from workflows.kill_messages import LiftAnswer, LiftKill, StartControl, WorkerName

Handle = WorkflowHandle[ControlWorkflow, None]
AT_MS = 1_700_000_000_000
NOTHING = ()
KILL = {"scope": "fleet", "reason": "flood", "by": "ana", "at_ms": AT_MS}


async def desk(server: WorkflowEnvironment, *workers: str) -> Handle:
    fleet = uuid.uuid4().hex[:8]
    handle = await server.client.start_workflow(
        ControlWorkflow.run,
        StartControl(fleet=fleet),
        id=names.control_workflow_id(fleet),
        task_queue=names.CONTROL_QUEUE,
    )
    for name in workers:
        await handle.signal(ControlWorkflow.worker_joined, WorkerName(worker=name))
    return handle


async def test_every_worker_is_told_and_the_kill_is_kept(server: WorkflowEnvironment) -> None:
    script = KillScript(markets=[OCX])
    async with (
        brakes(server.client, script),
        process(server.client, script, "w-1"),
        process(server.client, script, "w-2"),
    ):
        handle = await desk(server, "w-1", "w-2")
        await handle.signal("kill", KILL)
        await until(lambda: script.gates["w-1"] and script.gates["w-2"], "both gates are closed")
        await until(lambda: script.calls["record"], "the kill is kept")
        fleet = handle.id.partition("/")[2]
        kept = server.client.get_workflow_handle_for(
            KillWorkflow.run, names.kill_workflow_id(fleet, "fleet", AT_MS)
        )
        status = await kept.result()
    (closed,) = script.gates["w-1"]
    assert closed == Kill(scope="fleet", reason="flood", by="ana", at_ms=AT_MS)
    assert script.gates["w-2"] == [closed]
    assert status.complete


async def test_a_kill_told_twice_is_one_kill(server: WorkflowEnvironment) -> None:
    script = KillScript(markets=[OCX])
    async with brakes(server.client, script):
        handle = await desk(server)
        for _ in range(2):
            await handle.signal("kill", KILL)
        await until(lambda: script.calls["record"], "the kill is kept")
        fleet = handle.id.partition("/")[2]
        kept = server.client.get_workflow_handle_for(
            KillWorkflow.run, names.kill_workflow_id(fleet, "fleet", AT_MS)
        )
        await kept.result()
        await handle.signal("kill", KILL)
        await handle.query(ControlWorkflow.status)
    assert script.calls["record"] == 1


async def test_a_worker_that_does_not_answer_is_dropped_and_nobody_waits_for_it(
    server: WorkflowEnvironment,
) -> None:
    script = KillScript()
    async with brakes(server.client, script), process(server.client, script, "w-2"):
        handle = await desk(server, "dead-1", "w-2")
        await handle.signal("kill", KILL)
        await until(lambda: script.gates["w-2"], "the living worker's gates are closed")
        async with asyncio.timeout(30):
            while (await handle.query(ControlWorkflow.status)).workers != ("w-2",):
                await server.sleep(1)


async def test_a_worker_that_left_is_told_nothing(server: WorkflowEnvironment) -> None:
    script = KillScript()
    async with brakes(server.client, script), process(server.client, script, "w-1"):
        handle = await desk(server, "w-1")
        await handle.signal(ControlWorkflow.worker_left, WorkerName(worker="w-1"))
        await handle.signal("kill", KILL)
        await until(lambda: script.calls["record"], "the kill is kept all the same")
    assert script.gates["w-1"] == []


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"scope": "venue"}, "scope"),
        ({"scpe": "fleet"}, "scpe"),
        ({"scope": "everything", "by": "ana"}, "everything"),
        ("fleet", "fleet"),
        ({"scope": "fleet", "at_ms": AT_MS * 1_000}, "unix milliseconds"),
        (NOTHING, "scope"),
        (("fleet", "now"), "one input"),
    ],
)
async def test_what_is_not_understood_is_told_and_loses_no_later_kill(
    server: WorkflowEnvironment, said: object, word: str
) -> None:
    script = KillScript()
    async with brakes(server.client, script):
        handle = await desk(server)
        await handle.signal("kill", args=said if isinstance(said, tuple) else [said])
        await until(lambda: script.alarms, "a person is told")
        status = await handle.query(ControlWorkflow.status)
        assert script.calls["record"] == 0
        await handle.signal("kill", KILL)
        await until(lambda: script.calls["record"], "the next kill is kept")
    assert "nothing was killed" in script.alarms[0].text
    assert word in status.misread[0]


@pytest.mark.parametrize("signal", ["worker_joined", "worker_left"])
async def test_a_workers_word_that_cannot_be_read_loses_no_later_kill(
    server: WorkflowEnvironment, signal: str
) -> None:
    script = KillScript()
    async with brakes(server.client, script):
        handle = await desk(server)
        for said in ([], [{"wrker": "w-1"}], ["a", "b"]):
            await handle.signal(signal, args=said)
        await handle.signal("kill", KILL)
        await until(lambda: script.calls["record"], "the kill is kept")


async def test_kills_of_one_scope_that_come_together_are_kept_both(
    server: WorkflowEnvironment,
) -> None:
    script = KillScript(markets=[OCX])
    handle = await desk(server)
    # Nobody works yet: both are handed over in one go, at one time.
    await handle.signal("kill", {"scope": "fleet", "by": "ana"})
    await handle.signal("kill", {"scope": "fleet", "by": "bo", "flatten": True})
    async with brakes(server.client, script):
        await until(lambda: len(script.kills) == 2, "both are kept")
    first, second = sorted(script.kills, key=lambda kill: kill.at_ms)
    assert first.at_ms < second.at_ms
    assert (first.by, second.by) == ("ana", "bo")
    assert second.effect is KillEffect.FLATTEN


async def test_flatten_is_passed_on(server: WorkflowEnvironment) -> None:
    script = KillScript()
    async with brakes(server.client, script):
        handle = await desk(server)
        await handle.signal("kill", {"scope": "venue:ocx", "flatten": True})
        await until(lambda: script.kills, "the kill is kept")
    assert script.kills[0].effect is KillEffect.FLATTEN


async def test_lifting_names_the_wider_kills_that_stand(server: WorkflowEnvironment) -> None:
    wider = Kill(scope="fleet", reason="flood", by="bo", at_ms=1)
    script = KillScript(lifts=LiftReport(lifted=True, again=False, wider=(wider,)))
    async with brakes(server.client, script):
        handle = await desk(server)
        answer = await handle.execute_update(
            "lift",
            LiftKill(scope="venue:ocx", by="ana", reason="over"),
            result_type=LiftAnswer,
        )
    assert answer.lifted
    assert answer.still_stopped_by == ("fleet by bo: flood",)
    assert (script.lifted[0].scope, script.lifted[0].by) == ("venue:ocx", "ana")
    now_ms = (await server.get_current_time()).timestamp() * 1_000
    asked_ms = script.lifted[0].asked_ms
    assert asked_ms is not None
    assert now_ms - 60_000 < asked_ms <= now_ms + 1_000, "a later kill is not meant"


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        ({"scope": "venue:ocx", "by": "ana"}, "reason"),
        ({"scope": "venue:ocx", "reason": "over"}, "by"),
        ({"scope": "venues:ocx", "by": "ana", "reason": "over"}, "venues:ocx"),
        ({"scope": "loss:fleet", "by": "ana", "reason": "over"}, "ends by itself"),
    ],
)
async def test_a_bad_lift_is_refused_in_words_and_lifts_nothing(
    server: WorkflowEnvironment, request_: dict[str, str], word: str
) -> None:
    script = KillScript()
    async with brakes(server.client, script):
        handle = await desk(server)
        with pytest.raises((WorkflowUpdateFailedError, RPCError)) as refused:
            await handle.execute_update("lift", request_)
    assert word in str(refused.value.__cause__ or refused.value)
    assert script.lifted == []


async def test_lifting_what_does_not_stand_is_refused(server: WorkflowEnvironment) -> None:
    script = KillScript(lifts=LiftReport(lifted=False, again=False))
    async with brakes(server.client, script):
        handle = await desk(server)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("lift", LiftKill(scope="fleet", by="ana", reason="over"))
    assert "no kill is in force at fleet" in str(refused.value.__cause__)
