"""Runs the demo of arbitrage: services, simulated OCX, three sets, three scenes, verification.

However it ends, every set is stopped, what it owes is worked off first, and all is read back.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import httpx
from rich.live import Live
from rich.table import Table
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError

from desk.errors import Unavailable, VenueError
from flotilla.arbitrage import Handle
from flotilla.cli.render import console, talk
from flotilla.control import open_control, open_temporal
from flotilla.demo.arbitrage.board import Board
from flotilla.demo.arbitrage.levers import Levers
from flotilla.demo.arbitrage.scenes import NOT_PLAYED, Play
from flotilla.demo.arbitrage.sets import Scene, ShownSet, shown_sets
from flotilla.demo.arbitrage.table import draw_sets
from flotilla.demo.arbitrage.verify import SetVerdict, verify_set
from flotilla.demo.plan import DemoPlan
from flotilla.demo.world import World, open_world
from flotilla.failures import innermost
from flotilla.wiring import open_trades
from workflows import names
from workflows.arbitrage import ArbitrageWorkflow
from workflows.messages import Request

_TABLE_S: Final = 0.5
_STOP_S: Final = 120.0


@dataclass(slots=True)
class SetsOutcome:
    """What the demo found."""

    services: Mapping[str, object]
    verdicts: list[SetVerdict] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    restarts: int = 0
    guardian_restarts: int = 0

    @property
    def ok(self) -> bool:
        """Whether all three scenes happened, and every set's final facts hold."""
        shown = {verdict.shown_set.scene for verdict in self.verdicts if verdict.holds}
        return not self.failures and shown == set(Scene)

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
            "sets": [verdict.as_json() for verdict in self.verdicts],
        }


async def run_sets(plan: DemoPlan, stop: asyncio.Event) -> SetsOutcome:
    """Run until all was shown (or the duration is over), or `stop` is set."""
    started = time.monotonic()
    async with open_world(plan) as world:
        talk(f"services up in {time.monotonic() - started:.1f} s")
        talk(f"Temporal UI: {world.stack.ui_url}/namespaces/default/workflows")
        outcome, sets = SetsOutcome(services=world.services()), shown_sets(world.account)
        async with (
            open_temporal(world.settings) as client,
            open_trades(world.settings) as trades,
            httpx.AsyncClient() as http,
        ):
            handles = {one.scene: await _started(client, one) for one in sets}
            board, venue = Board(client, trades, sets, handles), world.venues["ocx"]
            levers = Levers(http, base_url=venue.urls["base_url"], control_url=venue.control_url)
            play = Play(sets, board, levers, talk)
            try:
                await _show(plan, world, sets, board, play, stop)
            except httpx.HTTPError as error:
                outcome.failures.append(f"the simulated venue did not obey: {error}")
            await _stand_down(world, sets, handles, play, outcome)
            outcome.restarts = world.worker.restarts
            outcome.guardian_restarts = world.guardian.restarts
    if plan.json_path is not None:
        plan.json_path.write_text(json.dumps(outcome.as_json(), indent=2) + "\n")
    return outcome


async def _started(client: Client, one: ShownSet) -> Handle:
    return await client.start_workflow(
        ArbitrageWorkflow.run,
        one.start(),
        id=names.arbitrage_workflow_id(one.name),
        task_queue=names.MARKETS_QUEUE,
        static_summary=f"demo: {one.scene.promise}",
    )


async def _show(
    plan: DemoPlan,
    world: World,
    sets: tuple[ShownSet, ...],
    board: Board,
    play: Play,
    stop: asyncio.Event,
) -> None:
    """Draw the sets until all was shown or the time is up; raises what playing raised."""
    clock, screen = asyncio.get_running_loop(), console()
    title = f"flotilla demo · UI {world.stack.ui_url} · Ctrl-C stops every set"
    began = clock.time()

    def drawn() -> Table:
        caption = f"worker {world.worker.pid} runs the sets: try 'kill -9 {world.worker.pid}'"
        return draw_sets(sets, board, play, title=title, caption=caption)

    watching = asyncio.create_task(board.watch())
    playing = asyncio.create_task(play.run())
    try:
        with Live(console=screen, refresh_per_second=4, transient=False) as live:
            while not (stop.is_set() or watching.done() or _over(plan, play, playing, began)):
                live.update(drawn(), refresh=screen.is_terminal)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_TABLE_S):
                        await stop.wait()
            live.update(drawn())
    finally:
        for task in (playing, watching):
            task.cancel()
        await asyncio.wait({playing, watching})
    for task in (playing, watching):
        if not task.cancelled():
            task.result()


def _over(plan: DemoPlan, play: Play, playing: "asyncio.Task[None]", began: float) -> bool:
    """Whether there is nothing to wait for. A duration counts from when all sets watched."""
    if playing.done() and (plan.duration_s is None or playing.exception() is not None):
        return True
    if plan.duration_s is None or plan.longest_s is None:
        return False
    now = asyncio.get_running_loop().time()
    if play.began is None:
        return now - began >= plan.longest_s
    return now - play.began >= plan.duration_s


async def _stand_down(
    world: World,
    sets: tuple[ShownSet, ...],
    handles: Mapping[Scene, Handle],
    play: Play,
    outcome: SetsOutcome,
) -> None:
    talk("stopping every set: work off what is owed, compare books")
    for handle in handles.values():
        with suppress(RPCError):
            await handle.signal(ArbitrageWorkflow.stop, Request(reason="demo is over", by="demo"))
    async with open_control(world.settings) as control:
        for one in sets:
            shown = play.shown.get(one.scene, NOT_PLAYED)
            try:
                async with asyncio.timeout(_STOP_S):
                    status = await handles[one.scene].result()
                outcome.verdicts.append(await verify_set(one, shown, status, control))
            except (WorkflowFailureError, TimeoutError, Unavailable, VenueError) as error:
                why = innermost(error) or type(error).__name__
                outcome.failures.append(f"{one.name}: {why}")
