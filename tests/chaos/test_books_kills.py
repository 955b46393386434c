"""The books survive kill -9 of the writer and of PostgreSQL between any two steps.

Nothing that the venue knows is lost or doubled, and of the orders that were sent no more are
missing than were allowed to be unrecorded. FLOTILLA_BOOK_KILLS sets how many are killed.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from multiprocessing import get_context
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import asyncpg
import pytest

from infra.postgres.schema import upgrade
from tests.chaos.books_mortal import STEPS
from tests.chaos.books_recorder import Life, VenueFile, run
from tests.chaos.books_verdict import books_hold, folds_hold
from tests.infra.postgres.server import ScratchPostgres

_KILLS = int(os.environ.get("FLOTILLA_BOOK_KILLS", "20"))
_KILLS_A_ROUND = 20
_PATIENCE_S = 300.0
_OFTEN = {
    "recorded, not sent": 300,
    "between two statements": 60,
    "between two back-fills": 2,
    "before the spool": 1,
    "after the spool": 1,
    "before the spool file goes": 1,
    "after the spool file went": 1,
}
"""How often a life comes to a step at the most before it dies there; ten times unless told."""

pytestmark = [pytest.mark.services, pytest.mark.timeout(7_200)]
_processes = get_context("forkserver")
_processes.set_forkserver_preload(["tests.chaos.books_recorder"])


@pytest.fixture
async def server() -> AsyncIterator[ScratchPostgres]:
    # Not under tmp_path: an unprivileged server cannot walk through pytest's private folders.
    with TemporaryDirectory() as folder:
        server = ScratchPostgres(Path(folder))
        server.create()
        try:
            await server.start()
            yield server
        finally:
            server.kill()


class Round:
    """One database, one venue's file, and life after life of the process that records."""

    def __init__(self, server: ScratchPostgres, url: str, folder: Path, seed: int) -> None:
        self._server = server
        self._url = url
        self._folder = folder
        self._seed = seed
        self._rng = Random(seed)
        self._file = folder / "venue.jsonl"
        self._number = 0
        self._process = _processes.Process(target=run)
        self.killed: Counter[str] = Counter()
        self.in_order: set[int] = set()

    # --- lives --------------------------------------------------------------------------------

    async def at_a_random_moment(self) -> None:
        self._start()
        await self._grown()
        await self._kill()

    async def at_a_step(self, step: str) -> None:
        if "spool file" in step:
            await self._spooled()
        if step in {"before the spool", "after the spool"}:
            await self._spooled(dies=(step, 1))
            return
        self._start(dies=(step, self._rng.randint(1, _OFTEN.get(step, 10))))
        await self._dead()
        self._count(step)

    async def of_the_server(self) -> None:
        self._start()
        await self._grown()
        await self._without_server(lambda: self._grown(give_up_s=0.3))
        await self._grown()
        await self._kill()

    async def while_the_spool_is_loaded(self) -> None:
        await self._spooled()
        self._start()
        await asyncio.sleep(self._rng.uniform(0, 0.3))
        await self._kill()

    async def last(self) -> None:
        """One that recovers, writes everything and ends in good order."""
        self._start(trades=0, drain_s=30.0)
        await self._dead()
        assert self._process.exitcode == 0

    def _start(
        self,
        *,
        dies: tuple[str, int] | None = None,
        trades: int | None = None,
        drain_s: float = 0.3,
    ) -> None:
        self._number += 1
        life = Life(
            number=self._number,
            seed=self._seed,
            folder=self._folder,
            url=self._url,
            dies=dies,
            trades=trades,
            drain_s=drain_s,
        )
        self._process = _processes.Process(target=run, args=(life,), daemon=True)
        self._process.start()

    def close(self) -> None:
        """Leave nobody behind, whatever happened."""
        if self._process.pid is not None:
            self._process.kill()
            self._process.join()

    async def _spooled(self, dies: tuple[str, int] | None = None) -> None:
        """A life that is told to stop while PostgreSQL is away."""
        self._tear_a_file()
        self._start(dies=dies)
        await self._grown(least=20_000)

        async def stop() -> None:
            # What came since then is in no database, so there is something to spool.
            await self._grown(least=3_000, give_up_s=10.0)
            self._process.terminate()
            await self._dead()

        await self._without_server(stop)
        if dies:
            assert self._process.exitcode == -9
            self._count(dies[0])
        else:
            assert self._process.exitcode == 0
            self.in_order.add(self._number)

    async def _without_server(self, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._server.kill()
        self.killed["postgres"] += 1
        await meanwhile()
        await self._server.start()

    def _tear_a_file(self) -> None:
        """What a process leaves that was killed while it wrote its spool."""
        spool = self._folder / "spool"
        spool.mkdir(exist_ok=True)
        for number in (1, 2):
            (spool / f"recorder-{number:06d}.part").write_bytes(b'{"kind": "OrderSent", "rec')

    # --- waiting ------------------------------------------------------------------------------

    async def _grown(self, *, least: int = 0, give_up_s: float = _PATIENCE_S) -> None:
        """Until it recovered and the venue's file grew by some random amount."""
        until_s = time.monotonic() + give_up_s
        if give_up_s == _PATIENCE_S:
            recovered = self._folder / "recovered"
            while not (recovered.exists() and recovered.read_text() == f"{self._number}"):
                await self._moment(until_s)
        goal = self._size() + least + self._rng.randint(0, 120_000)
        while self._size() < goal:
            if time.monotonic() > until_s and give_up_s < _PATIENCE_S:
                return
            await self._moment(until_s)

    async def _moment(self, until_s: float) -> None:
        assert self._process.is_alive(), f"life {self._number} ended by itself"
        assert time.monotonic() < until_s + 1, f"life {self._number} stands still"
        await asyncio.sleep(0.001)

    def _size(self) -> int:
        return self._file.stat().st_size if self._file.exists() else 0

    async def _kill(self) -> None:
        self._process.kill()
        await self._dead()
        self._count("a random moment")

    async def _dead(self) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while self._process.is_alive():
                await asyncio.sleep(0.002)
        assert self._process.exitcode in {0, -9}, f"life {self._number} failed"

    def _count(self, where: str) -> None:
        assert self._process.exitcode == -9, f"{where}: it was not killed"
        self.killed[where] += 1

    async def folds_hold(self) -> None:
        """At every moment, recovered or not."""
        await folds_hold(self._url)

    async def books_hold(self) -> None:
        """After the last recovery."""
        lines = VenueFile(self._file).read()
        await books_hold(self._url, lines, range(1, self._number), self.in_order)
        left = {path.suffix for path in (self._folder / "spool").glob("*")}
        assert left <= {".part"}, "every spool file was loaded, and all of it was understood"


async def database_of(server: ScratchPostgres, number: int) -> str:
    connection = await asyncpg.connect(server.url)
    await connection.execute(f"CREATE DATABASE round_{number}")
    await connection.close()
    url = f"{server.url.rpartition('/')[0]}/round_{number}"
    await upgrade(url)
    return url


async def live_through(this: Round, kills: int, *, rng: Random, steps: list[str]) -> None:
    """Life after life until so many were killed, one last in good order, and then the books."""
    while this.killed.total() < kills:
        # Every step has its turn before any comes again.
        steps.extend(() if steps else STEPS)
        step = steps[rng.randrange(len(steps))]
        match rng.randrange(6):
            case 0 | 1:
                await this.at_a_random_moment()
            case 2 | 3:
                steps.remove(step)
                await this.at_a_step(step)
            case 4:
                await this.of_the_server()
            case _:
                await this.while_the_spool_is_loaded()
        await this.folds_hold()
    await this.last()
    await this.folds_hold()
    await this.books_hold()


async def test_no_kill_between_any_two_steps_loses_or_doubles_anything(
    server: ScratchPostgres, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seed = int(request.config.getoption("randomly_seed", default=1))
    killed: Counter[str] = Counter()
    rng, steps, began_s = Random(seed), list(STEPS), time.monotonic()
    lines = number = 0
    while killed.total() < _KILLS:
        number += 1
        folder = tmp_path / f"{number}"
        folder.mkdir()
        this = Round(server, await database_of(server, number), folder, seed + number)
        try:
            await live_through(
                this, min(_KILLS_A_ROUND, _KILLS - killed.total()), rng=rng, steps=steps
            )
        finally:
            this.close()
        killed += this.killed
        lines += len((folder / "venue.jsonl").read_bytes().splitlines())
    print(  # noqa: T201
        f"{killed.total()} killed in {time.monotonic() - began_s:.0f} s over {lines} events: "
        + ", ".join(f"{where} {times}" for where, times in killed.most_common())
    )
