"""Services and simulated venues for fault tests: real processes, one each per pytest process.

They are apart from the services of other tests, because they are killed here.
"""

import itertools
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from flotilla.demo.children import Child
from flotilla.simulated import ocx, x10, zo
from flotilla.simulated.markets import RATE_PER_MINUTE
from tests.chaos.ground import Market, SimulatedVenue, open_market
from tests.support.services import Services, running_services

_MARKETS = 96
_NAMES = ocx.symbols(_MARKETS, None)
_SYMBOLS = itertools.cycle(_NAMES[1:])
_X10_NAMES = x10.symbols(24, None)
_X10_SYMBOLS = itertools.cycle(_X10_NAMES)
_ZO_NAMES = zo.symbols(24, None)
_ZO_SYMBOLS = itertools.cycle(_ZO_NAMES)
X10_TIMER_S = 6
_HERE = Path(__file__).parent
# These kill no process, are over in seconds, and so run with all other tests.
_EVERY_TIME = frozenset(
    {"test_arbitrage_verdict.py", "test_invariants.py", "test_kill_in_short.py"}
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents and item.path.name not in _EVERY_TIME:
            item.add_marker(pytest.mark.chaos)


@pytest.fixture(scope="session")
def ground() -> Iterator[Services]:
    """The stack that is killed."""
    with running_services() as running:
        yield running


@pytest.fixture(scope="session")
def sim(ground: Services, request: pytest.FixtureRequest) -> Iterator[SimulatedVenue]:
    """The OCX of this pytest process; its markets are quiet until a test takes one."""
    key = ground.data_dir / "secrets" / "ocx-simulator"
    with _simulated(ground, request, "ocx", _NAMES, key) as (urls, seed):
        yield SimulatedVenue(
            name="ocx",
            url=urls["base_url"],
            settings={
                "BASE_URL": urls["base_url"],
                "RATE__ORDER_PER_MIN": str(RATE_PER_MINUTE),
                "RATE__RESERVE_FOR_CANCEL": str(RATE_PER_MINUTE // 10),
            },
            credentials={"API_KEY_FILE": str(key)},
            seed=seed,
        )


@pytest.fixture(scope="session")
def x10_sim(ground: Services, request: pytest.FixtureRequest) -> Iterator[SimulatedVenue]:
    """The X10 of this pytest process."""
    key = ground.data_dir / "secrets" / "x10-simulator"
    with _simulated(ground, request, "x10", _X10_NAMES, key) as (urls, seed):
        yield SimulatedVenue(
            name="x10",
            url=urls["base_url"].removesuffix("/api/v1"),
            settings={
                "BASE_URL": urls["base_url"],
                "STREAM_URL": urls["stream_url"],
                "DOMAIN": x10.DOMAIN,
                "DEAD_MAN__UNIT": "seconds",
                "DEAD_MAN__TIMER_S": str(X10_TIMER_S),
                "RATE__PER_MIN": str(RATE_PER_MINUTE),
            },
            credentials={
                "API_KEY_FILE": str(key),
                "PRIVATE_KEY_FILE": f"{key}.stark",
                "VAULT": str(x10.vault_of(0)),
            },
            seed=seed,
        )


@pytest.fixture(scope="session")
def zo_sim(ground: Services, request: pytest.FixtureRequest) -> Iterator[SimulatedVenue]:
    """The 01.xyz of this pytest process."""
    key = ground.data_dir / "secrets" / "zo-simulator"
    with _simulated(ground, request, "zo", _ZO_NAMES, key) as (urls, seed):
        yield SimulatedVenue(
            name="zo",
            url=urls["base_url"],
            settings={
                "BASE_URL": urls["base_url"],
                "RATE__ORDERS_PER_S": str(RATE_PER_MINUTE // 60),
                "RATE__CANCELS_PER_S": str(RATE_PER_MINUTE // 60),
                "RATE__REQUESTS_PER_MIN": str(RATE_PER_MINUTE),
            },
            credentials={"WALLET_KEY_FILE": str(key)},
            seed=seed,
            numbers={symbol: number for number, symbol in enumerate(_ZO_NAMES)},
        )


@contextmanager
def _simulated(
    ground: Services, request: pytest.FixtureRequest, name: str, symbols: Sequence[str], key: Path
) -> Iterator[tuple[Mapping[str, str], int]]:
    seed = int(request.config.getoption("randomly_seed", default=1))
    arguments = ["sim", name, "--port", "0", "--markets", str(len(symbols)), "--seed", str(seed)]
    child = Child(
        f"simulated {name}",
        [*arguments, "--key-file", str(key)],
        log=ground.data_dir / f"sim-{name}.log",
    )
    ground.run(child.start({}))
    answers = ("base_url", "stream_url") if name == "x10" else ("base_url",)
    urls = {answer: ground.run(child.read(answer, timeout_s=30)) for answer in answers}
    root = urls["base_url"].removesuffix("/api/v1")
    with httpx.Client(base_url=root) as levers:
        for symbol in symbols:
            quiet = levers.post("/_sim/quiet", json={"marketId": symbol, "on": True})
            quiet.raise_for_status()
    yield urls, seed
    ground.run(child.stop())


@pytest.fixture
async def market(ground: Services, sim: SimulatedVenue, tmp_path: Path) -> AsyncIterator[Market]:
    """A market no other test used, and workers started by the test itself."""
    print(f"seed {sim.seed}")  # noqa: T201 - shown when a test fails
    async with open_market(ground, sim, next(_SYMBOLS), tmp_path) as opened:
        yield opened


@pytest.fixture
async def x10_market(
    ground: Services, x10_sim: SimulatedVenue, tmp_path: Path
) -> AsyncIterator[Market]:
    """The same at X10."""
    print(f"seed {x10_sim.seed}")  # noqa: T201 - shown when a test fails
    async with open_market(ground, x10_sim, next(_X10_SYMBOLS), tmp_path) as opened:
        yield opened


@pytest.fixture
async def zo_market(
    ground: Services, zo_sim: SimulatedVenue, tmp_path: Path
) -> AsyncIterator[Market]:
    """The same at 01.xyz."""
    print(f"seed {zo_sim.seed}")  # noqa: T201 - shown when a test fails
    async with open_market(ground, zo_sim, next(_ZO_SYMBOLS), tmp_path) as opened:
        yield opened
