"""What a demo waits for, and what it leaves behind: nothing that acts for its fleet."""

import asyncio
import uuid
from datetime import timedelta

import pytest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollActivityTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from flotilla.demo.world import forget_schedules, polled_by
from flotilla.schedules import Watch, put_right
from infra.temporal.search_attributes import SEARCH_ATTRIBUTES, ensure_search_attributes
from workflows.guardian_messages import GuardAccount

pytestmark = pytest.mark.services


async def test_nobody_looks_at_the_accounts_of_a_demo_that_is_over(
    temporal_client: Client,
) -> None:
    await ensure_search_attributes(temporal_client, SEARCH_ATTRIBUTES)
    demo, ours = f"t{uuid.uuid4().hex[:8]}", f"t{uuid.uuid4().hex[:8]}"
    gone, kept = [watch(demo, "main"), watch(demo, "demo1")], watch(ours, "main")
    await put_right(temporal_client, [*gone, kept])
    async with asyncio.timeout(60):
        while not {one.schedule_id for one in (*gone, kept)} <= await listed(temporal_client):
            await asyncio.sleep(0.1)  # the server's list lags behind
    await forget_schedules(temporal_client, demo)
    for one in gone:
        with pytest.raises(RPCError) as failure:
            await temporal_client.get_schedule_handle(one.schedule_id).describe()
        assert failure.value.status is RPCStatusCode.NOT_FOUND
    handle = temporal_client.get_schedule_handle(kept.schedule_id)
    assert (await handle.describe()).id == kept.schedule_id
    await handle.delete()


def watch(fleet: str, account: str) -> Watch:
    return Watch(account=GuardAccount(venue="ocx", account=account, fleet=fleet), every_s=600)


async def test_who_polls_is_seen_wherever_the_server_put_them(temporal_client: Client) -> None:
    """It spreads polls over a queue's partitions: with one poll each, most miss the first."""
    queue, everybody = uuid.uuid4().hex, {f"w{number}" for number in range(12)}
    async with asyncio.TaskGroup() as tasks:
        polls = [
            tasks.create_task(poll(temporal_client, queue, identity)) for identity in everybody
        ]
        async with asyncio.timeout(50):
            while await polled_by(temporal_client, queue) != everybody:
                await asyncio.sleep(0.1)
        for one in polls:
            one.cancel()


async def poll(client: Client, queue: str, identity: str) -> None:
    await client.workflow_service.poll_activity_task_queue(
        PollActivityTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), identity=identity
        ),
        timeout=timedelta(seconds=60),
    )


async def listed(client: Client) -> set[str]:
    return {one.id async for one in await client.list_schedules()}
