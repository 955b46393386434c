"""Traces are written behind the sessions; trouble there ends a trace, never a session."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from desk.errors import Unavailable
from desk.identity import MarketId
from desk.lifecycle import SessionReason
from desk.market import FeedLost
from desk.trace_ports import DecisionSample, OpenJournal
from desk.units import NS_PER_S
from infra.clock import SystemClock
from quoting.actions import ClearAll, Leave, SendBatch
from quoting.inbox import Tick
from quoting.loop import MarketLoop
from quoting.replay import replay
from quoting.session_trace import MOST_BYTES, MOST_STEPS, SessionTrace
from quoting.trace import Traces
from quoting.trace_frames import Lost, read_frame
from tests.quoting.builders import accepted, account, book, permit, sent
from tests.quoting.test_replay import quoted, setup
from tests.quoting.traced import Kept, Shelf, TracedLoop


@dataclass(slots=True)
class Samples:
    """A record in memory; it is away while `away`."""

    kept: list[DecisionSample] = field(default_factory=list)
    away: bool = False

    async def record(self, samples: Sequence[DecisionSample]) -> None:
        if self.away:
            raise Unavailable("postgres: gone")
        self.kept.extend(samples)


@asynccontextmanager
async def running(traces: Traces) -> AsyncIterator[None]:
    """Traces being written while the block runs, and drained at its end."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(traces.run())
        yield
        task.cancel()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


def begun(traces: Traces) -> tuple[SessionTrace, MarketLoop]:
    given, start = permit(), setup()
    trace = traces.begin(start, given, run_id="run")
    assert trace is not None
    return trace, MarketLoop(start, given)


def step(trace: SessionTrace, loop: MarketLoop, now_ns: int, *events: object) -> list[object]:
    heard = list(events)
    trace.begins(heard)  # type: ignore[arg-type]
    for event in heard:
        loop.apply(event)  # type: ignore[arg-type]
    actions = loop.decide(now_ns)
    trace.took(now_ns, actions, loop.reason)
    return list(actions)


async def test_what_sessions_did_is_written_while_they_run_and_ended_when_they_end() -> None:
    shelf = Shelf()
    traces = Traces(files=shelf, clock=SystemClock())
    async with running(traces):
        trace, loop = begun(traces)
        step(trace, loop, NS_PER_S, account(NS_PER_S), book(NS_PER_S))
        await until(lambda: shelf.journals and len(shelf.journals[0].written) == 2)
        assert "good order" in replay(shelf.journals[0]).short
        step(trace, loop, 2 * NS_PER_S, Tick(2 * NS_PER_S))
        traces.end(trace)
    verdict = replay(shelf.journals[0])
    assert (verdict.identical, verdict.steps, verdict.short) == (True, 2, "")


async def test_without_a_disk_there_are_no_traces_and_nothing_fails() -> None:
    traces = Traces()
    async with running(traces):
        assert traces.begin(setup(), permit(), run_id="run") is None
        traces.end(None)
        assert await traces.last(setup().market) is None


async def test_a_full_disk_is_told_and_what_waits_is_written_when_there_is_room() -> None:
    shelf, said = Shelf(full=True), list[str]()
    traces = Traces(files=shelf, clock=SystemClock(), tell=said.append)
    async with running(traces):
        trace, loop = begun(traces)
        step(trace, loop, NS_PER_S, account(NS_PER_S), book(NS_PER_S))
        await until(lambda: said)
        shelf.full = False
        await until(lambda: shelf.journals)
        traces.end(trace)
    assert "No space left" in said[0]
    assert replay(shelf.journals[0]).steps == 1


@dataclass(slots=True)
class Stuck(Shelf):
    """A disk that answers nothing until it is let go."""

    free: threading.Event = field(default_factory=threading.Event)

    def begin(self, market: MarketId, epoch: int, began_ms: int, head: bytes) -> OpenJournal:
        self.free.wait(30)
        return Shelf.begin(self, market, epoch, began_ms, head)


async def test_while_the_disk_hangs_a_bounded_trace_is_kept_and_quoting_goes_on() -> None:
    stuck = Stuck()
    traces = Traces(files=stuck, clock=SystemClock())
    async with running(traces):
        trace, loop = begun(traces)
        step(trace, loop, NS_PER_S, account(NS_PER_S))
        await until(lambda: not trace.frames and not trace.pending)
        now_ns = NS_PER_S
        for _ in range(100_000):
            if trace.why_lost:
                break
            now_ns += NS_PER_S // 1_000
            step(trace, loop, now_ns, book(now_ns))
            await asyncio.sleep(0)
        assert trace.why_lost
        assert trace.waiting_bytes < 2 * MOST_BYTES
        assert step(trace, loop, now_ns + NS_PER_S, book(now_ns)) is not None
        stuck.free.set()
        await until(lambda: stuck.journals and not trace.frames)
    verdict = replay(stuck.journals[0])
    assert (verdict.first, verdict.damaged, verdict.lost) == (None, "", True)
    assert verdict.short.startswith("frames lost: ")


async def test_a_trace_that_nobody_encodes_ends_and_says_so() -> None:
    traced = TracedLoop(setup(), permit())
    for number in range(MOST_STEPS + 10):
        traced.step(number, Tick(number))
    last = read_frame(traced.journal().written[-1])
    assert isinstance(last, Lost)
    assert str(MOST_STEPS) in last.why


def test_a_value_that_no_frame_can_hold_ends_the_trace_and_not_the_session() -> None:
    traced = TracedLoop(setup(), permit())
    traced.step(1, Tick(1))
    traced.step(2, Tick(2**70))
    traced.step(3, Tick(3))
    verdict = replay(traced.journal())
    assert (verdict.steps, verdict.first, verdict.lost) == (1, None, True)
    assert verdict.short == "frames lost: step 2 could not be encoded: OverflowError"


def sampled(traced: TracedLoop) -> list[DecisionSample]:
    traced.trace.finish()
    return traced.trace.samples


def test_everything_that_takes_quotes_away_is_sampled_with_its_reason() -> None:
    traced = quoted(TracedLoop(setup(), permit(), sample_every=10**9), seconds=2)
    lost = FeedLost(reason="cut", received_ns=4 * NS_PER_S)
    (pull,) = traced.step(4 * NS_PER_S, lost)
    assert isinstance(pull, ClearAll)
    traced.permit.kill_file = True
    (leave,) = traced.step(5 * NS_PER_S, Tick(5 * NS_PER_S))
    assert isinstance(leave, Leave)
    samples = [one for one in sampled(traced) if one.kind != "send"]
    assert [(one.kind, one.reason) for one in samples] == [
        ("pull", "feed lost: cut"),
        ("leave", "killed; the KILL file is present; remove it to quote again"),
    ]
    assert [one.at_ms - 1_700_000_000_000 for one in samples] == [4_000, 5_000]
    step_read = read_frame(samples[0].frame)
    assert getattr(step_read, "events", None) == (lost,)
    assert all(
        (one.run_id, one.epoch, one.market.symbol) == ("run", 1, "BTC-PERP") for one in samples
    )


def test_one_in_so_many_sends_is_sampled() -> None:
    traced = quoted(TracedLoop(setup(), permit(), sample_every=4), seconds=8)
    verdict = replay(traced.journal())
    sends = [one for one in traced.trace.samples if one.kind == "send"]
    assert len(sends) == -(-verdict.decisions // 4)
    assert sends[0].reason.startswith("b24po4fq-1-1: 6 orders, in place of all that rested")


def test_a_batch_that_leaves_a_place_empty_is_sampled_whatever_the_share() -> None:
    traced = TracedLoop(setup(), permit(), sample_every=10**9)
    batch = sent(traced.step(NS_PER_S, account(NS_PER_S), book(NS_PER_S)))
    traced.step(NS_PER_S + 1, accepted(batch))
    # Held up to the cap: only the side that reduces may be shown.
    now_ns = 3 * NS_PER_S
    actions = traced.step(now_ns, account(now_ns, lots=100), book(now_ns, 600_400))
    assert any(isinstance(one, SendBatch | ClearAll) for one in actions)
    assert len(sampled(traced)) == 2


def test_a_step_that_failed_is_sampled_as_the_end_it_was() -> None:
    traced = TracedLoop(setup(), permit())
    traced.trace.begins([Tick(1)])
    traced.trace.failed(1, "KeyError 'x'")
    traced.trace.failed(2, "told again")
    (sample,) = sampled(traced)
    assert (sample.kind, sample.reason) == ("leave", "the step failed: KeyError 'x'")


def test_the_end_of_a_window_is_sampled_and_a_leave_of_the_loop_only_once() -> None:
    traced = TracedLoop(setup(), permit())
    traced.trace.told_to_leave(Leave(SessionReason.WINDOW, ""), NS_PER_S)
    traced.trace.told_to_leave(Leave(SessionReason.KILLED, "told before"), NS_PER_S)
    (sample,) = sampled(traced)
    assert (sample.kind, sample.reason) == (
        "leave",
        "window_ended; its time was over, and the next session follows",
    )


async def test_samples_wait_for_the_record_and_are_written_once() -> None:
    record, said = Samples(away=True), list[str]()
    traces = Traces(files=Shelf(), samples=record, clock=SystemClock(), tell=said.append)
    async with running(traces):
        trace, loop = begun(traces)
        batch = sent(step(trace, loop, NS_PER_S, account(NS_PER_S), book(NS_PER_S)))  # type: ignore[arg-type]
        step(trace, loop, NS_PER_S + 1, accepted(batch))
        traces.end(trace)
        await until(lambda: said)
        record.away = False
        await until(lambda: record.kept)
    assert [one.kind for one in record.kept] == ["send"]
    assert "postgres: gone" in said[0]


async def test_the_last_journal_is_found_for_a_recovery() -> None:
    shelf = Shelf()
    traces = Traces(files=shelf, clock=SystemClock())
    shelf.journals.append(Kept([b"head"]))
    found = await traces.last(setup().market)
    assert found is shelf.journals[0]


async def test_what_is_decided_after_a_trace_was_lost_is_sampled_without_its_inputs() -> None:
    record = Samples()
    traces = Traces(files=Shelf(full=True), samples=record, clock=SystemClock())
    async with running(traces):
        trace, loop = begun(traces)
        now_ns = NS_PER_S
        trace.lose("the disk did not take it")
        step(trace, loop, now_ns, account(now_ns), book(now_ns))
        (pull,) = step(trace, loop, 2 * now_ns, FeedLost(reason="cut", received_ns=2 * now_ns))
        assert isinstance(pull, ClearAll)
        await until(lambda: len(record.kept) > 1)
    assert [(one.kind, one.step, one.frame) for one in record.kept] == [
        ("send", 1, b""),
        ("pull", 2, b""),
    ]
    assert record.kept[1].reason == "feed lost: cut"


async def test_the_step_that_was_lost_and_those_that_waited_are_sampled_as_well() -> None:
    traced = TracedLoop(setup(), permit())
    traced.step(NS_PER_S, account(NS_PER_S), book(NS_PER_S))
    for number in range(MOST_STEPS - 1):
        traced.step(NS_PER_S + number, Tick(NS_PER_S + number))
    traced.step(2 * NS_PER_S, FeedLost(reason="cut", received_ns=2 * NS_PER_S))
    assert traced.trace.why_lost
    assert [one.kind for one in sampled(traced)] == ["send", "pull"]


async def test_samples_that_could_not_be_recorded_are_told_when_the_process_ends() -> None:
    record, said = Samples(away=True), list[str]()
    traces = Traces(files=Shelf(), samples=record, clock=SystemClock(), tell=said.append)
    async with running(traces):
        trace, loop = begun(traces)
        step(trace, loop, NS_PER_S, account(NS_PER_S), book(NS_PER_S))
        traces.end(trace)
        await until(lambda: said)
        assert traces.unrecorded == ""
    assert traces.unrecorded.startswith("1 samples of decisions were not recorded")
    assert said[-1] == f"decision traces: {traces.unrecorded}"
