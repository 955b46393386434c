"""The ground fault tests stand on: services, a simulated venue, and workers as real processes.

Each test has a market of its own; whatever it started ends with it.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError

from activities.ports import ActivityPorts
from activities.reconciliation_messages import ReconcileKind
from desk.identity import MarketId
from flotilla.control import open_control, open_temporal
from flotilla.demo.children import GUARDIAN, Child
from flotilla.demo.world import wait_for_worker
from infra.embedded.directory import discover
from infra.settings import Settings
from infra.venue_settings import venue_settings
from quoting.agreement import StandDownReport, look
from tests.chaos.venue_log import VenueLog
from tests.support.services import Services
from workflows import names
from workflows.market import MarketWorkflow
from workflows.messages import MarketResult, MarketStatus, Request, StartMarket, StopMarket

Handle = WorkflowHandle[MarketWorkflow, MarketResult]

_LOOK_S = 0.05
_STARTS_S = 180.0
"""Ten times what a start takes: with ten busy processes a core it has been a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedVenue:
    """The venue's process, where its levers are, and what a worker is told of it."""

    name: str
    url: str
    settings: Mapping[str, str]
    credentials: Mapping[str, str]
    seed: int
    numbers: Mapping[str, int] = field(default_factory=dict)
    """What the venue calls its markets where it does not call them by their symbols."""

    def environment(self, account: str) -> Mapping[str, str]:
        """Settings for one account; all of them are the same one at the venue."""
        prefix = f"FLOTILLA_VENUE_{self.name.upper()}__"
        own = {f"{account.upper()}__{key}": value for key, value in self.credentials.items()}
        return {f"{prefix}{key}": value for key, value in {**self.settings, **own}.items()}

    async def post(self, lever: str, body: object) -> Any:
        """Pull a lever under /_sim/."""
        async with httpx.AsyncClient(base_url=self.url) as client:
            answer = await client.post(f"/_sim/{lever}", json=body)
            answer.raise_for_status()
            return answer.json()

    async def get(self, lever: str) -> Any:
        """Read what a lever shows."""
        async with httpx.AsyncClient(base_url=self.url, timeout=20) as client:
            answer = await client.get(f"/_sim/{lever}")
            answer.raise_for_status()
            return answer.json()


@dataclass(slots=True, kw_only=True)
class Market:
    """One market under test, seen from the venue, from Temporal and from the ledger."""

    services: Services
    venue: SimulatedVenue
    client: Client
    settings: Settings
    environment: Mapping[str, str]
    id: MarketId
    logs: Path
    workers: list[Child] = field(default_factory=list)
    handle: Handle | None = None

    # --- processes ---------------------------------------------------------------------------

    async def worker(self, **settings: str) -> Child:
        """Start one more worker and wait until it polls; `settings` are its own variables."""
        child = Child("worker", ["worker"], log=self.logs / f"worker-{len(self.workers)}.log")
        self.workers.append(child)
        await child.start({**self.environment, **settings})
        await wait_for_worker(self.client, child, within_s=_STARTS_S)
        return child

    async def guardian(self, **settings: str) -> Child:
        """Start a guardian and wait until it watches."""
        child = Child("guardian", GUARDIAN, log=self.logs / f"guardian-{len(self.workers)}.log")
        self.workers.append(child)
        await child.start({**self.environment, **settings})
        await child.heard(r"(worker ready)", timeout_s=_STARTS_S)
        return child

    async def start(self, **options: Any) -> Handle:
        """Start the market's workflow."""
        spec = StartMarket(
            venue=self.id.venue,
            symbol=self.id.symbol,
            account=self.id.account,
            fleet="chaos",
            # Stated, so that nobody waits for a volatility estimate.
            spread_bps=Decimal(6),
            **options,
        )
        self.handle = await self.client.start_workflow(
            MarketWorkflow.run,
            spec,
            id=names.market_workflow_id(self.id),
            task_queue=names.MARKETS_QUEUE,
        )
        return self.handle

    async def quoting(self, **options: Any) -> Child:
        """A worker, and this market quoting on it."""
        worker = await self.worker()
        await self.start(**options)
        await self.until("the first quotes rest", self.has_quotes)
        return worker

    # --- looking -----------------------------------------------------------------------------

    async def until(
        self, what: str, holds: Callable[[], Awaitable[object]], *, within_s: float = 20
    ) -> float:
        """Look until it holds; returns how long that took."""
        began = time.monotonic()
        while time.monotonic() - began < within_s:
            with suppress(RPCError, httpx.TransportError):
                if await holds():
                    took = time.monotonic() - began
                    print(f"{what}: {took:.1f} s")  # noqa: T201 - shown when a test fails
                    return took
            await asyncio.sleep(_LOOK_S)
        raise AssertionError(f"not within {within_s} s: {what}; {await self._situation()}")

    async def log(self) -> VenueLog:
        """What the venue recorded so far."""
        return VenueLog(await self.venue.get("events"), self.id.symbol, tag=self.id.tag)

    async def open_orders(self) -> list[Any]:
        """What rests at the venue now, by its own word."""
        account = (await self.venue.get("state"))["main"]
        name = self.venue.numbers.get(self.id.symbol, self.id.symbol)
        return [
            one
            for one in account.get("openOrders", account.get("orders"))
            if one.get("marketId", one.get("market")) == name
        ]

    async def has_quotes(self) -> bool:
        """Whether something rests."""
        return bool(await self.open_orders())

    async def has_none(self) -> bool:
        """Whether nothing rests."""
        return not await self.open_orders()

    async def has_none_for_a_second(self) -> bool:
        """Whether nothing rested all the while: fills too leave a market empty, for a moment."""
        ends = time.monotonic() + 1
        while await self.has_none():
            if time.monotonic() > ends:
                return True
            await asyncio.sleep(_LOOK_S)
        return False

    async def quotes_above(self, epoch: int) -> bool:
        """Whether an order of a later epoch rests."""
        log = await self.log()
        return any(log.resting(epoch=number) for number in log.epochs() if number > epoch)

    async def epoch(self) -> int:
        """Epoch of the newest order."""
        return (await self.log()).accepted()[-1].identity.epoch

    async def status(self) -> MarketStatus:
        """What the workflow says."""
        assert self.handle is not None
        return await self.handle.query(MarketWorkflow.status)

    async def been(self) -> list[str]:
        """States the workflow went through."""
        return [change.state.value for change in (await self.status()).history]

    @asynccontextmanager
    async def control(self) -> AsyncIterator[ActivityPorts]:
        """Ledger, board and venue, seen from this process."""
        async with open_control(self.settings) as ports:
            yield ports

    async def books(self) -> StandDownReport:
        """Venue against ledger, fill by fill, with fresh eyes."""
        async with self.control() as ports:
            venue = await ports.venues.venue(self.id.venue, self.id.account)
            listed = await venue.instruments()
            instrument = next(item for item in listed if item.symbol == self.id.symbol)
            return await look(self.id, instrument, venue, ports.ledger, life_epoch=0)

    async def stays(
        self, what: str, holds: Callable[[], Awaitable[object]], *, for_s: float
    ) -> None:
        """Look all the while; fails as soon as it no longer holds."""
        began = time.monotonic()
        while time.monotonic() - began < for_s:
            if not await holds():
                after_s = time.monotonic() - began
                raise AssertionError(f"no longer after {after_s:.1f} s: {what}")
            await asyncio.sleep(_LOOK_S)

    # --- doing -------------------------------------------------------------------------------

    async def hold_a_position(self) -> None:
        """Have the crowd sell through our bids until a position is held."""

        async def held() -> bool:
            await self.sell_to_us()
            lots = (await self.log()).positions()
            return bool(lots) and lots[-1] != 0

        await self.until("a position is held", held)

    async def sell_to_us(self) -> None:
        """Have the crowd sell down to our lowest bid."""
        bids = [one for one in await self.open_orders() if one["side"].lower() in {"buy", "bid"}]
        if not bids:
            return
        lowest = min(bids, key=lambda one: Decimal(str(one["price"])))
        quantity = lowest.get("quantity", lowest.get("qty", lowest.get("size")))
        await self.venue.post(
            "trade",
            {
                "marketId": self.id.symbol,
                "side": "sell",
                "price": str(lowest["price"]),
                "quantity": str(1_000 * Decimal(str(quantity))),
            },
        )

    async def pause_and_resume(self) -> None:
        """Ask for a pause, wait until nothing rests, and ask to go on."""
        assert self.handle is not None
        await self.handle.signal(MarketWorkflow.pause, Request(by="test"))
        await self.until("the pause clears the market", self.has_none)
        await self.handle.signal(MarketWorkflow.resume, Request(by="test"))

    async def calm(self) -> None:
        """Disarm every fault."""
        async with httpx.AsyncClient(base_url=self.venue.url) as client:
            (await client.delete("/_sim/faults")).raise_for_status()

    async def finish(self, *, within_s: float = 40) -> MarketResult:
        """Stand the market down, and judge the end by venue and ledger."""
        assert self.handle is not None
        await self.until("the stop is heard", self._stopped, within_s=within_s)
        return await self.ended(within_s=within_s)

    async def ended(self, *, within_s: float = 40) -> MarketResult:
        """Wait for the workflow's end, and judge it by venue and ledger."""
        assert self.handle is not None
        try:
            async with asyncio.timeout(within_s):
                result = await self.handle.result()
        except TimeoutError:
            raise AssertionError(f"no end; {await self._situation()}") from None
        except WorkflowFailureError as failure:
            raise AssertionError(f"failed: {failure.cause}; {await self._situation()}") from None
        print(f"ended: {[(c.state.value, c.at[17:23]) for c in result.states]}")  # noqa: T201
        await self.judge()
        return result

    async def judge(self) -> StandDownReport:
        """No orphan, no lost or doubled fill, no client order id accepted twice."""
        log, books = await self.log(), await self.books()
        assert await self.open_orders() == []
        assert log.resting() == set()
        assert log.twice_used_ids() == []
        assert books.venue_open_orders == 0
        assert books.ledger_equals_venue, books.difference
        assert books.ledger_fills == books.venue_fills
        assert books.venue_fills == log.trade_count()
        return books

    async def close(self) -> None:
        """End what this test started."""
        await self.calm()
        for worker in self.workers:
            if not worker.ended and worker.pid is not None:
                os.kill(worker.pid, signal.SIGCONT)
            await worker.stop()
        if self.handle is not None:
            with suppress(RPCError):
                await self.handle.terminate("the test is over")
        await forget_account(self.client, self.id.venue, self.id.account)
        await self.venue.post("quiet", {"marketId": self.id.symbol, "on": True})

    async def _stopped(self) -> bool:
        assert self.handle is not None
        await self.handle.signal(MarketWorkflow.stop, StopMarket(reason="test is over", by="test"))
        return True

    async def _situation(self) -> str:
        said = [worker.last_words() for worker in self.workers]
        try:
            status = await self.status()
            states = [f"{change.state.value} ({change.reason})" for change in status.history]
        except RPCError as error:
            states = [str(error)]
        return f"states {states}; open orders {len(await self.open_orders())}; workers {said}"


@asynccontextmanager
async def open_market(
    services: Services, venue: SimulatedVenue, symbol: str, state_dir: Path
) -> AsyncIterator[Market]:
    """A market of its own; its symbol is noisy only while the test lasts."""
    account = f"chaos{uuid4().hex[:8]}"
    environment = {
        "FLOTILLA_DATA_DIR": str(services.data_dir.absolute()),
        "FLOTILLA_STATE_DIR": str(state_dir),
        "FLOTILLA_FLEET": "chaos",
        **venue.environment(account),
    }
    settings = Settings(data_dir=services.data_dir, state_dir=state_dir, fleet="chaos").filled(
        discover(services.data_dir), venue_settings(environment)
    )
    await venue.post("quiet", {"marketId": symbol, "on": False})
    async with open_temporal(settings) as client:
        market = Market(
            services=services,
            venue=venue,
            client=client,
            settings=settings,
            environment=environment,
            id=MarketId(venue.name, account, symbol),
            logs=state_dir / "logs",
        )
        try:
            yield market
        finally:
            await market.close()


async def forget_account(client: Client, venue: str, account: str) -> None:
    """No worker has its keys from here on: looking at it would only fail, and keep others busy."""
    schedules = [names.guardian_schedule_id("chaos", venue, account)]
    schedules += [
        names.reconciliation_schedule_id("chaos", venue, account, kind) for kind in ReconcileKind
    ]
    for schedule in schedules:
        with suppress(RPCError):
            await client.get_schedule_handle(schedule).delete()


async def kill(child: Child) -> int:
    """Kill -9; returns the wall time in nanoseconds once the process is gone."""
    return await _send(child, signal.SIGKILL)


async def terminate(child: Child) -> int:
    """SIGTERM; returns the wall time in nanoseconds once the process is gone."""
    return await _send(child, signal.SIGTERM)


async def _send(child: Child, number: signal.Signals) -> int:
    assert child.pid is not None
    os.kill(child.pid, number)
    async with asyncio.timeout(30):
        while not child.ended:
            await asyncio.sleep(0.01)
    return time.time_ns()
