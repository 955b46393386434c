"""The fleet that `benchmarks.kill` stops: real services, venues, workers and a guardian.

Each is a process of its own; what rests is read from the venues' own logs alone.
"""

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
from temporalio.client import Client

from benchmarks.venue_tail import Life, VenueTail
from desk.identity import MarketId
from flotilla.control import open_temporal
from flotilla.demo.children import GUARDIAN, Child
from flotilla.demo.venues import KINDS, SYMBOLS
from flotilla.demo.world import wait_for_worker
from infra.embedded.directory import discover
from infra.embedded.stack import EmbeddedStack
from infra.settings import Settings
from infra.venue_settings import venue_settings
from workflows import names
from workflows.market import MarketWorkflow
from workflows.messages import StartMarket

VENUES = ("ocx", "x10", "zo")
FLEET = "bench"
_READY_S = 60.0
_PATIENCE_S = 300.0
_LOOK_S = 0.1
# Far longer than any measurement: the venue's own timer shall not be who cancelled.
_TIMER_S = "600"
_HUGE = Decimal(10**9)

_OWNED = """
SELECT DISTINCT ON (venue, account, symbol) venue, account, symbol, epoch, owner
FROM session_epochs ORDER BY venue, account, symbol, epoch DESC
"""


@dataclass(slots=True, kw_only=True)
class KillFleet:
    """A running fleet. Epochs owned and orders taken are asked for afresh each time."""

    settings: Settings
    environment: Mapping[str, str]
    client: Client
    markets: tuple[MarketId, ...]
    tails: tuple[VenueTail, ...]
    logs: Path
    workers: list[Child] = field(default_factory=list)

    # --- processes ---------------------------------------------------------------------------

    async def add_worker(self) -> Child:
        """One more worker, polling."""
        child = await self._start("worker", ["worker"])
        await wait_for_worker(self.client, child)
        return child

    async def add_guardian(self) -> Child:
        """A guardian, watching."""
        child = await self._start("guardian", GUARDIAN)
        await child.heard("(worker ready)", timeout_s=_READY_S)
        return child

    async def _start(self, name: str, arguments: Sequence[str]) -> Child:
        child = Child(name, arguments, log=self.logs / f"{name}-{len(self.workers)}.log")
        self.workers.append(child)
        await child.start(self.environment)
        return child

    async def close(self) -> None:
        """End every process of ours."""
        for child in self.workers:
            if not child.ended and child.pid is not None:
                os.kill(child.pid, signal.SIGCONT)
            await child.stop()
        for tail in self.tails:
            await tail.close()

    # --- markets -----------------------------------------------------------------------------

    async def start_markets(self) -> None:
        """Start every market."""
        async with asyncio.TaskGroup() as tasks:
            for market in self.markets:
                tasks.create_task(self._start_market(market))

    async def _start_market(self, market: MarketId) -> None:
        spec = StartMarket(
            venue=market.venue,
            symbol=market.symbol,
            account=market.account,
            fleet=FLEET,
            spread_bps=Decimal(6),
            max_drawdown=_HUGE,
        )
        await self.client.start_workflow(
            MarketWorkflow.run,
            spec,
            id=names.market_workflow_id(market),
            task_queue=names.MARKETS_QUEUE,
        )

    async def ended(self) -> None:
        """Wait until every market has stood down."""
        for market in self.markets:
            await self.client.get_workflow_handle(names.market_workflow_id(market)).result()

    async def owned_by(self, worker: Child) -> dict[MarketId, int]:
        """Markets whose newest epoch a worker opened, with that epoch."""
        url = str(self.settings.database_url).replace("+asyncpg", "")
        connection = await asyncpg.connect(url, ssl=False)
        try:
            rows = await connection.fetch(_OWNED)
        finally:
            await connection.close()
        return {
            MarketId(row["venue"], row["account"], row["symbol"]): row["epoch"]
            for row in rows
            if row["owner"].partition("/")[0].endswith(f"-{worker.pid}")
        }

    # --- looking -----------------------------------------------------------------------------

    async def read(self) -> None:
        """Bring every venue's log up to date."""
        await asyncio.gather(*(tail.read() for tail in self.tails))

    def lives(self, of: Callable[[Life], bool] = lambda _: True) -> list[Life]:
        """Orders at all venues since the past was forgotten."""
        return [life for tail in self.tails for life in tail.lives(of)]

    async def all_quote(self) -> bool:
        """Whether something rests in every market."""
        await self.read()
        return len(set().union(*(tail.quoted() for tail in self.tails))) == len(self.markets)

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]]) -> None:
        """Look until it holds; RuntimeError when it takes minutes."""
        began = time.monotonic()
        while not await holds():
            if time.monotonic() - began > _PATIENCE_S:
                words = [child.last_words() for child in self.workers if not child.ended]
                raise RuntimeError(f"not within {_PATIENCE_S:.0f} s: {what}; {words}")
            await asyncio.sleep(_LOOK_S)

    def forget_the_past(self) -> None:
        """Begin a new run."""
        for tail in self.tails:
            tail.forget_the_past()


@asynccontextmanager
async def kill_fleet(count: int, seed: int) -> AsyncIterator[KillFleet]:
    """A fleet of so many markets over three venues, quoting on two workers, with a guardian."""
    folder = _new_folder()
    try:
        async with AsyncExitStack() as opened:
            await opened.enter_async_context(EmbeddedStack(folder))
            environment = {
                "FLOTILLA_DATA_DIR": str(folder),
                "FLOTILLA_STATE_DIR": str(folder / "state"),
                "FLOTILLA_FLEET": FLEET,
            }
            markets: list[MarketId] = []
            tails = []
            for place, name in enumerate(VENUES):
                here = _listed(name, (count - place + len(VENUES) - 1) // len(VENUES))
                urls = await _venue(opened, folder, name, len(here), seed)
                environment |= _told(name, urls, folder)
                markets += here
                parts = urlsplit(urls["base_url"])
                tails.append(VenueTail(name, f"{parts.scheme}://{parts.netloc}", here))
            settings = Settings(data_dir=folder, state_dir=folder / "state", fleet=FLEET).filled(
                discover(folder), venue_settings(environment)
            )
            fleet = KillFleet(
                settings=settings,
                environment=environment,
                client=await opened.enter_async_context(open_temporal(settings)),
                markets=tuple(markets),
                tails=tuple(tails),
                logs=folder / "logs",
            )
            opened.push_async_callback(fleet.close)
            await fleet.add_worker()
            await fleet.add_worker()
            await fleet.add_guardian()
            yield fleet
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _new_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="flotilla-bench-"))
    folder.chmod(0o755)  # so that PostgreSQL's account may enter when this runs as root
    return folder


def _listed(name: str, count: int) -> list[MarketId]:
    return [MarketId(name, "main", symbol) for symbol in SYMBOLS[name](count, None)]


async def _venue(
    opened: AsyncExitStack, folder: Path, name: str, count: int, seed: int
) -> Mapping[str, str]:
    arguments = ["sim", name, "--markets", str(max(1, count)), "--seed", str(seed)]
    child = Child(
        f"simulated {name}",
        [*arguments, "--key-file", str(_key(folder, name))],
        log=folder / "logs" / f"sim-{name}.log",
    )
    await child.start({})
    opened.push_async_callback(child.stop)
    return {answer: await child.read(answer, timeout_s=_READY_S) for answer in KINDS[name].answers}


def _told(name: str, urls: Mapping[str, str], folder: Path) -> Mapping[str, str]:
    found = dict(KINDS[name].settings(urls, "", _key(folder, name), 0))
    if "DEAD_MAN__TIMER_S" in found:
        found["DEAD_MAN__TIMER_S"] = _TIMER_S
    return {f"FLOTILLA_VENUE_{name.upper()}__{key}": value for key, value in found.items()}


def _key(folder: Path, name: str) -> Path:
    return folder / "secrets" / f"{name}-main"
