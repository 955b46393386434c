"""A set's workflow with its real activities: watched, killed, paused, and left in good order."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pydantic
from temporalio.client import WorkflowHandle
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.arbitrage import ArbitrageActivities
from desk.records import Kill
from flotilla.roles import PASSTHROUGH
from infra.temporal.search_attributes import SEARCH_ATTRIBUTES, ensure_search_attributes
from tests.activities.conftest import Desk, OpenDesk
from tests.activities.set_desk import CAPS, MARKETS, ONE, TWO, buy, decisions
from workflows import names
from workflows.arbitrage import ArbitrageWorkflow
from workflows.arbitrage_messages import ArbitrageState, ArbitrageStatus, StartArbitrage
from workflows.messages import Request

Handle = WorkflowHandle[ArbitrageWorkflow, ArbitrageStatus]


@asynccontextmanager
async def started(desk: Desk, *, window_s: int = 600) -> AsyncIterator[Handle]:
    """The workflow, served with everything real."""
    await ensure_search_attributes(desk.client, SEARCH_ATTRIBUTES)
    activities, queue = ArbitrageActivities(desk.ports), str(uuid.uuid4())
    spec = StartArbitrage.model_validate(
        {
            "name": f"set-{uuid.uuid4().hex[:8]}",
            "kind": "outcome_set",
            "legs": [ONE.path, TWO.path],
            "max_units": "100",
            "max_capital": "100",
            "max_exposure": "20",
            "window_s": window_s,
        }
    )
    async with (
        Worker(
            desk.client,
            task_queue=queue,
            workflows=[ArbitrageWorkflow],
            activities=[
                activities.open_set,
                activities.run_set,
                activities.release_set,
                activities.tell_set,
                activities.leave_set,
            ],
            workflow_runner=SandboxedWorkflowRunner(
                restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
            ),
            workflow_failure_exception_types=[pydantic.ValidationError],
            max_heartbeat_throttle_interval=timedelta(milliseconds=200),
        ),
        asyncio.timeout(90),
    ):
        yield await desk.client.start_workflow(
            ArbitrageWorkflow.run, spec, id=names.arbitrage_workflow_id(spec.name), task_queue=queue
        )


async def until(handle: Handle, holds: Callable[[ArbitrageStatus], bool]) -> ArbitrageStatus:
    while True:
        status = await handle.query(ArbitrageWorkflow.status)
        if holds(status):
            return status
        await asyncio.sleep(0.1)


async def test_a_set_is_watched_paused_resumed_and_left(
    open_desk: OpenDesk, database_url: str
) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        async with started(desk) as handle:
            seen = await until(handle, lambda status: status.look.state == "watching")
            held = await desk.ports.holders.holders((ONE, TWO))
            await handle.signal(ArbitrageWorkflow.pause, Request(by="ana", reason="news"))
            await until(handle, lambda status: status.state is ArbitrageState.PAUSED)
            free = await desk.ports.holders.holders((ONE, TWO))
            await handle.signal(ArbitrageWorkflow.resume, Request(by="ana"))
            await until(handle, lambda status: status.state is ArbitrageState.WATCHING)
            await handle.signal(ArbitrageWorkflow.stop, Request(by="ana", reason="end of day"))
            result = await handle.result()
        lost = await desk.ports.lost.expired()
    assert seen.epoch == 0, "nothing was reported before the first run ended"
    owners = {owner.rpartition("/")[0] for owner in held.values()}
    assert (len(held), owners) == (2, {handle.id})
    assert free == {}
    assert lost == ()
    assert (result.state, result.reason) == (
        ArbitrageState.STOPPED,
        "stopped by ana: end of day",
    )
    kinds = [one[0] for one in await decisions(database_url)]
    assert kinds == ["arbitrage started"] * 2 + ["arbitrage stopped"] * 2


async def test_a_kill_closes_the_gate_and_the_page_says_why(open_desk: OpenDesk) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        kill = Kill(
            scope=f"market:{TWO.path}",
            reason="bad prints",
            by="ana",
            at_ms=desk.ports.clock.wall_ns() // 1_000_000,
        )
        await desk.ports.ledger.set_kill(kill)
        await desk.ports.board.rearm([kill])
        async with started(desk, window_s=5) as handle:
            status = await until(handle, lambda status: bool(status.epoch and status.look.gate))
            await handle.signal(ArbitrageWorkflow.stop, Request(by="ana"))
            result = await handle.result()
    assert "bad prints" in status.look.gate
    assert status.fired == result.fired == 0


async def test_what_one_leg_holds_alone_is_traded_back_before_it_is_left(
    open_desk: OpenDesk,
) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        async with started(desk) as handle:
            await until(handle, lambda status: status.look.state == "watching")
            await handle.signal(ArbitrageWorkflow.pause, Request(by="ana"))
            await until(handle, lambda status: status.state is ArbitrageState.PAUSED)
            await buy(desk, ONE, 5)  # as an order whose answer was lost would
            await handle.signal(ArbitrageWorkflow.stop, Request(by="ana"))
            result = await handle.result()
        position = desk.venue.engine.position("main", ONE.symbol).lots
        other = desk.venue.engine.position("main", TWO.symbol).lots
    assert result.state is ArbitrageState.STOPPED
    assert position == other, "complete sets, or nothing"
    assert result.owed == (0, 0)
