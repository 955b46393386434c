"""What workflows say to the loss activities and hear back. Messages only grow, with defaults."""

from dataclasses import dataclass
from decimal import Decimal

from desk.daily_loss import DayLimits, Finding
from desk.identity import MarketId
from desk.records import KillEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class LatchMarketInput:
    """A market lost its day's limit: keep it from starting until the day is over.

    `until_ms` is the end of the day it was lost in; None for the day that is when this is asked.
    """

    market: MarketId
    epoch: int | None
    reason: str
    until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatchReport:
    """The latch in force, and until when."""

    scope: str
    at_ms: int
    until_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LossEvent:
    """A limit of an account or the fleet was passed, and no latch as hard is in force yet."""

    scope: str
    finding: Finding
    ends_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeLoss:
    """One scope's day: PnL at its start, now and at its peak, quote currency.

    `latch` is what the loss limit's kill in force there asks for, None without one. `holding`: it
    is one market, and its books hold a position.
    """

    scope: str
    start: Decimal
    now: Decimal
    peak: Decimal
    limits: DayLimits
    latch: KillEffect | None = None
    latch_until_ms: int | None = None
    holding: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LossPicture:
    """The fleet, its accounts, then its markets in the day from `begins_ms` to `ends_ms`.

    `uncounted` are markets that hold something nobody knows a price of yet; sums have their last
    known PnL. `old_marks` are markets that hold something whose last price is not fresh.
    """

    at_ms: int
    begins_ms: int
    ends_ms: int
    scopes: tuple[ScopeLoss, ...] = ()
    uncounted: tuple[str, ...] = ()
    old_marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchLossesInput:
    """Watch until a limit is passed, what is limited changed, or the window is over.

    A window of zero seconds is one look.
    """

    window_s: int = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchLossesReport:
    """The last look, and what has to be latched now."""

    picture: LossPicture
    events: tuple[LossEvent, ...] = ()
