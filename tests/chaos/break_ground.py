"""A small fleet at three venues, and what the record says of books that were made to differ.

The rule: each test has simulators of its own, because money is judged of a whole account.
"""

import json
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from temporalio.client import Client
from temporalio.service import RPCError

from activities.breaks import settle_break
from desk.book_ports import ReconciliationRun
from desk.breaks import Break, BreakDecision, BreakKind
from desk.identity import MarketId
from desk.units import NS_PER_MS
from flotilla.control import open_control, open_temporal
from flotilla.demo.children import Child
from flotilla.simulated import ocx, x10, zo
from flotilla.simulated.markets import RATE_PER_MINUTE
from infra.embedded.directory import discover
from infra.settings import Settings
from infra.venue_settings import venue_settings
from tests.chaos.ground import Market, SimulatedVenue, forget_account
from tests.support.services import Services

ORDERS_EVERY_S = 5
ACCOUNT_EVERY_S = 15
QUICK: Mapping[str, str] = {
    "FLOTILLA_RECONCILE_ORDERS_EVERY_S": str(ORDERS_EVERY_S),
    "FLOTILLA_RECONCILE_ACCOUNT_EVERY_S": str(ACCOUNT_EVERY_S),
}
"""Comparisons more often than usual, so that tests need not wait for them."""

SLOW_S = 120.0
_SYMBOLS = {"ocx": ocx.symbols(2, None), "x10": x10.symbols(1, None), "zo": zo.symbols(1, None)}
_LOOK_S = 0.2


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // NS_PER_MS


@dataclass(slots=True, kw_only=True)
class Fleet:
    """Markets of one account name at several venues, all quoted by the newest worker.

    `markets` are by venue, those of one venue in the order of their symbols.
    """

    services: Services
    client: Client
    settings: Settings
    environment: Mapping[str, str]
    account: str
    logs: Path
    markets: Mapping[str, Sequence[Market]]
    children: list[Child] = field(default_factory=list)

    @property
    def all(self) -> tuple[Market, ...]:
        """Every market."""
        return tuple(one for some in self.markets.values() for one in some)

    def but(self, *held: Market) -> tuple[Market, ...]:
        """Every market save these."""
        return tuple(one for one in self.all if one not in held)

    # --- processes ---------------------------------------------------------------------------

    async def worker(self, **settings: str) -> Child:
        """One more worker, with the keys of every venue."""
        child = await self.all[0].worker(**settings)
        self.children.append(child)
        return child

    async def quoting(self, **settings: str) -> Child:
        """A worker and a guardian, every market quoting, and every account compared once."""
        child = await self.worker(**settings)
        await self.all[0].guardian(**settings)
        for market in self.all:
            await market.start()
        for market in self.all:
            await market.until(f"{market.id.path} quotes", market.has_quotes, within_s=SLOW_S)
        for venue in self.markets:
            await self._judged(venue)
        return child

    async def _judged(self, venue: str) -> None:
        """Money can only differ from what it was at the first comparison."""

        async def judged() -> bool:
            return bool([one for one in await self.runs(venue, "account") if one.requests])

        await self.all[0].until(f"{venue} was compared", judged, within_s=SLOW_S)

    # --- the record --------------------------------------------------------------------------

    async def breaks(self, kind: BreakKind, venue: str) -> list[Break]:
        """Breaks of a kind on this test's account at a venue, oldest first, settled ones too."""
        async with open_control(self.settings) as ports:
            found = await ports.breaks.recent(200)
        return [
            one
            for one in reversed(found)
            if (one.found.venue, one.found.account, one.found.kind) == (venue, self.account, kind)
        ]

    async def standing(self) -> list[Break]:
        """Breaks of this test that are open."""
        async with open_control(self.settings) as ports:
            found = await ports.breaks.standing()
        return [one for one in found if one.found.account == self.account]

    async def runs(self, venue: str, kind: str) -> list[ReconciliationRun]:
        """Comparisons of one venue's account, oldest first."""
        async with open_control(self.settings) as ports:
            found = await ports.reconciliations.history(
                venue, self.account, 0, now_ms() + 60_000, 1_000
            )
        return [one for one in reversed(found) if one.kind == kind]

    async def found(self, kind: BreakKind, market: Market, since_ms: int) -> Break:
        """Wait for the break of this kind that was found after `since_ms`."""
        caught: list[Break] = []

        async def there() -> bool:
            caught[:] = [
                one
                for one in await self.breaks(kind, market.id.venue)
                if one.found.found_at_ms >= since_ms
                and one.found.symbol in {None, market.id.symbol}
            ]
            return bool(caught)

        await market.until(f"{kind.value} at {market.id.path}", there, within_s=SLOW_S)
        known = caught[0]
        after_s = (known.found.found_at_ms - since_ms) / 1_000
        by = known.found.found_by.split()[0]
        print(f"{kind.value} {market.id.path}: found after {after_s:.1f} s by {by}")  # noqa: T201
        return known

    async def evidence(
        self, known: Break, compared: str, since_ms: int
    ) -> tuple[ReconciliationRun, ReconciliationRun]:
        """The comparison that tells of a break, and the first that could have.

        They have to be the same. One that began before the difference was made may have met it; one
        that says what money it allows has judged money.
        """
        seen: list[ReconciliationRun] = []

        async def there() -> bool:
            runs = await self.runs(known.found.venue, compared)
            seen[:] = [one for one in runs if one.ended_ms >= since_ms]
            return any(_tells(one, known) for one in seen)

        await self.all[0].until(f"a run tells of break {known.number}", there, within_s=SLOW_S)
        telling = next(one for one in seen if _tells(one, known))
        first = next(
            one
            for one in seen
            if one is telling or (one.began_ms >= since_ms and _judges(one, known.found.kind))
        )
        return telling, first

    # --- settling ----------------------------------------------------------------------------

    async def settle_all(self) -> None:
        """Nothing of this test keeps a gate closed any more; others share the record."""
        async with open_control(self.settings) as ports:
            for one in await ports.breaks.standing():
                if one.found.account == self.account:
                    await settle_break(ports, one, BreakDecision.RECHECK, "test", "it is over")

    async def close(self) -> None:
        """End what this test started."""
        for market in self.all:
            for child in market.workers:
                if not child.ended and child.pid is not None:
                    os.kill(child.pid, signal.SIGCONT)
                await child.stop()
            if market.handle is not None:
                with suppress(RPCError):
                    await market.handle.terminate("the test is over")
        for venue in self.markets:
            await forget_account(self.client, venue, self.account)
        await self.settle_all()


@asynccontextmanager
async def open_fleet(
    services: Services, folder: Path, *, seed: int, **settings: str
) -> AsyncIterator[Fleet]:
    """Fresh simulators of all venues, two markets at OCX and one at each other venue."""
    account = f"breaks{uuid4().hex[:8]}"
    async with AsyncExitStack() as stack:
        venues = [
            await stack.enter_async_context(_simulated(name, folder, seed)) for name in _SYMBOLS
        ]
        environment = {
            "FLOTILLA_DATA_DIR": str(services.data_dir.absolute()),
            "FLOTILLA_STATE_DIR": str(folder),
            "FLOTILLA_FLEET": "chaos",
            **settings,
        }
        for venue in venues:
            environment |= venue.environment(account)
        mine = Settings(data_dir=services.data_dir, state_dir=folder, fleet="chaos").filled(
            discover(services.data_dir), venue_settings(environment)
        )
        client = await stack.enter_async_context(open_temporal(mine))
        fleet = Fleet(
            services=services,
            client=client,
            settings=mine,
            environment=environment,
            account=account,
            logs=folder / "logs",
            markets={
                venue.name: [
                    Market(
                        services=services,
                        venue=venue,
                        client=client,
                        settings=mine,
                        environment=environment,
                        id=MarketId(venue.name, account, symbol),
                        logs=folder / "logs",
                    )
                    for symbol in _SYMBOLS[venue.name]
                ]
                for venue in venues
            },
        )
        try:
            yield fleet
        finally:
            await fleet.close()


@asynccontextmanager
async def _simulated(name: str, folder: Path, seed: int) -> AsyncIterator[SimulatedVenue]:
    key = folder / "secrets" / f"{name}-simulator"
    arguments = ["sim", name, "--port", "0", "--markets", str(len(_SYMBOLS[name]))]
    child = Child(
        f"simulated {name}",
        [*arguments, "--seed", str(seed), "--key-file", str(key)],
        log=folder / "logs" / f"sim-{name}.log",
    )
    await child.start({})
    try:
        base = await child.read("base_url", timeout_s=60)
        stream = await child.read("stream_url", timeout_s=30) if name == "x10" else ""
        settings, credentials = _told(name, base, stream, key)
        yield SimulatedVenue(
            name=name,
            url=base.removesuffix("/api/v1"),
            settings=settings,
            credentials=credentials,
            seed=seed,
            numbers={one: number for number, one in enumerate(_SYMBOLS["zo"])}
            if name == "zo"
            else {},
        )
    finally:
        await child.stop()


def _told(
    name: str, base: str, stream: str, key: Path
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Settings and credentials that make a worker use a simulator."""
    if name == "ocx":
        reserve = str(RATE_PER_MINUTE // 10)
        rates = {
            "RATE__ORDER_PER_MIN": str(RATE_PER_MINUTE),
            "RATE__RESERVE_FOR_CANCEL": reserve,
        }
        return {"BASE_URL": base, **rates}, {"API_KEY_FILE": str(key)}
    if name == "zo":
        each_s = str(RATE_PER_MINUTE // 60)
        rates = {
            "RATE__ORDERS_PER_S": each_s,
            "RATE__CANCELS_PER_S": each_s,
            "RATE__REQUESTS_PER_MIN": str(RATE_PER_MINUTE),
        }
        return {"BASE_URL": base, **rates}, {"WALLET_KEY_FILE": str(key)}
    settings = {
        "BASE_URL": base,
        "STREAM_URL": stream,
        "DOMAIN": x10.DOMAIN,
        "DEAD_MAN__UNIT": "seconds",
        "DEAD_MAN__TIMER_S": "6",
        "RATE__PER_MIN": str(RATE_PER_MINUTE),
    }
    private = {"PRIVATE_KEY_FILE": f"{key}.stark", "VAULT": str(x10.vault_of(0))}
    return settings, {"API_KEY_FILE": str(key), **private}


def _judges(run: ReconciliationRun, kind: BreakKind) -> bool:
    """Whether it could see such a difference; money is not judged while fills come in."""
    return not run.trouble and (kind is not BreakKind.BALANCE or "allowed" in json.loads(run.ours))


def _tells(run: ReconciliationRun, known: Break) -> bool:
    return any(
        (one["kind"], one["symbol"]) == (known.found.kind.value, known.found.symbol)
        for one in json.loads(run.differences)
    )
