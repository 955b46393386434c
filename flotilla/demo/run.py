"""Runs the demo: services, venues, worker, guardian, markets, table, stand-down, verification.

However it ends, every market is stood down and what was verified is said.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
from rich.live import Live
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError

from desk.errors import Unavailable, VenueError
from desk.identity import MarketId
from flotilla.cli.render import console, talk
from flotilla.control import open_control, open_temporal
from flotilla.demo.plan import DemoPlan
from flotilla.demo.table import MarketRow, draw, read_row
from flotilla.demo.venues import SYMBOLS
from flotilla.demo.verify import Verdict, verify
from flotilla.demo.world import World, open_world
from flotilla.tracing import market_traces
from workflows import names
from workflows.market import MarketWorkflow
from workflows.messages import MarketResult, StopMarket

Handle = WorkflowHandle[MarketWorkflow, MarketResult]

_TABLE_S = 0.5
_STAND_DOWN_S = 120.0
_SHOCK = {"bpsPerSecond": 40, "durationS": 60}


@dataclass(slots=True)
class Outcome:
    """What the demo found."""

    services: Mapping[str, object]
    verdicts: list[Verdict] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    restarts: int = 0
    guardian_restarts: int = 0

    @property
    def ok(self) -> bool:
        """Whether every market's final facts hold."""
        return not self.failures and all(verdict.holds for verdict in self.verdicts)

    def as_json(self) -> dict[str, object]:
        """The document of `--json`."""
        return {
            "ok": self.ok,
            "services": {
                **self.services,
                "worker_restarts": self.restarts,
                "guardian_restarts": self.guardian_restarts,
            },
            "failures": self.failures,
            "markets": [verdict.as_json() for verdict in self.verdicts],
        }


async def run_demo(plan: DemoPlan, stop: asyncio.Event) -> Outcome:
    """Run until the duration is over, every market ended, or `stop` is set."""
    started = time.monotonic()
    async with open_world(plan) as world:
        talk(f"services up in {time.monotonic() - started:.1f} s")
        talk(f"Temporal UI: {world.stack.ui_url}/namespaces/default/workflows")
        outcome = Outcome(services=world.services())
        async with open_temporal(world.settings) as client:
            handles = await _start_markets(plan, world, client)
            try:
                async with asyncio.timeout(plan.longest_s) as limit:
                    await _show(plan, world, client, handles, stop, limit)
            except TimeoutError:
                talk("time is up")
            except httpx.HTTPError as error:
                outcome.failures.append(f"the simulated venue did not obey: {error}")
            await _stand_down(world, handles, outcome)
            outcome.restarts = world.worker.restarts
            outcome.guardian_restarts = world.guardian.restarts
    for verdict in outcome.verdicts:
        folder = market_traces(world.settings, MarketId.parse(verdict.result.market))
        talk(f"every decision can be replayed: flotilla replay {folder}")
    if plan.json_path is not None:
        plan.json_path.write_text(json.dumps(outcome.as_json(), indent=2) + "\n")
    return outcome


async def _start_markets(plan: DemoPlan, world: World, client: Client) -> list[Handle]:
    handles = []
    listed = {name: iter(SYMBOLS[name](plan.count_at(name), plan.replay)) for name in plan.venues}
    for number in range(plan.markets):
        name = plan.venues[number % len(plan.venues)]
        spec = plan.start(name, next(listed[name]), world.account)
        handles.append(
            await client.start_workflow(
                MarketWorkflow.run,
                spec,
                id=names.market_workflow_id(spec.market),
                task_queue=names.MARKETS_QUEUE,
                static_summary=f"demo: {spec.symbol}",
            )
        )
    return handles


async def _show(
    plan: DemoPlan,
    world: World,
    client: Client,
    handles: list[Handle],
    stop: asyncio.Event,
    limit: asyncio.Timeout,
) -> None:
    """Draw the table until told to stop or nothing runs any more; shock once, when asked.

    The plan's seconds begin with the first quote, and the limit is set then: what a slow machine
    needs to get ready is not taken from the show.
    """
    clock, shocked = asyncio.get_running_loop(), plan.drawdown_at_s is None
    started: float | None = None
    title = f"flotilla demo · UI {world.stack.ui_url} · Ctrl-C stands everything down"
    screen = console()
    with Live(console=screen, refresh_per_second=4, transient=False) as live:
        while not stop.is_set():
            rows = await _rows(client, handles)
            if rows:
                live.update(
                    draw(rows, title=title, caption=_caption(world)), refresh=screen.is_terminal
                )
            if rows and not any(row.running for row in rows):
                return
            if started is None and any(row.quoting for row in rows):
                started = clock.time()
                if plan.duration_s is not None:
                    limit.reschedule(started + plan.duration_s)
            if not shocked and plan.shock_due(started, clock.time()):
                await _shock(world, handles)
                shocked = True
            with suppress(TimeoutError):
                async with asyncio.timeout(_TABLE_S):
                    await stop.wait()


def _caption(world: World) -> str:
    """Who would clear the markets if the worker died; kill it and look."""
    return (
        f"worker {world.worker.pid} quotes, guardian {world.guardian.pid} clears what it leaves "
        f"behind: try 'kill -9 {world.worker.pid}'"
    )


async def _rows(client: Client, handles: list[Handle]) -> list[MarketRow]:
    try:
        return list(await asyncio.gather(*(read_row(client, handle) for handle in handles)))
    except RPCError:
        return []  # Temporal is being restarted; the next look will tell


async def _shock(world: World, handles: list[Handle]) -> None:
    """Move every market's price against whatever the fleet holds."""
    talk("moving prices against the fleet")
    async with httpx.AsyncClient() as client:
        for handle in handles:
            market = MarketId.parse(handle.id)
            answer = await client.post(
                f"{world.venues[market.venue].control_url}/_sim/shock",
                json={"marketId": market.symbol, "against": world.account, **_SHOCK},
            )
            answer.raise_for_status()


async def _stand_down(world: World, handles: list[Handle], outcome: Outcome) -> None:
    talk("standing down: cancel, verify, compare books")
    for handle in handles:
        with suppress(RPCError):
            await handle.signal(MarketWorkflow.stop, StopMarket(reason="demo is over", by="demo"))
    async with open_control(world.settings) as control:
        for handle in handles:
            market = MarketId.parse(handle.id)
            try:
                async with asyncio.timeout(_STAND_DOWN_S):
                    result = await handle.result()
                venue = await control.venues.venue(market.venue, market.account)
                outcome.verdicts.append(await verify(market, result, venue, control.ledger))
            except (WorkflowFailureError, TimeoutError, Unavailable, VenueError) as error:
                cause = getattr(error, "cause", None) or error
                outcome.failures.append(f"{market.path}: {type(cause).__name__} {cause}")
