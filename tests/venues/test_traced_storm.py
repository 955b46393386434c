"""A session quoted through faults at a simulated venue replays to identical decisions.

The replay runs in another process, so that nothing but the journal can tell it anything.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from desk.quoting.parameters import QuoteParameters
from infra.clock import SystemClock
from infra.trace_files import TraceFolder, open_journal
from quoting.explain import explain
from quoting.loop import MarketLoop
from quoting.session import Session
from quoting.session_trace import SessionTrace
from quoting.trace import Traces
from quoting.trace_frames import SentBatch, Step, read_frame
from tests.venues.storm.harness import StormHarness
from tests.venues.storm.weather import Storm
from tests.venues.x10 import test_storm as x10
from tests.venues.zo import test_storm as zo

# How much happens in a storm depends on how busy the machine is; this asks for enough of it.
pytestmark = pytest.mark.chaos

Opener = Callable[[int], AbstractAsyncContextManager[StormHarness]]
VENUES: dict[str, tuple[Opener, QuoteParameters]] = {
    "x10": (x10.open_storm, x10._PARAMETERS),
    "zo": (zo.open_storm, zo._PARAMETERS),
}


@dataclass(slots=True, kw_only=True)
class TracedStorm(Storm):
    """A storm whose session keeps a trace."""

    traces: Traces
    trace: SessionTrace | None = None

    def _session(self, loop: MarketLoop) -> Session:
        session = Storm._session(self, loop)
        self.trace = self.traces.begin(loop._setup, loop.permit, run_id=f"storm {self.seed}")
        session._ports = replace(session._ports, trace=self.trace)
        return session


@asynccontextmanager
async def written(traces: Traces) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(traces.run())
        yield
        task.cancel()


async def blown(venue: str, folder: Path) -> Path:
    """A storm's journal."""
    open_storm, parameters = VENUES[venue]
    clock = SystemClock()
    files = TraceFolder(folder, segment_bytes=4_000, wall_ns=clock.wall_ns)
    traces = Traces(files=files, clock=clock, code="storm", owner="me")
    async with written(traces), open_storm(3) as harness:
        storm = TracedStorm(harness=harness, seed=3, parameters=parameters, traces=traces)
        await storm.run()
        assert storm.trace is not None
        traces.end(storm.trace)
        market = storm.trace.market
    journal = files.last(market)
    assert journal is not None
    return Path(journal.name)


def replayed(journal: Path, *options: str, seed: str) -> tuple[int, dict[str, object], str]:
    done = subprocess.run(
        [sys.executable, "-m", "flotilla", "replay", str(journal), "--json", *options],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.mark.parametrize("venue", VENUES)
async def test_a_storm_replays_to_identical_decisions(venue: str, tmp_path: Path) -> None:
    journal = await blown(venue, tmp_path)
    assert len(list(journal.iterdir())) > 1
    for seed in ("1", "2"):
        code, told, said = replayed(journal, seed=seed)
        assert (code, told["identical"], told["short"], told["damaged"]) == (0, True, "", ""), said
        assert int(str(told["decisions"])) > 10
    code, told, said = replayed(journal, "--set", "level_notional=310", seed="1")
    assert (code, told["identical"]) == (1, False)
    assert "DIFFERS at step" in said
    assert _every_sent_order_is_explained(journal)


def _every_sent_order_is_explained(journal: Path) -> bool:
    """Some orders of the journal, each with what took it away."""
    steps = [
        one for one in map(read_frame, open_journal(journal).frames()) if isinstance(one, Step)
    ]
    sent = [
        order.client_order_id
        for step in steps
        for action in step.actions
        if isinstance(action, SentBatch)
        for order in action.approved.orders
    ]
    stories = [explain(open_journal(journal), one) for one in sent[:: max(1, len(sent) // 4)]]
    return all(one.moments and not one.cause.startswith("nothing") for one in stories)
