"""A kill is kept until every market has answered; nobody waits for anybody else."""

import asyncio

from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from desk.records import KillEffect, KillStage
from tests.workflows.conftest import skip_until_so
from tests.workflows.scripted_kill import OCX, STOPPED, X10, ZO, KillScript, brakes
from workflows import names
from workflows.kill import KillWorkflow
from workflows.kill_messages import KillStatus, StartKill

Handle = WorkflowHandle[KillWorkflow, KillStatus]


async def begin(server: WorkflowEnvironment, **changes: object) -> Handle:
    now_ms = int((await server.get_current_time()).timestamp() * 1_000)
    spec = {"scope": "fleet", "at_ms": now_ms, "by": "ana", "reason": "flood", **changes}
    start = StartKill.model_validate(spec)
    return await server.client.start_workflow(
        KillWorkflow.run,
        start,
        id=names.kill_workflow_id(start.fleet, start.scope, start.at_ms),
        task_queue=names.CONTROL_QUEUE,
    )


async def test_sessions_that_answer_by_themselves_are_not_asked(
    server: WorkflowEnvironment,
) -> None:
    script = KillScript(markets=[OCX, X10], by_itself={OCX, X10})
    async with brakes(server.client, script):
        status = await (await begin(server)).result()
    assert status.complete
    assert not script.asked
    assert [one.market for one in status.markets] == [OCX, X10]
    assert {seen.stage for one in status.markets for seen in one.stages} == set(STOPPED)
    assert (script.calls["board"], script.calls["record"]) == (1, 1)


async def test_only_markets_in_scope_are_asked(server: WorkflowEnvironment) -> None:
    script = KillScript(markets=[OCX, X10, ZO])
    async with brakes(server.client, script):
        status = await (await begin(server, scope="venue:x10")).result()
    assert [one.market for one in script.asked] == [X10]
    assert status.complete


async def test_exactly_the_laggards_wait_and_are_alarmed_until_they_return(
    server: WorkflowEnvironment,
) -> None:
    script = KillScript(
        markets=[OCX, X10, ZO],
        by_itself={ZO},
        stuck={OCX: "ocx: unreachable", X10: "w-1/1 holds the lease"},
    )
    async with brakes(server.client, script):
        handle = await begin(server)
        async with asyncio.timeout(30):
            await skip_until_so(server, lambda: len(script.alarms) >= 3, 20)
            status = await handle.query(KillWorkflow.status)
            assert {one.market for one in status.laggards} == {OCX, X10}
            assert not status.complete
            text = script.alarms[-1].text
            assert "2 of 3 markets have not answered" in text
            assert "ocx: unreachable" in text
            assert "w-1/1 holds the lease" in text
            del script.stuck[OCX]
            while (await handle.query(KillWorkflow.status)).answered < 2:
                await server.sleep(20)
            assert [one.market for one in (await handle.query(KillWorkflow.status)).laggards] == [
                X10
            ]
            script.stuck.clear()
            status = await handle.result()
    assert status.complete
    assert "complete: all 3 markets" in script.alarms[-1].text


async def test_alarms_come_ever_later(server: WorkflowEnvironment) -> None:
    script = KillScript(markets=[OCX], stuck={OCX: "ocx: unreachable"})
    async with brakes(server.client, script):
        await begin(server)
        for _ in range(40):
            await server.sleep(30)
    # Twenty minutes: after 10, 30, 60, 120, 300 and 900 seconds, and rounds take some of it.
    assert 5 <= len(script.alarms) <= 7


async def test_an_absent_board_or_record_holds_up_no_cancel(server: WorkflowEnvironment) -> None:
    script = KillScript(markets=[OCX], away={"board", "record", "alarm"})
    async with brakes(server.client, script):
        handle = await begin(server)
        async with asyncio.timeout(30):
            await skip_until_so(server, lambda: bool(script.asked), 1)
            assert not (await handle.query(KillWorkflow.status)).complete, "it is not durable yet"
            script.away.clear()
            status = await handle.result()
    assert status.complete
    assert status.recorded


async def test_a_flatten_is_asked_for_although_the_session_answered(
    server: WorkflowEnvironment,
) -> None:
    script = KillScript(markets=[OCX], by_itself={OCX})
    async with brakes(server.client, script):
        status = await (await begin(server, effect=KillEffect.FLATTEN)).result()
    assert [one.known[-1].stage for one in script.asked] == [KillStage.LISTED_ZERO]
    assert status.markets[0].stages[-1].stage is KillStage.FLAT


async def test_a_lifted_kill_asks_nobody_any_more(server: WorkflowEnvironment) -> None:
    script = KillScript(markets=[OCX], stuck={OCX: "ocx: unreachable"})
    async with brakes(server.client, script):
        handle = await begin(server)
        async with asyncio.timeout(30):
            await skip_until_so(server, lambda: bool(script.asked), 1)
            script.over = True
            status = await handle.result()
    assert status.over
    assert not status.complete
    assert "lifted" in script.alarms[-1].text


async def test_a_market_nobody_can_look_at_is_named_and_holds_up_nothing(
    server: WorkflowEnvironment,
) -> None:
    script = KillScript(markets=[OCX, X10], lost={OCX: "no worker has its settings"})
    async with brakes(server.client, script):
        status = await (await begin(server)).result()
    assert status.complete
    assert "1 of them could not be looked at" in script.alarms[-1].text
    assert status.markets[0].unverified == "no worker has its settings"


async def test_a_market_that_appears_later_is_asked_as_well(server: WorkflowEnvironment) -> None:
    script = KillScript(markets=[OCX], stuck={OCX: "ocx: unreachable"})
    async with brakes(server.client, script):
        handle = await begin(server)
        async with asyncio.timeout(30):
            await skip_until_so(server, lambda: bool(script.asked), 1)
            script.markets.append(X10)
            await skip_until_so(server, lambda: X10 in {one.market for one in script.asked}, 5)
            script.stuck.clear()
            status = await handle.result()
    assert [one.market for one in status.markets] == [OCX, X10]


async def test_a_scope_without_any_market_is_said_aloud_and_is_not_complete(
    server: WorkflowEnvironment,
) -> None:
    script = KillScript(markets=[OCX])
    async with brakes(server.client, script):
        status = await (await begin(server, scope="market:ocx/main/BTC-PREP")).result()
    assert status.nobody
    assert not status.complete
    assert script.alarms[-1].severity == "critical"
    assert "covers no market that was ever quoted" in script.alarms[-1].text


async def test_the_board_is_told_again_until_the_record_has_it(server: WorkflowEnvironment) -> None:
    script = KillScript(markets=[OCX], away={"record"})
    async with brakes(server.client, script):
        handle = await begin(server)
        async with asyncio.timeout(30):
            await skip_until_so(server, lambda: script.calls["board"] >= 3, 5)
            script.away.clear()
            await handle.result()
            told = script.calls["board"]
            await server.sleep(60)
    assert script.calls["board"] == told


async def test_the_page_shows_laggards_first_with_times_and_why(
    server: WorkflowEnvironment,
) -> None:
    script = KillScript(markets=[OCX, X10], stuck={X10: "x10: unreachable"})
    async with brakes(server.client, script):
        handle = await begin(server)
        async with asyncio.timeout(30):
            await skip_until_so(server, lambda: bool(script.asked), 1)
            while not (await handle.query(KillWorkflow.status)).answered:
                await server.sleep(1)
        page = await handle.query("__temporal_workflow_metadata")
    text = page.current_details
    assert "1 of 2 markets have answered" in text
    assert text.index(X10.path) < text.index(OCX.path)
    assert "x10: unreachable" in text
    assert "flotilla unkill --scope fleet" in text
