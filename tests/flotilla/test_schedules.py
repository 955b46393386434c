"""The guardian's schedules on the real server: made, put right, healed; a person's pause stays."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.client import (
    Client,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError

from flotilla.reconciliation_schedules import cadences
from flotilla.schedules import (
    Found,
    Kept,
    Watch,
    keep_schedules,
    kept_schedules,
    put_right,
    watches,
)
from flotilla.upkeep import Daily
from infra.settings import Settings
from infra.temporal.search_attributes import SEARCH_ATTRIBUTES, ensure_search_attributes
from infra.venue_settings import venue_settings
from workflows.guardian_messages import ExposurePolicy, GuardAccount
from workflows.upkeep_messages import KeepTables

pytestmark = pytest.mark.services


@pytest.fixture
async def watch(temporal_client: Client) -> AsyncIterator[Watch]:
    """An account of a fleet that no other test has."""
    await ensure_search_attributes(temporal_client, SEARCH_ATTRIBUTES)
    fleet = f"t{uuid.uuid4().hex[:8]}"
    watch = Watch(account=GuardAccount(venue="ocx", fleet=fleet), every_s=20)
    yield watch
    await gone(temporal_client, watch)


async def gone(client: Client, watch: Kept) -> None:
    """Delete a schedule as a person does in the UI."""
    with suppress(RPCError):
        await client.get_schedule_handle(watch.schedule_id).delete()


async def test_it_is_made_once(temporal_client: Client, watch: Watch) -> None:
    assert await put_right(temporal_client, [watch]) == {watch.schedule_id: Found.MADE}
    assert await put_right(temporal_client, [watch]) == {watch.schedule_id: Found.RIGHT}


async def test_many_workers_that_start_at_once_make_one(
    temporal_client: Client, watch: Watch
) -> None:
    found = await asyncio.gather(*(put_right(temporal_client, [watch]) for _ in range(6)))
    assert {how for one in found for how in one.values()} <= {Found.MADE, Found.RIGHT}
    assert sum(how is Found.MADE for one in found for how in one.values()) == 1


async def test_looks_never_pile_up(temporal_client: Client, watch: Watch) -> None:
    await put_right(temporal_client, [watch])
    schedule = (await temporal_client.get_schedule_handle(watch.schedule_id).describe()).schedule
    assert schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
    assert schedule.policy.catchup_window == timedelta(seconds=10)
    assert [one.every for one in schedule.spec.intervals] == [timedelta(seconds=20)]


async def test_another_policy_is_written_into_it(temporal_client: Client, watch: Watch) -> None:
    await put_right(temporal_client, [watch])
    stricter = replace(
        watch, account=watch.account.model_copy(update={"exposure": ExposurePolicy.FLATTEN})
    )
    assert await put_right(temporal_client, [stricter]) == {watch.schedule_id: Found.CHANGED}
    assert await put_right(temporal_client, [stricter]) == {watch.schedule_id: Found.RIGHT}


async def test_an_interval_changed_by_hand_is_put_right(
    temporal_client: Client, watch: Watch
) -> None:
    await put_right(temporal_client, [watch])
    handle = temporal_client.get_schedule_handle(watch.schedule_id)

    def slower(given: ScheduleUpdateInput) -> ScheduleUpdate:
        schedule = given.description.schedule
        schedule.spec.intervals = [ScheduleIntervalSpec(every=timedelta(hours=9))]
        return ScheduleUpdate(schedule=schedule)

    await handle.update(slower)
    assert await put_right(temporal_client, [watch]) == {watch.schedule_id: Found.CHANGED}
    described = await handle.describe()
    assert [one.every for one in described.schedule.spec.intervals] == [timedelta(seconds=20)]


async def test_a_pause_by_hand_stays_whatever_else_is_put_right(
    temporal_client: Client, watch: Watch
) -> None:
    await put_right(temporal_client, [watch])
    handle = temporal_client.get_schedule_handle(watch.schedule_id)
    await handle.pause(note="ana: venue maintenance")
    slower = replace(watch, every_s=40)
    for wanted in (watch, slower):
        assert await put_right(temporal_client, [wanted]) == {watch.schedule_id: Found.PAUSED}
    state = (await handle.describe()).schedule.state
    assert (state.paused, state.note) == (True, "ana: venue maintenance")


async def test_the_keeper_heals_one_that_was_deleted(temporal_client: Client, watch: Watch) -> None:
    await put_right(temporal_client, [watch])
    await gone(temporal_client, watch)
    handle = temporal_client.get_schedule_handle(watch.schedule_id)

    async def there() -> bool:
        try:
            await handle.describe()
        except RPCError:
            return False
        return True

    assert not await there()
    keeping = asyncio.create_task(keep_schedules(temporal_client, [watch], every_s=0.05))
    async with asyncio.timeout(30):
        while not await there():
            await asyncio.sleep(0.05)
    keeping.cancel()


async def test_a_worker_has_its_schedules_before_it_works(temporal_client: Client) -> None:
    await ensure_search_attributes(temporal_client, SEARCH_ATTRIBUTES)
    given = venue_settings(
        {"FLOTILLA_VENUE_OCX__API_KEY": "k", "FLOTILLA_VENUE_OCX__DESK2__API_KEY": "k2"}
    )
    settings = Settings(fleet=f"t{uuid.uuid4().hex[:8]}", guardian_exposure="flatten")
    settings = settings.filled(settings.stack, given)
    wanted = watches(settings)
    assert {(one.account.venue, one.account.account) for one in wanted} == {
        ("ocx", "main"),
        ("ocx", "desk2"),
    }
    assert {one.account.exposure for one in wanted} == {ExposurePolicy.FLATTEN}
    try:
        async with kept_schedules(temporal_client, settings):
            for one in wanted:
                await temporal_client.get_schedule_handle(one.schedule_id).describe()
    finally:
        daily = Daily(account=KeepTables(fleet=settings.fleet))
        made: tuple[Kept, ...] = (*wanted, *cadences(settings), daily)
        for schedule in made:
            await gone(temporal_client, schedule)
