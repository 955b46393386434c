"""What a flatten's workflow sends to its activities and gets back. Messages only grow."""

from dataclasses import dataclass

from desk.identity import MarketId
from quoting.agreement import StandDownReport
from quoting.exit import ExitStep


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenOpening:
    """The market is ours to exit: nothing rests, and the venue states so many signed lots."""

    epoch: int
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenSliceInput:
    """One order of a flatten, and the lease it is sent under.

    The lease lasts for the pause after it as well, so that nobody else begins to quote meanwhile.
    """

    owner: str
    step: ExitStep
    lease_ttl_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenWord:
    """What a person must be able to read later, or hear now: `severity` is empty for no alarm."""

    market: MarketId
    epoch: int | None
    kind: str
    reason: str
    by: str
    evidence: str = ""
    severity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenEndInput:
    """The last look. `abandoned`: a person ended it, whatever is left."""

    market: MarketId
    epoch: int
    owner: str
    reason: str
    abandoned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenEnd:
    """Signed lots at the venue at the last look; what was verified, None when it goes on."""

    position: int
    look: StandDownReport | None = None
