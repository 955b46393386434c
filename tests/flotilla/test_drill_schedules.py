"""Every brake is rehearsed at every marked market, and what a person changed stays changed."""

import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from flotilla.drill_schedules import make_drill_schedules
from infra.settings import load_settings
from workflows.drill_messages import StartDrill

pytestmark = pytest.mark.services


async def test_each_brake_of_each_marked_market_has_a_schedule(
    temporal_client: Client, tmp_path: Path
) -> None:
    fleet = f"drill-{uuid.uuid4().hex[:8]}"
    settings = load_settings(
        data_dir=tmp_path, fleet=fleet, drill_markets="ocx/drill/BTC-PERP,zo/drill/BTCUSD"
    )
    made = await make_drill_schedules(temporal_client, settings)
    assert len(made) == 6
    paused = temporal_client.get_schedule_handle(f"drill/{fleet}/kill/zo/drill/BTCUSD")
    await paused.pause(note="ana: the venue is in maintenance")
    assert await make_drill_schedules(temporal_client, settings) == []
    described = await paused.describe()
    assert described.schedule.state.paused
    (spec,) = await temporal_client.data_converter.decode(
        described.schedule.action.args,  # type: ignore[attr-defined]
        [StartDrill],
    )
    assert described.schedule.action.id == "drill/zo/drill"  # type: ignore[attr-defined]
    assert (spec.venue, spec.account, spec.symbol, spec.fleet) == ("zo", "drill", "BTCUSD", fleet)
    offsets = []
    for schedule in made:
        handle = temporal_client.get_schedule_handle(schedule)
        (times,) = (await handle.describe()).schedule.spec.intervals
        offsets.append(times.offset or timedelta(0))
        await handle.delete()
    assert offsets == [timedelta(days=5 * number) for number in range(6)], "never two at once"
