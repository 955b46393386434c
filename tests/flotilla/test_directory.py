"""Two names for one account at a venue would be two owners of its orders."""

import asyncio
import random

import pytest

from desk.errors import ConfigurationFault
from flotilla.directory import Directory, adapter_settings
from infra.clock import SystemClock
from infra.embedded.directory import Addresses
from infra.settings import Settings
from infra.venue_settings import venue_settings
from tests.support.rate_model import HandClock, ModelShares

ENVIRONMENT = {
    "FLOTILLA_VENUE_OCX__BASE_URL": "http://127.0.0.1:1",
    "FLOTILLA_VENUE_OCX__API_KEY": "for-main",
    "FLOTILLA_VENUE_OCX__DESK2__API_KEY": "for-desk2",
    "FLOTILLA_VENUE_OCX__RATE__ORDER_PER_MIN": "600",
}
SETTINGS = Settings().filled(Addresses(), venue_settings(ENVIRONMENT))


def test_an_account_brings_its_own_credential_and_shares_the_rest() -> None:
    found = adapter_settings(SETTINGS, "ocx", "desk2")
    assert found == {
        "base_url": "http://127.0.0.1:1",
        "api_key": "for-desk2",
        "rate.order_per_min": "600",
    }
    assert adapter_settings(SETTINGS, "ocx", "main")["api_key"] == "for-main"


def test_an_account_without_a_credential_is_refused() -> None:
    with pytest.raises(ConfigurationFault, match="no credential for account desk3; set FLOTILLA_"):
        adapter_settings(SETTINGS, "ocx", "desk3")


def test_an_account_that_is_not_lower_case_is_refused() -> None:
    with pytest.raises(ConfigurationFault, match="'Desk2' is not lower case.*call it 'desk2'"):
        adapter_settings(SETTINGS, "ocx", "Desk2")


async def test_venues_draw_from_the_budget_the_fleet_shares() -> None:
    shares = ModelShares(HandClock())
    async with asyncio.TaskGroup() as tasks:
        directory = Directory(tasks, SETTINGS, SystemClock(), random.Random(1), shares)
        await directory.venue("ocx", "main")
        async with asyncio.timeout(5):
            while not shares.calls:
                await asyncio.sleep(0.01)
        await directory.close()
