"""The ground of arbitrage's fault tests: a venue that stands still, a line to it, sets on workers.

Each ground has a venue, a database and a fleet of its own; services are shared with other tests.
"""

import asyncio
import os
import pickle
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
from temporalio.client import Client
from temporalio.service import RPCError

from activities.reconciliation_messages import ReconcileKind
from desk.arbitrage_ports import ArbitrageBook, ClaimPort
from desk.errors import Unavailable
from flotilla.control import open_temporal
from flotilla.demo.children import Child
from flotilla.demo.world import wait_for_worker
from flotilla.simulated.markets import RATE_PER_MINUTE
from flotilla.wiring import open_claims, open_trades
from infra.embedded.directory import discover
from infra.secrets import read_or_create_secret
from infra.settings import Settings
from infra.venue_settings import venue_settings
from tests.chaos.arbitrage_books import Books, Shown, levels
from tests.chaos.arbitrage_claims import SeenClaims
from tests.chaos.arbitrage_line import Line
from tests.chaos.arbitrage_venue import ACCOUNTS
from tests.support.services import Services
from workflows import names

CURRENCY_CAP: Final = Decimal(200_000)
SET_CAP: Final = Decimal(3_000)
_LOOK_S: Final = 0.05
_STARTS_S: Final = 180.0
_NUDGE_S: Final = 8.0


@dataclass(slots=True, kw_only=True)
class Ground:
    """Venue, line, workers and services of one test.

    `accounts` are our names of the venue's. `excused` are times, unix nanoseconds, in which nobody
    could have hedged anything.
    """

    services: Services
    url: str
    line: Line
    client: Client
    settings: Settings
    environment: Mapping[str, str]
    folder: Path
    accounts: tuple[str, ...]
    books: Sequence[Books]
    trades: ArbitrageBook
    claims: ClaimPort
    seen: SeenClaims
    http: httpx.AsyncClient
    workers: list[Child] = field(default_factory=list)
    excused: list[tuple[int, int]] = field(default_factory=list)
    workflows: list[str] = field(default_factory=list)
    _events: list[dict[str, Any]] = field(default_factory=list)

    # --- processes ---------------------------------------------------------------------------

    async def worker(self) -> Child:
        """Start one more worker and wait until it polls."""
        child = Child(
            "worker", ["worker"], log=self.folder / "logs" / f"worker-{len(self.workers)}.log"
        )
        self.workers.append(child)
        await child.start(self.environment)
        await wait_for_worker(self.client, child, within_s=_STARTS_S)
        return child

    @property
    def alive(self) -> list[Child]:
        """Workers that run."""
        return [child for child in self.workers if not child.ended]

    async def host_of(self, name: str) -> Child | None:
        """The worker that runs an activity for a set now."""
        with suppress(RPCError):
            handle = self.client.get_workflow_handle(names.arbitrage_workflow_id(name))
            described = await handle.describe()
            for pending in described.raw_description.pending_activities:
                for child in self.alive:
                    if child.is_identity(pending.last_worker_identity):
                        return child
        return None

    # --- the venue ---------------------------------------------------------------------------

    async def post(self, lever: str, body: object) -> Any:
        """Pull a lever under /_sim/."""
        answer = await self.http.post(f"/_sim/{lever}", json=body)
        answer.raise_for_status()
        return answer.json()

    async def show(self, shown: Shown, given: Sequence[dict[str, str]]) -> None:
        """Set levels of one market."""
        await self.post("levels", levels(shown, given))

    async def quiet(self, books: Books) -> None:
        """Nothing is given away in these markets."""
        await asyncio.gather(*(self.show(one, one.quiet()) for one in books.legs))

    async def arm(self, *faults: Mapping[str, Any]) -> None:
        """Arm faults of the venue."""
        await self.post("faults", list(faults))

    async def disarm(self) -> None:
        """Disarm all of them, and keep no order back any more."""
        self.line.clear()
        (await self.http.delete("/_sim/faults")).raise_for_status()

    async def events(self) -> list[dict[str, Any]]:
        """All that the venue recorded so far."""
        since = self._events[-1]["sequence"] if self._events else 0
        answer = await self.http.get(f"/_sim/events?since={since}")
        answer.raise_for_status()
        for event in answer.json():
            # Two may ask at once.
            if not self._events or event["sequence"] > self._events[-1]["sequence"]:
                self._events.append(event)
        return self._events

    async def money(self, account: str) -> dict[str, Decimal]:
        """Cash by bucket and currency, and what else is owned, by the venue's own word."""
        told = (await self.http.get("/_sim/state")).json()[account]
        return {"perps": Decimal(told["balance"]["walletBalance"])}

    # --- looking -----------------------------------------------------------------------------

    async def until(
        self, what: str, holds: Callable[[], Awaitable[object]], *, within_s: float = 40
    ) -> float:
        """Look until it holds; returns how long that took."""
        began = time.monotonic()
        while time.monotonic() - began < within_s:
            with suppress(RPCError, httpx.TransportError, Unavailable):
                if await holds():
                    took = time.monotonic() - began
                    print(f"{what}: {took:.2f} s")  # noqa: T201 - shown when a test fails
                    return took
            await asyncio.sleep(_LOOK_S)
        said = [child.last_words() for child in self.workers]
        raise AssertionError(f"not within {within_s} s: {what}; workers {said}")

    async def nudge(self) -> None:
        """Keep books from growing old: a book that never changes is stale."""
        count = 0
        while True:
            await asyncio.sleep(_NUDGE_S)
            count += 1
            with suppress(httpx.HTTPError):
                for books in self.books:
                    for one in books.legs:
                        await self.show(one, one.far(count))

    async def close(self) -> None:
        """End what this ground started."""
        await self.disarm()
        for child in self.workers:
            if not child.ended and child.pid is not None:
                os.kill(child.pid, signal.SIGCONT)
        await asyncio.gather(*(child.stop() for child in self.workers))
        fleet = self.settings.fleet
        own = [names.control_workflow_id(fleet), names.daily_loss_workflow_id(fleet)]
        for workflow_id in (*self.workflows, *own):
            with suppress(RPCError):
                await self.client.get_workflow_handle(workflow_id).terminate("the test is over")
        schedules = [names.upkeep_schedule_id(fleet)]
        for account in self.accounts:
            schedules.append(names.guardian_schedule_id(fleet, "ocx", account))
            schedules += [
                names.reconciliation_schedule_id(fleet, "ocx", account, kind)
                for kind in ReconcileKind
            ]
        for schedule in schedules:
            with suppress(RPCError):
                await self.client.get_schedule_handle(schedule).delete()


@asynccontextmanager
async def open_ground(
    services: Services, folder: Path, books: Sequence[Books], *, seed: str
) -> AsyncIterator[Ground]:
    """A venue with these books, no edge in any of them, and nobody at work yet."""
    unique = uuid4().hex[:8]
    accounts = tuple(f"arb{unique}{letter}" for letter in "ab")
    keys = [folder / "secrets" / name for name in ACCOUNTS]
    for key in keys:
        read_or_create_secret(key, "key file")
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(_venue(folder, books, keys, seed))
        line = await stack.enter_async_context(Line(int(url.rpartition(":")[2])).running())
        database_url = services.new_database()
        stack.callback(services.drop_database, database_url)
        environment = _environment(services, folder, accounts, keys) | {
            "FLOTILLA_ARBITRAGE_CAPS": _caps(accounts, books),
            "FLOTILLA_FLEET": f"arb-{unique}",
            "FLOTILLA_DATABASE_URL": database_url,
        }
        reached = {**environment, "FLOTILLA_VENUE_OCX__BASE_URL": url}
        settings = Settings(
            data_dir=services.data_dir,
            state_dir=folder,
            fleet=f"arb-{unique}",
            database_url=database_url,
        ).filled(discover(services.data_dir), venue_settings(reached))
        ground = Ground(
            services=services,
            url=url,
            line=line,
            client=await stack.enter_async_context(open_temporal(settings)),
            settings=settings,
            environment={
                **environment,
                "FLOTILLA_VENUE_OCX__BASE_URL": f"http://127.0.0.1:{line.port}",
            },
            folder=folder,
            accounts=accounts,
            books=books,
            trades=await stack.enter_async_context(open_trades(settings)),
            claims=await stack.enter_async_context(open_claims(settings)),
            seen=SeenClaims(account_cap=CURRENCY_CAP, set_cap=SET_CAP),
            http=await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=30)),
        )
        stack.push_async_callback(ground.close)
        for one in books:
            await ground.quiet(one)
        async with asyncio.TaskGroup() as tasks:
            going = [
                tasks.create_task(ground.nudge()),
                tasks.create_task(ground.seen.watch(ground.claims)),
            ]
            try:
                yield ground
            finally:
                for task in going:
                    task.cancel()


def _environment(
    services: Services, folder: Path, accounts: Sequence[str], keys: Sequence[Path]
) -> dict[str, str]:
    found = {
        "FLOTILLA_DATA_DIR": str(services.data_dir.absolute()),
        "FLOTILLA_STATE_DIR": str(folder),
        "FLOTILLA_VENUE_OCX__SPOT_ROUTE": "perps",
        "FLOTILLA_VENUE_OCX__RATE__ORDER_PER_MIN": str(RATE_PER_MINUTE),
        "FLOTILLA_VENUE_OCX__RATE__RESERVE_FOR_CANCEL": str(RATE_PER_MINUTE // 10),
    }
    for account, key in zip(accounts, keys, strict=True):
        found[f"FLOTILLA_VENUE_OCX__{account.upper()}__API_KEY_FILE"] = str(key)
    return found


def _caps(accounts: Sequence[str], books: Sequence[Books]) -> str:
    """Caps in every currency that some set locks."""
    found = []
    for currency in dict.fromkeys(name for one in books for name in one.worth):
        found += [f"fleet={CURRENCY_CAP} {currency}", f"set={SET_CAP} {currency}"]
        found += [f"account:ocx/{account}={CURRENCY_CAP} {currency}" for account in accounts]
    return ", ".join(found)


@asynccontextmanager
async def _venue(
    folder: Path, books: Sequence[Books], keys: Sequence[Path], seed: str
) -> AsyncIterator[str]:
    log = folder / "logs" / "venue.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.chaos.arbitrage_venue",
            seed,
            *map(str, keys),
            stdin=asyncio.subprocess.PIPE,
            stdout=out,
            stderr=out,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
    assert process.stdin is not None
    process.stdin.write(pickle.dumps(tuple(books)))
    process.stdin.close()
    try:
        async with asyncio.timeout(_STARTS_S):
            while not (said := re.search(rb'"base_url": "([^"]+)"', log.read_bytes())):
                assert process.returncode is None, log.read_text(encoding="utf-8")
                await asyncio.sleep(_LOOK_S)
        yield said[1].decode()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
