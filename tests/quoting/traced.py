"""A trace that is driven by hand and read back from memory, as if from a disk that never fails."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from desk.identity import MarketId
from desk.permit import Permit
from desk.trace_ports import OpenJournal, RawJournal
from quoting.actions import Action
from quoting.inbox import InboxEvent
from quoting.loop import MarketLoop
from quoting.session_trace import SessionTrace
from quoting.setup import LoopSetup
from quoting.trace_frames import FORMAT, Head, day_state


@dataclass(slots=True)
class Kept:
    """Frames in memory, as a journal being written and as one read."""

    written: list[bytes]
    name: str = "memory"
    dropped: bool = False
    torn: str = ""
    damaged: str = ""

    def append(self, frames: Sequence[bytes]) -> None:
        self.written.extend(frames)

    def sync(self) -> None:
        """Nothing can be lost."""

    def close(self) -> None:
        """Nothing is held open."""

    def frames(self) -> Iterator[bytes]:
        return iter(tuple(self.written))


@dataclass(slots=True)
class Shelf:
    """Journals of one process, in memory; it takes nothing while `full`."""

    journals: list[Kept] = field(default_factory=list)
    full: bool = False

    def begin(self, market: MarketId, epoch: int, began_ms: int, head: bytes) -> OpenJournal:
        if self.full:
            raise OSError(28, "No space left on device")
        self.journals.append(Kept([head]))
        return self.journals[-1]

    def last(self, market: MarketId, before_ms: int | None = None) -> RawJournal | None:
        return self.journals[-1] if self.journals else None


class TracedLoop:
    """A loop that is stepped as a session steps it, and what its trace kept."""

    def __init__(self, setup: LoopSetup, permit: Permit, *, sample_every: int = 50) -> None:
        self.permit = permit
        self.loop = MarketLoop(setup, permit)
        head = Head(
            format=FORMAT,
            run_id="run",
            owner="me",
            code="now",
            began_ns=0,
            began_wall_ns=1_700_000_000_000_000_000,
            setup=setup,
            day=None if setup.day is None else day_state(setup.day),
        )
        self.trace = SessionTrace(head=head, permit=permit, sample_every=sample_every)

    def step(self, now_ns: int, *events: InboxEvent) -> list[Action]:
        heard = list(events)
        self.trace.begins(heard)
        for event in heard:
            self.loop.apply(event)
        actions = self.loop.decide(now_ns)
        self.trace.took(now_ns, actions, self.loop.reason)
        return actions

    def leave(self) -> None:
        self.loop.leave()
        self.trace.left()

    def journal(self) -> Kept:
        """What a reader finds after the session."""
        self.trace.finish()
        return Kept([self.trace.head_bytes, *self.trace.frames])
