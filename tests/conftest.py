"""Fixtures every test may take; the embedded services start when the first test wants them."""

import gc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from temporalio.client import Client

from infra.temporal.client import DATA_CONVERTER
from infra.temporal.runtime import quiet_runtime
from tests.support.databases import Databases
from tests.support.services import Services, running_services

settings.register_profile("default", deadline=None, max_examples=50, print_blob=True)
settings.register_profile(
    "large",
    deadline=None,
    max_examples=2_000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--hypothesis-profile", default=None):
        settings.load_profile("default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "services" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.services)


def pytest_collection_finish() -> None:
    """What was imported and collected stays: a full garbage collection need not walk it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """The stack of this pytest process: PostgreSQL, Valkey and Temporal."""
    with running_services() as running:
        yield running


@pytest.fixture(scope="session")
def databases(services: Services) -> Databases:
    """Databases that tests of this process take turns in."""
    return Databases(services)


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A database with all tables and no rows."""
    url = databases.lend()
    yield url
    databases.take_back(url)


@pytest.fixture
def bare_database_url(services: Services) -> Iterator[str]:
    """A fresh database without tables, dropped after the test."""
    url = services.new_database()
    yield url
    services.drop_database(url)


@pytest.fixture
def redis_url(services: Services) -> str:
    """An emptied logical database; published messages reach other databases too."""
    return services.empty_redis()


@pytest.fixture
async def temporal_client(services: Services) -> Client:
    """A client of the namespace all tests share; use fresh workflow ids and task queues."""
    return await Client.connect(
        services.temporal_address, data_converter=DATA_CONVERTER, runtime=quiet_runtime()
    )
