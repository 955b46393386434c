"""What workflows send to activities and get back. Messages only grow; new fields get defaults."""

from dataclasses import dataclass
from decimal import Decimal

from desk.identity import MarketId
from desk.lifecycle import SessionReason
from desk.quoting.parameters import QuoteParameters
from desk.risk.limits import RiskLimits
from quoting.progress import SessionProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightInput:
    """May this market be quoted at all, with these parameters, by this account?"""

    market: MarketId
    parameters: QuoteParameters
    limits: RiskLimits
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightReport:
    """Yes. `life_epoch` is the epoch this life of the market began with."""

    life_epoch: int
    tick_size: Decimal
    lot_size: Decimal
    maker_fee_bps: Decimal
    clock_offset_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInput:
    """One stretch of live quoting. The window ends it in good order."""

    market: MarketId
    life_epoch: int
    parameters: QuoteParameters
    limits: RiskLimits
    run_id: str
    window_s: int = 600
    lease_ttl_ms: int = 3_000
    max_ledger_behind_s: float = 10.0
    prior_sigma_bps: Decimal | None = None
    usual_latency_ms: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResult:
    """How a session ended and what it did; `day_ends_ms` is when its trading day is over.

    `attempts` counts those before it that failed, too.
    """

    reason: SessionReason
    message: str
    epoch: int
    cleared: bool
    progress: SessionProgress
    day_ends_ms: int | None = None
    attempts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOverInput:
    """Take the market for an exit: new epoch, lease, every order cancelled and verified gone.

    `give_back` releases the lease at the end: only the orders were meant.
    """

    market: MarketId
    owner: str
    run_id: str
    lease_ttl_ms: int = 15_000
    give_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOverReport:
    """The market is ours to exit."""

    epoch: int
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StandDownInput:
    """The last look: nothing rests, books agree, lease released."""

    market: MarketId
    epoch: int
    owner: str
    life_epoch: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionInput:
    """A control decision to record, and whether a person must hear of it."""

    market: MarketId
    epoch: int | None
    kind: str
    reason: str
    by: str
    evidence: str = ""
    alert: bool = False
