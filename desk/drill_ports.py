"""What drills need from the world beside the brakes: their record, and the panic command.

Only markets that the settings mark for drills may be touched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from desk.drills import Drill
from desk.identity import MarketId


class DrillBook(Protocol):
    """The durable record of drills. Everything raises Unavailable."""

    async def record(self, drill: Drill) -> None:
        """Keep one drill; recording it again changes nothing."""

    async def failed(self) -> Sequence[Drill]:
        """Failed drills that nobody acknowledged, oldest first."""

    async def recent(self, limit: int) -> Sequence[Drill]:
        """The last drills, newest first."""

    async def acknowledge(self, number: int, by: str, reason: str) -> bool:
        """Take a failure note by name; False when there is none open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PanicSaid:
    """How the panic command ended, and what it printed."""

    exit_code: int
    output: str


class PanicCommand(Protocol):
    """`flotilla panic` as a process of its own that knows of none of our services."""

    async def __call__(self, venue: str, account: str) -> PanicSaid:
        """Cancel everything of one account. Unavailable when it could not be run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillGround:
    """Where drills may happen, and with what."""

    markets: frozenset[MarketId]
    book: DrillBook
    panic: PanicCommand
