"""What a demo leaves behind on services that go on: nothing that acts for its fleet."""

import asyncio
import uuid

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from flotilla.demo.world import forget_schedules
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


async def listed(client: Client) -> set[str]:
    return {one.id async for one in await client.list_schedules()}
