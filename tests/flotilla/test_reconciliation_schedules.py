"""Every account with keys is compared on schedules that never overlap, and by what settings say."""

import asyncio
import uuid
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from temporalio.client import Client, ScheduleOverlapPolicy
from temporalio.service import RPCError

from activities.reconciliation_messages import ReconcileKind
from flotilla.reconciliation_schedules import Cadence, cadences
from flotilla.schedules import Found, kept_schedules, put_right
from flotilla.upkeep import Daily
from infra.settings import Settings
from infra.temporal.search_attributes import SEARCH_ATTRIBUTES, ensure_search_attributes
from infra.venue_settings import venue_settings
from workflows.reconciliation_messages import AfterSources
from workflows.upkeep_messages import KeepTables


def settings_with(fleet: str = "main", **given: object) -> Settings:
    """Settings that bring keys for two accounts of one venue."""
    keys = venue_settings(
        {"FLOTILLA_VENUE_OCX__API_KEY": "k", "FLOTILLA_VENUE_OCX__DESK2__API_KEY": "k2"}
    )
    settings = Settings(fleet=fleet, **given)  # type: ignore[arg-type]
    return settings.filled(settings.stack, keys)


def test_both_kinds_are_due_for_every_account_with_keys() -> None:
    found = {(one.account.account, one.account.kind): one for one in cadences(settings_with())}
    assert set(found) == {
        (account, kind) for account in ("main", "desk2") for kind in ReconcileKind
    }
    assert found["main", ReconcileKind.ORDERS].account.every_s == 15
    assert found["main", ReconcileKind.ACCOUNT].account.every_s == 60


def test_settings_say_how_much_may_differ_and_what_ends_a_halt() -> None:
    settings = settings_with(
        reconcile_tolerance=Decimal(9), reconcile_sources="hand", reconcile_orders_every_s=30
    )
    for one in cadences(settings):
        assert one.account.tolerance == 9
        assert one.account.sources is AfterSources.HAND
    assert {one.account.every_s for one in cadences(settings)} == {30, 60}


def test_runs_never_overlap_and_only_the_newest_missed_one_is_made_up_for() -> None:
    for one in cadences(settings_with()):
        schedule = one.schedule()
        every = timedelta(seconds=one.account.every_s)
        assert schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
        assert schedule.policy.catchup_window == every
        (interval,) = schedule.spec.intervals
        assert interval.every == every


@pytest.mark.services
async def test_a_worker_has_them_before_it_works_and_puts_them_right(
    temporal_client: Client,
) -> None:
    await ensure_search_attributes(temporal_client, SEARCH_ATTRIBUTES)
    settings = settings_with(f"t{uuid.uuid4().hex[:8]}")
    wanted = cadences(settings)
    try:
        async with asyncio.timeout(60), kept_schedules(temporal_client, settings):
            again = await put_right(temporal_client, wanted)
            assert set(again.values()) == {Found.RIGHT}
            daily = Daily(account=KeepTables(fleet=settings.fleet))
            assert await put_right(temporal_client, [daily]) == {daily.schedule_id: Found.RIGHT}
            stricter = Cadence(
                account=wanted[0].account.model_copy(update={"tolerance": Decimal(7)})
            )
            assert await put_right(temporal_client, [stricter]) == {
                stricter.schedule_id: Found.CHANGED
            }
    finally:
        for name in [
            *(one.schedule_id for one in wanted),
            *(f"guardian/{settings.fleet}/ocx/{account}" for account in ("main", "desk2")),
            f"upkeep/{settings.fleet}",
        ]:
            with suppress(RPCError):
                await temporal_client.get_schedule_handle(name).delete()
