"""Traces of all sessions of a process: encoded in small pieces, written and sampled behind them.

The rule: whatever goes wrong here ends a trace, never a session.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from desk.errors import Unavailable
from desk.identity import MarketId
from desk.permit import Permit
from desk.ports import Clock
from desk.trace_ports import DecisionSample, OpenJournal, RawJournal, SampleBook, TraceFiles
from desk.units import NS_PER_MS
from quoting.file_thread import FileThread
from quoting.session_trace import SessionTrace
from quoting.setup import LoopSetup
from quoting.trace_frames import FORMAT, Head, day_state

_ENCODE_S: Final = 0.1
_WRITE_S: Final = 0.25
_SYNC_EVERY: Final = 20
_SLICE: Final = 8
_SAMPLE_S: Final = 1.0
_SAMPLES_AT_ONCE: Final = 200
_MOST_SAMPLES: Final = 20_000
_RETRY_S: Final = 1.0
_MOST_REFUSALS: Final = 240
_DRAIN_S: Final = 2.0


class Traces:
    """Begins and ends traces. Without `files` and `clock` there are none, and nothing is kept.

    `code` names the decision code that runs, `owner` this process. `run` must be running for
    anything to be written; `tell` takes a sentence when the disk or the record has trouble.
    """

    def __init__(
        self,
        *,
        files: TraceFiles | None = None,
        samples: SampleBook | None = None,
        clock: Clock | None = None,
        code: str = "",
        owner: str = "",
        sample_every: int = 50,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._files = files
        self._book = samples
        self._clock = clock
        self._code = code
        self._owner = owner
        self._sample_every = sample_every
        self._tell = tell
        self._thread = FileThread("traces")
        self._running: dict[SessionTrace, OpenJournal | None] = {}
        self._samples: list[DecisionSample] = []
        self._samples_lost = 0
        self._round: asyncio.Task[list[tuple[SessionTrace, list[bytes], str]]] | None = None
        self._rounds = 0
        self._said = ""
        self.replaying = asyncio.Lock()
        """Held by who replays: a worker that takes many markets over still has others to quote."""

    @property
    def code(self) -> str:
        """The decision code that runs; another one in a journal may well decide otherwise."""
        return self._code

    @property
    def unrecorded(self) -> str:
        """Once `run` is over: how many samples never came on record, in a sentence; or empty."""
        return self._lost() if self._samples_lost else ""

    # --- for sessions ------------------------------------------------------------------------

    def begin(self, setup: LoopSetup, permit: Permit, *, run_id: str) -> SessionTrace | None:
        """The trace of a session that starts from here; None where none are kept."""
        if self._files is None or self._clock is None:
            return None
        head = Head(
            format=FORMAT,
            run_id=run_id,
            owner=self._owner,
            code=self._code,
            began_ns=self._clock.monotonic_ns(),
            began_wall_ns=self._clock.wall_ns(),
            setup=setup,
            day=None if setup.day is None else day_state(setup.day),
        )
        trace = SessionTrace(head=head, permit=permit, sample_every=self._sample_every)
        self._running[trace] = None
        return trace

    def end(self, trace: SessionTrace | None) -> None:
        """The session is over; what is left is written behind it."""
        if trace is not None:
            trace.finish()

    async def last(self, market: MarketId, before_ms: int | None = None) -> RawJournal | None:
        """The newest journal of a market (begun before a moment); None without one.

        Raises OSError.
        """
        if self._files is None:
            return None
        return await self._thread.run(self._files.last, market, before_ms)

    # --- behind them -------------------------------------------------------------------------

    async def run(self) -> None:
        """Write until cancelled; then write what is left, for a bounded time."""
        if self._files is None:
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._unending(self._encode, _ENCODE_S))
                tasks.create_task(self._unending(self._write, _WRITE_S))
                tasks.create_task(self._unending(self._record, _SAMPLE_S))
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_S):
                    await self._drain()
            if self._samples:
                self._samples_lost += len(self._samples)
                self._trouble(self._lost())

    async def _unending(self, job: Callable[[], Awaitable[None]], every_s: float) -> None:
        while True:
            try:
                await job()
            except Exception as error:  # noqa: BLE001 - told, and tried again at the next round
                self._trouble(f"{type(error).__name__} {error}")
            await asyncio.sleep(every_s)

    async def _encode(self) -> None:
        """Encode what the sessions left, a little at a time so that no quote waits for it."""
        for trace in tuple(self._running):
            while trace.pending:
                trace.encode(_SLICE)
                await asyncio.sleep(0)
            self._collect(trace)

    def _collect(self, trace: SessionTrace) -> None:
        samples, trace.samples = trace.samples, []
        if self._book is None or not samples:
            return
        self._samples.extend(samples)
        if len(self._samples) > _MOST_SAMPLES:
            # What took quotes away is worth more than what was sent.
            kept = [one for one in self._samples if one.kind != "send"][-_MOST_SAMPLES // 2 :]
            self._samples_lost += len(self._samples) - len(kept)
            self._samples = kept
            self._trouble(self._lost())

    def _lost(self) -> str:
        return (
            f"{self._samples_lost} samples of decisions were not recorded; what was decided is in "
            "the journals of this machine, see 'flotilla replay'"
        )

    async def _write(self) -> None:
        """One round over all journals, in a thread; one at a time."""
        if self._round is None:
            self._rounds += 1
            work = [(trace, trace.take_frames()) for trace in self._running]
            work = [(trace, frames) for trace, frames in work if frames]
            if not work:
                return
            sync = self._rounds % _SYNC_EVERY == 0
            self._round = asyncio.create_task(self._thread.run(self._write_all, work, sync=sync))
        left = await asyncio.shield(self._round)
        self._round = None
        for trace, frames, said in left:
            trace.give_back(frames)
            self._trouble(f"{trace.market.path}: {said}")
            if trace.over and trace.refused > _MOST_REFUSALS:
                trace.take_frames()  # its session is long over, and the disk takes nothing
        if not left:
            self._said = ""
        await self._forget_written()

    def _write_all(
        self, work: list[tuple[SessionTrace, list[bytes]]], *, sync: bool
    ) -> list[tuple[SessionTrace, list[bytes], str]]:
        """In a thread: append to each journal; what could not be, with the error."""
        left = []
        for trace, frames in work:
            try:
                journal = self._running[trace] or self._open(trace)
                journal.append(frames)
            except OSError as error:
                left.append((trace, frames, str(error)))
                continue
            with suppress(OSError):  # it is in the file; only a machine's end could lose it
                if sync or trace.over:
                    journal.sync()
        return left

    def _open(self, trace: SessionTrace) -> OpenJournal:
        assert self._files is not None  # noqa: S101 - no trace begins without
        head = trace.head
        began_ms = head.began_wall_ns // NS_PER_MS
        journal = self._files.begin(trace.market, head.setup.epoch, began_ms, trace.head_bytes)
        self._running[trace] = journal
        return journal

    async def _forget_written(self) -> None:
        done = [one for one in self._running if one.over and not one.frames and not one.samples]
        for trace in done:
            journal = self._running.pop(trace)
            if journal is not None:
                with suppress(OSError):
                    await self._thread.run(journal.close)

    async def _record(self) -> None:
        """Put samples on record; while that is away they wait."""
        while self._samples and self._book is not None:
            some = self._samples[:_SAMPLES_AT_ONCE]
            try:
                await self._book.record(some)
            except Unavailable as error:
                self._trouble(f"decisions wait to be recorded: {error}")
                await asyncio.sleep(_RETRY_S)
                return
            known = {id(one) for one in some}
            self._samples = [one for one in self._samples if id(one) not in known]

    async def _drain(self) -> None:
        for trace in self._running:
            trace.finish()
            self._collect(trace)
        async with asyncio.TaskGroup() as tasks:  # neither waits for the other's trouble
            tasks.create_task(self._record())
            tasks.create_task(self._write_rest())

    async def _write_rest(self) -> None:
        await self._write()  # ends the round under way, if there is one
        await self._write()

    def _trouble(self, said: str) -> None:
        if said != self._said:
            self._said = said
            self._tell(f"decision traces: {said}")
