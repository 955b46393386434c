"""One market's step with and without its trace, in one run: `python -m benchmarks.trace`.

Steps are paced as in life, so that encoding and writing fall between them as they do there.
"""

import asyncio
import gc
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter_ns

from benchmarks.fleet import EMPTY, LIMITS, PARAMETERS
from benchmarks.ladders import SyntheticLadder, instrument
from benchmarks.micro import CAPABILITIES
from benchmarks.results import Row, Table, microseconds, show
from desk.identity import MarketId
from desk.market import BookDelta, BookSnapshot
from desk.orders import AccountSnapshot, BatchOutcome, OrderOutcome, OutcomeKind, VenuePosition
from desk.permit import Permit
from infra.clock import SystemClock
from infra.trace_files import TraceFolder, open_journal
from quoting.actions import SendBatch
from quoting.inbox import Answered, InboxEvent
from quoting.loop import MarketLoop
from quoting.replay import replay
from quoting.session_trace import SessionTrace
from quoting.setup import LoopSetup
from quoting.trace import Traces

_MARKETS = 10
_PER_S = 20
_SECONDS = 20
_MID = 30_000
_FOREVER = 1 << 62


@dataclass(slots=True, kw_only=True)
class Market:
    """A loop, its ladder, and how long its steps took, in nanoseconds."""

    loop: MarketLoop
    ladder: SyntheticLadder
    trace: SessionTrace | None
    took: list[int] = field(default_factory=list)

    def begin(self, now_ns: int) -> None:
        """The first book and the account."""
        bids, asks = self.ladder.snapshot()
        position = VenuePosition(symbol="", lots=0)
        self.step(now_ns, AccountSnapshot(position=position, fills=(), received_ns=now_ns))
        self.step(now_ns, BookSnapshot(bids=bids, asks=asks, sequence=None, received_ns=now_ns))

    def update(self, now_ns: int) -> None:
        """One change of the book, timed, and the answer to what it led to."""
        change = self.ladder.step()
        assert change is not None
        delta = BookDelta(
            bids=change[0], asks=change[1], sequence=None, previous=None, received_ns=now_ns
        )
        self.step(now_ns, delta)

    def step(self, now_ns: int, event: InboxEvent) -> None:
        """One step as a session makes it."""
        begun = perf_counter_ns()
        events, trace, loop = [event], self.trace, self.loop
        if trace is not None:
            trace.begins(events)
        loop.apply(event)
        actions = loop.decide(now_ns)
        if trace is not None:
            trace.took(now_ns, actions, loop.reason)
        self.took.append(perf_counter_ns() - begun)
        for action in actions:
            if isinstance(action, SendBatch):
                self.step(now_ns, _accepted(action))


def _accepted(action: SendBatch) -> Answered:
    batch = action.approved.value
    orders = tuple(
        OrderOutcome(client_order_id=one.client_order_id, kind=OutcomeKind.ACCEPTED)
        for one in batch.orders
    )
    outcome = BatchOutcome(batch_id=batch.batch_id, orders=orders, old_gone=True, sent_ns=1)
    return Answered(batch=batch, outcome=outcome, round_trip_ns=1_000_000)


def _market(number: int, traces: Traces | None) -> Market:
    listed = instrument(number)
    permit = Permit(
        max_clock_offset_ms=1_000,
        max_ledger_behind_s=5.0,
        lease_until_ns=_FOREVER,
        board_until_ns=_FOREVER,
        clock_offset_ms=0,
    )
    setup = LoopSetup(
        market=MarketId("ocx", "main", listed.symbol),
        instrument=listed,
        epoch=1,
        parameters=PARAMETERS,
        limits=replace(LIMITS, max_book_age_ms=60_000),
        capabilities=CAPABILITIES,
        facts=EMPTY,
        known_since_ms=0,
        known=frozenset(),
    )
    trace = None if traces is None else traces.begin(setup, permit, run_id="benchmark")
    ladder = SyntheticLadder(mid=_MID, seed=number, depth=100, changes=34)
    return Market(loop=MarketLoop(setup, permit), ladder=ladder, trace=trace)


async def run(*, seconds: float = _SECONDS, markets: int = _MARKETS) -> Table:
    """Steps of as many markets with and without a trace, in turns of one event loop."""
    with tempfile.TemporaryDirectory() as folder:
        clock = SystemClock()
        files = TraceFolder(Path(folder), wall_ns=clock.wall_ns)
        traces = Traces(files=files, clock=clock)
        async with _running(traces):
            plain = [_market(number, None) for number in range(markets)]
            traced = [_market(number, traces) for number in range(markets)]
            late = await _quote(clock, plain, traced, seconds)
            for one in traced:
                traces.end(one.trace)
        kept = _journals(Path(folder), markets * seconds)
    rows = (
        microseconds("step without a trace", [took for one in plain for took in one.took]),
        microseconds("step with a trace", [took for one in traced for took in one.took]),
        microseconds("turn late, whoever's", late),
        kept,
    )
    return Table(
        name=f"trace: {markets} markets with and {markets} without, {_PER_S} changes/s each",
        rows=rows,
    )


def _journals(folder: Path, market_seconds: float) -> Row:
    """How much was written, and how fast one of them replays; AssertionError when it differs."""
    size = sum(one.stat().st_size for one in folder.rglob("*.trace"))
    begun = perf_counter_ns()
    verdict = replay(open_journal(next(folder.glob("*/*/*/*"))))
    replay_s = (perf_counter_ns() - begun) / 1e9
    assert verdict.identical, verdict.first
    figures = {
        "KB/s a market": size / market_seconds / 1_000,
        "steps/s replayed": verdict.steps / replay_s,
    }
    return Row(what="journal", figures=figures)


@asynccontextmanager
async def _running(traces: Traces) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(traces.run())
        yield
        task.cancel()


async def _quote(
    clock: SystemClock, plain: list[Market], traced: list[Market], seconds: float
) -> list[int]:
    """Drive all markets, evenly spread over time; how late each turn came, nanoseconds."""
    everybody = [one for pair in zip(plain, traced, strict=True) for one in pair]
    for one in everybody:
        one.begin(clock.monotonic_ns())
        one.took.clear()
    gc.collect()
    gc.freeze()
    gap_ns = int(1e9 / _PER_S / len(everybody))
    due_ns, late = clock.monotonic_ns(), list[int]()
    for turn in range(int(seconds * _PER_S) * len(everybody)):
        due_ns += gap_ns
        if (wait_ns := due_ns - clock.monotonic_ns()) > 0:
            await asyncio.sleep(wait_ns / 1e9)
        now_ns = clock.monotonic_ns()
        late.append(max(0, now_ns - due_ns))
        everybody[turn % len(everybody)].update(now_ns)
    return late


if __name__ == "__main__":
    show(asyncio.run(run()))
