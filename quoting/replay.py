"""Replays a session's journal through the very code that quoted, and compares every decision.

The rule: what is replayed gets nothing but the journal; the first decision that differs by a byte
is told, and nothing after it means anything.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Final

from desk.daily_loss import MarketDay
from desk.permit import Permit
from desk.trace_ports import RawJournal, TraceUnreadable
from desk.units import NS_PER_S
from quoting.file_thread import FileThread
from quoting.loop import MarketLoop
from quoting.setup import LoopSetup
from quoting.trace_frames import (
    Decided,
    Ended,
    Head,
    Lost,
    Step,
    decided_bytes,
    moment_of,
    put_day,
    read_decided,
    read_frame,
)
from quoting.trace_words import decisions, heard

_SLICE: Final = 20
_READ: Final = 200
# The loop writes this one itself, from the day it was given.
_FACTS: Final = tuple(one.name for one in fields(Permit) if one.name != "own_reduction")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first step that decides otherwise: when, what was heard, and both decisions in words."""

    step: int
    at_ms: int
    heard: str
    recorded: str
    replayed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayVerdict:
    """What a replay showed. `first` is None when every decision compared was the same.

    `decisions` counts actions, `compared` the steps whose decisions were compared. `short` says why
    the journal ends before its session did (a crash, frames lost), `damaged` why the rest of it
    cannot be read; both are empty when it is whole. `lost`: the session went on untraced.
    """

    journal: str
    market: str
    epoch: int
    run_id: str
    code: str
    began_ms: int
    ended_ms: int
    steps: int
    events: int
    decisions: int
    compared: int
    first: Difference | None
    short: str
    damaged: str
    lost: bool = False

    @property
    def identical(self) -> bool:
        """Whether every decision was read and reproduced."""
        return self.first is None and not self.damaged and not self.lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One step as it was recorded, and what the loop decided in the replay."""

    head: Head
    step: Step
    decided: bytes
    failed: str

    @property
    def same(self) -> bool:
        """Whether both are the same decision, or the same kind of failure."""
        # What an exception says may hold what no replay can give again, such as an address.
        failures = _name_of(self.failed) == _name_of(self.step.failed)
        return failures and self.decided == self.step.decided

    @property
    def actions(self) -> tuple[Decided, ...]:
        """What the loop decided in the replay."""
        return read_decided(self.decided)


class Replay:
    """One journal, read once. `loop` is the loop that replays, as it is after the last step.

    `change` may give another setup, to ask what a changed parameter would have done.
    """

    def __init__(
        self,
        journal: RawJournal,
        change: Callable[[LoopSetup], LoopSetup] = lambda setup: setup,
    ) -> None:
        if journal.dropped:
            raise TraceUnreadable(
                f"the beginning of {journal.name} was dropped, by age or count: a replay needs it; "
                "keep more with FLOTILLA_TRACE_SEGMENTS and FLOTILLA_TRACE_DAYS"
            )
        self._journal = journal
        self._frames = journal.frames()
        self.head = _read_head(journal, self._frames)
        day = _day(self.head)
        self._day = day
        self._permit = Permit(max_clock_offset_ms=0, max_ledger_behind_s=0)
        self.loop = MarketLoop(change(replace(self.head.setup, day=day)), self._permit)
        self._short = "the session did not end in good order"
        self._damaged = ""
        self._lost = self._over = False
        self._steps = 0
        self.last_ns = self.head.began_ns

    @property
    def name(self) -> str:
        """Where the journal lies."""
        return self._journal.name

    @property
    def damaged(self) -> str:
        """Why the journal could not be read to its end, once it was read."""
        return self._damaged or self._journal.damaged

    @property
    def lost(self) -> bool:
        """Whether frames of the session were never kept, once it was read."""
        return self._lost

    @property
    def short(self) -> str:
        """Why the journal ends before its session did, once it was read; else empty."""
        torn = self._journal.torn
        return "; ".join(one for one in (torn, self._short) if one)

    def steps(self) -> Iterator[Replayed]:
        """Every step, replayed. Raises TraceUnreadable for frames of a later version."""
        while frames := self.read(_SLICE):
            for raw in frames:
                if (one := self.take(raw)) is not None:
                    yield one

    def read(self, most: int) -> list[bytes]:
        """The next frames, none at the end or where damage begins. This one waits for the disk."""
        return [] if self._damaged else list(islice(self._frames, most))

    def take(self, raw: bytes) -> Replayed | None:
        """Replay one frame, if it is a step and nothing is missing before it."""
        frame = read_frame(raw)
        match frame:
            case Step() if not self._damaged and not self._misses(frame):
                return self._step(frame)
            case Lost():
                self._lost = self._over = True
                self._short = f"frames lost: {frame.why}"
            case Ended() if not self._damaged:
                self._over, self._short = True, ""
                if frame.steps != self._steps:
                    self._damaged = f"it ended after step {frame.steps}, not {self._steps}"
        return None

    def _misses(self, step: Step) -> bool:
        """Whether this is not the step that has to follow; nothing after that means anything."""
        self._steps += 1
        if self._over:
            self._damaged = f"step {step.number} comes after the end"
        elif step.number != self._steps:
            self._damaged = f"step {step.number} is where step {self._steps} should be"
        return bool(self._damaged)

    def _step(self, step: Step) -> Replayed:
        self.last_ns = step.now_ns
        if step.permit is not None:
            for name in _FACTS:
                setattr(self._permit, name, getattr(step.permit, name))
        if step.day is not None and self._day is not None:
            put_day(self._day, step.day)
        if step.left:
            self.loop.leave()
        try:
            for event in step.events:
                self.loop.apply(event)
            decided = decided_bytes(self.loop.decide(step.now_ns))
        except Exception as error:  # noqa: BLE001 - what failed then is to fail again, as it did
            said = f"{type(error).__name__} {error}"
            return Replayed(head=self.head, step=step, decided=decided_bytes([]), failed=said)
        return Replayed(head=self.head, step=step, decided=decided, failed="")


class _Count:
    """What a replay has seen so far; `since_ns` is when comparing begins."""

    def __init__(self, replay: Replay, since_ns: int) -> None:
        self._replay = replay
        self._since_ns = since_ns
        self._steps = self._events = self._decisions = self._compared = 0
        self._first: Difference | None = None

    def differs(self, one: Replayed) -> bool:
        """Count a step; whether it is the first that differs."""
        self._steps += 1
        self._events += len(one.step.events)
        self._decisions += len(one.step.actions)
        if one.step.now_ns < self._since_ns:
            return False
        self._compared += 1
        if not one.same:
            self._first = _difference(one)
        return self._first is not None

    def verdict(self) -> ReplayVerdict:
        """All of it."""
        head = self._replay.head
        return ReplayVerdict(
            journal=self._replay.name,
            market=head.setup.market.path,
            epoch=head.setup.epoch,
            run_id=head.run_id,
            code=head.code,
            began_ms=head.wall_ms(head.began_ns),
            ended_ms=head.wall_ms(self._replay.last_ns),
            steps=self._steps,
            events=self._events,
            decisions=self._decisions,
            compared=self._compared,
            first=self._first,
            short="" if self._first else self._replay.short,
            damaged=self._replay.damaged,
            lost=self._replay.lost,
        )


def replay(
    journal: RawJournal,
    change: Callable[[LoopSetup], LoopSetup] = lambda setup: setup,
) -> ReplayVerdict:
    """Replay all of it, or up to the first decision that differs. Raises TraceUnreadable."""
    replaying = Replay(journal, change)
    count = _Count(replaying, since_ns=0)
    any(count.differs(one) for one in replaying.steps())
    return count.verdict()


async def replay_tail(
    journal: RawJournal, seconds: float, *, beat: Callable[[], None] = lambda: None
) -> ReplayVerdict:
    """Whether the decisions of a journal's last so many seconds reproduce. Raises TraceUnreadable.

    The whole journal is replayed, for the state comes from all of it. It is read in a thread of
    its own; the event loop goes on meanwhile, and `beat` is called each time it got on.
    """
    thread = FileThread("replay")
    try:
        last_ns = await _last_moment(journal, thread, beat)
        replaying = await thread.run(Replay, journal)
        count = _Count(replaying, since_ns=last_ns - int(seconds * NS_PER_S))
        while frames := await thread.run(replaying.read, _READ):
            for number, raw in enumerate(frames):
                if number % _SLICE == 0:
                    beat()
                    await asyncio.sleep(0)
                one = replaying.take(raw)
                if one is not None and count.differs(one):
                    return count.verdict()
        return count.verdict()
    finally:
        thread.close()


async def _last_moment(journal: RawJournal, thread: FileThread, beat: Callable[[], None]) -> int:
    frames = journal.frames()
    await thread.run(_read_head, journal, frames)
    last_ns = 0
    while some := await thread.run(list, islice(frames, _READ)):
        beat()
        for raw in some:
            last_ns = moment_of(raw) or last_ns
    return last_ns


def _read_head(journal: RawJournal, frames: Iterator[bytes]) -> Head:
    raw = next(frames, None)
    head = None if raw is None else read_frame(raw)
    if not isinstance(head, Head):
        raise TraceUnreadable(f"{journal.name} does not begin with what its session started from")
    return head


def _day(head: Head) -> MarketDay | None:
    if head.day is None:
        return None
    setup = head.setup
    day = MarketDay(setup.market, setup.limits.daily_loss, head.day.day, head.day.facts)
    put_day(day, head.day)
    return day


def _name_of(failed: str) -> str:
    return failed.partition(" ")[0]


def _difference(one: Replayed) -> Difference:
    head, step = one.head, one.step
    instrument = head.setup.instrument
    return Difference(
        step=step.number,
        at_ms=head.wall_ms(step.now_ns),
        heard=heard(step.events, instrument),
        recorded=f"failed: {step.failed}" if step.failed else decisions(step.actions, instrument),
        replayed=f"failed: {one.failed}" if one.failed else decisions(one.actions, instrument),
    )
