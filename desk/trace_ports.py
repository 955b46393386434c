"""What decision traces need from the world: journal files of this machine, and samples on record.

The rule: a journal's frames are bytes to whoever keeps them; only `quoting/` knows what they say.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from desk.identity import MarketId

REPLACES_ALL: Final = "in place of all that rested"
"""In the words of a batch after which nothing older rests."""


class TraceUnreadable(Exception):
    """A journal that tells nothing, in one sentence that names the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionSample:
    """A decision that is kept for long: what was decided, why, and the frame with its inputs.

    `kind` is a word (`send`, `pull`, `withdraw`, `leave`, `resnapshot`); `run_id` and `step` name
    the place in the journal; `at_ms` is unix milliseconds.
    """

    run_id: str
    market: MarketId
    epoch: int
    at_ms: int
    step: int
    kind: str
    reason: str
    frame: bytes


class RawJournal(Protocol):
    """One session's journal as it lies on the disk."""

    @property
    def name(self) -> str:
        """Where it lies."""

    @property
    def dropped(self) -> bool:
        """Whether its beginning is gone, by age or count."""

    @property
    def torn(self) -> str:
        """Once `frames` is over: what was cut off at its very end, as a crash does; else empty."""

    @property
    def damaged(self) -> str:
        """Once `frames` is over: why the rest of it cannot be read; empty when it could."""

    def frames(self) -> Iterator[bytes]:
        """Its frames, oldest first, the head before all others. Raises TraceUnreadable."""


class OpenJournal(Protocol):
    """A journal that is being written. Everything here blocks and raises OSError."""

    @property
    def name(self) -> str:
        """Where it lies."""

    def append(self, frames: Sequence[bytes]) -> None:
        """Add frames, in order; after an error they are not in it, and may be given again."""

    def sync(self) -> None:
        """Make what was added survive the machine."""

    def close(self) -> None:
        """Nothing more comes."""


class TraceFiles(Protocol):
    """Journals of this machine, by market."""

    def begin(self, market: MarketId, epoch: int, began_ms: int, head: bytes) -> OpenJournal:
        """A new session's journal; blocks and raises OSError. Old ones are dropped as agreed."""

    def last(self, market: MarketId, before_ms: int | None = None) -> RawJournal | None:
        """The newest journal of a market, or the newest begun before a moment; None without one.

        Raises OSError.
        """


class SampleBook(Protocol):
    """Samples on record."""

    async def record(self, samples: Sequence[DecisionSample]) -> None:
        """Keep samples; recording them again changes nothing. Raises Unavailable."""
