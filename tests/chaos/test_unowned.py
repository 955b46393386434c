"""What nobody owns is found by the guardian's schedule alone, and what is owned is left alone.

The other brakes are taken away first: the only worker is dead, Redis has forgotten its lease, and
our books know of no order that rests, so that nobody can put the lease back.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence

import pytest
from temporalio.api.command.v1 import Command, FailWorkflowExecutionCommandAttributes
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import CommandType
from temporalio.api.failure.v1 import Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    PollWorkflowTaskQueueRequest,
    RespondWorkflowTaskCompletedRequest,
)
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from flotilla.demo.children import Child
from infra.postgres.reader import Alert, PostgresLedger
from tests.chaos.ground import Market, kill
from tests.chaos.outages import empty_redis
from workflows import names
from workflows.market import MarketWorkflow

pytestmark = pytest.mark.timeout(300)

EVERY_S = 5
LOOKS = {"FLOTILLA_GUARDIAN_EVERY_S": str(EVERY_S)}
# One period, the start of the look, and a worker that has just come up on a busy machine.
BOUND_S = EVERY_S + 25


async def quoting(market: Market, **settings: str) -> Child:
    """This market quoting on one worker that looks often."""
    worker = await market.worker(**LOOKS, **settings)
    await market.start()
    await market.until("the first quotes rest", market.has_quotes)
    return worker


async def left_alone(market: Market, worker: Child) -> None:
    """Only the venue knows of the orders any more, and nobody trades with them."""
    await market.venue.post("quiet", {"marketId": market.id.symbol, "on": True})
    await kill(worker)
    async with market.control() as ports:
        await ports.ledger.end_orders(market.id, await market.epoch(), "forgotten", 0)
    await empty_redis(market)


async def alerts(market: Market, words: str) -> Sequence[Alert]:
    """Alerts about this market that say so."""
    async with market.control() as ports:
        assert isinstance(ports.ledger, PostgresLedger)
        told = await ports.ledger.alerts(0, limit=1_000)
    return [one for one in told if one.market == market.id and re.search(words, one.text)]


async def terminate_workflow(market: Market) -> None:
    """As a person does in the UI."""
    assert market.handle is not None
    await market.handle.terminate("by hand")


async def delete_workflow(market: Market) -> None:
    """As a person does in the UI; afterwards nobody knows that it ever ran."""
    handle = market.handle
    assert handle is not None
    await market.client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=market.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
        )
    )

    async def unknown() -> bool:
        try:
            await handle.describe()
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        return False

    # The server deletes in the background, after whatever it has still to do for the workflow.
    await market.until("the workflow is deleted", unknown, within_s=90)
    market.handle = None


async def fail_workflow(market: Market) -> None:
    """As a bug of ours does: the next task of this workflow is answered with its failure."""
    assert market.handle is not None
    await market.handle.signal(MarketWorkflow.report)  # there is a task to be answered
    queue, service = names.MARKETS_QUEUE, market.client.workflow_service
    async with asyncio.timeout(60):
        while True:
            task = await service.poll_workflow_task_queue(
                PollWorkflowTaskQueueRequest(
                    namespace=market.client.namespace,
                    task_queue=TaskQueue(name=queue),
                    identity="a bug",
                )
            )
            if task.workflow_execution.workflow_id == market.handle.id:
                break
    failure = FailWorkflowExecutionCommandAttributes(failure=Failure(message="a bug of ours"))
    await service.respond_workflow_task_completed(
        RespondWorkflowTaskCompletedRequest(
            namespace=market.client.namespace,
            task_token=task.task_token,
            identity="a bug",
            commands=[
                Command(
                    command_type=CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION,
                    fail_workflow_execution_command_attributes=failure,
                )
            ],
        )
    )
    described = await market.handle.describe()
    assert described.status is WorkflowExecutionStatus.FAILED


@pytest.mark.parametrize("end", [terminate_workflow, delete_workflow, fail_workflow])
async def test_orders_of_a_market_whose_workflow_is_gone_are_taken_away(
    market: Market, end: Callable[[Market], Awaitable[None]]
) -> None:
    worker = await quoting(market)
    await left_alone(market, worker)
    await end(market)
    assert await market.has_quotes(), "nothing rested when its owner was gone"
    epoch = await market.epoch()
    await market.worker(**LOOKS)
    await market.until("nothing rests", market.has_none, within_s=BOUND_S)
    log = await market.log()
    assert log.resting(epoch=epoch) == set()
    assert log.epochs()[-1] == epoch, "nobody quoted again"

    async def told() -> bool:
        return len(await alerts(market, "orders of ours rest and nobody owns them")) == 1

    await market.until("a person is told once", told)


async def test_orders_of_a_workflow_that_runs_without_a_worker_for_markets_go_too(
    market: Market,
) -> None:
    worker = await quoting(market)
    await left_alone(market, worker)
    assert await market.has_quotes(), "nothing rested when its worker was gone"
    await market.guardian(**LOOKS)
    # A session may come back; orders that outlast the patience for one are taken away.
    await market.until("nothing rests", market.has_none, within_s=BOUND_S + 40)

    async def told() -> bool:
        # The guardian or a reconciliation, whoever's patience ends first.
        told = "no session (holds the lease|and no book answers for)"
        return len(await alerts(market, told)) == 1

    await market.until("a person is told once", told)


async def test_a_market_in_good_health_is_never_touched(market: Market) -> None:
    first = await quoting(market)
    await market.worker(**LOOKS)
    epoch = await market.epoch()
    await market.pause_and_resume()
    await market.until("it quotes again", lambda: market.quotes_above(epoch))
    epoch = await market.epoch()
    await kill(first)
    await market.until(
        "it quotes on another worker", lambda: market.quotes_above(epoch), within_s=40
    )
    looked = await looks(market)

    async def looked_twice_more() -> bool:
        return await looks(market) >= looked + 2

    await market.until("the guardian looked twice", looked_twice_more, within_s=60)
    await market.finish()
    assert await alerts(market, "guardian") == []


async def test_a_position_left_by_a_terminated_workflow_is_told(market: Market) -> None:
    await quoting(market)
    await market.hold_a_position()
    await terminate_workflow(market)
    await market.until("its session clears the market", market.has_none, within_s=40)

    async def told() -> bool:
        return len(await alerts(market, "nobody owns it")) == 1

    await market.until("a person is told", told, within_s=BOUND_S)
    assert (await market.log()).positions()[-1] != 0, "by default nothing is traded"


async def test_by_policy_a_position_that_nobody_owns_is_traded_to_zero(market: Market) -> None:
    await quoting(market, FLOTILLA_GUARDIAN_EXPOSURE="flatten")
    await market.hold_a_position()
    began = (await market.log()).accepted()[-1].sequence
    await terminate_workflow(market)

    async def flat() -> bool:
        return (await market.log()).positions()[-1] == 0

    await market.until("the position is gone", flat, within_s=BOUND_S + 60)
    log = await market.log()
    assert log.flips_after(began) == []
    assert log.exits(), "it was left by orders that only reduce"
    flatten = market.client.get_workflow_handle(names.flatten_workflow_id(market.id))

    async def ended() -> bool:
        return (await flatten.describe()).close_time is not None

    await market.until("the flatten has verified it", ended, within_s=60)
    await market.judge()


async def looks(market: Market) -> int:
    """How often the guardian was sent to look at this account."""
    schedule = names.guardian_schedule_id("chaos", market.id.venue, market.id.account)
    described = await market.client.get_schedule_handle(schedule).describe()
    return described.info.num_actions
