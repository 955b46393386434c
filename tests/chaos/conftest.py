"""Services and a simulated venue for fault tests: real processes, one each per pytest process.

They are apart from the services of other tests, because they are killed here.
"""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from flotilla.demo.children import Child
from flotilla.simulated import SYMBOLS
from tests.chaos.ground import Market, SimulatedVenue, open_market
from tests.support.services import Services, running_services

_MARKETS = 24
_SYMBOLS = itertools.cycle(SYMBOLS[1:_MARKETS])
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.chaos)


@pytest.fixture(scope="session")
def ground() -> Iterator[Services]:
    """The stack that is killed."""
    with running_services() as running:
        yield running


@pytest.fixture(scope="session")
def sim(ground: Services, request: pytest.FixtureRequest) -> Iterator[SimulatedVenue]:
    """The venue of this pytest process; its markets are quiet until a test takes one."""
    seed = int(request.config.getoption("randomly_seed", default=1))
    folder = ground.data_dir
    key_file = folder / "secrets" / "ocx-simulator"
    arguments = ["sim", "ocx", "--port", "0", "--markets", str(_MARKETS), "--seed", str(seed)]
    child = Child(
        "simulated venue", [*arguments, "--key-file", str(key_file)], log=folder / "sim.log"
    )
    ground.run(child.start({}))
    url = ground.run(child.read("base_url", timeout_s=30))
    venue = SimulatedVenue(url=url, key_file=key_file, seed=seed)
    for symbol in SYMBOLS[:_MARKETS]:
        ground.run(venue.post("quiet", {"marketId": symbol, "on": True}))
    yield venue
    ground.run(child.stop())


@pytest.fixture
async def market(ground: Services, sim: SimulatedVenue, tmp_path: Path) -> AsyncIterator[Market]:
    """A market no other test used, and workers started by the test itself."""
    print(f"seed {sim.seed}")  # noqa: T201 - shown when a test fails
    async with open_market(ground, sim, next(_SYMBOLS), tmp_path) as opened:
        yield opened
