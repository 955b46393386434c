"""What a set's workflow sends to activities and gets back. Messages only grow, with defaults."""

from dataclasses import dataclass

from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage_records import TradeKey
from desk.identity import MarketId
from desk.risk.limits import RiskLimits
from desk.units import Lots
from quoting.arbitrage.report import DischargePhase, RunReport, SetKind


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPlan:
    """What a set is about; the same for its whole life. `owner` names it in leases.

    `legs` are in the order a person gave them. `rounds` bounds the orders of each leg in one
    discharge. `max_ledger_behind_s` is less than a session's: what fires may have to be hedged, and
    every hedge waits for Postgres, so nothing fires once it seems to be away. The ledger's writer
    may be behind for so long by one repetition; a market's quotes can be cancelled without it.
    """

    name: str
    kind: SetKind
    legs: tuple[MarketId, ...]
    owner: str
    rules: ArbitrageRules
    limits: RiskLimits
    rounds: int
    lease_ttl_ms: int = 3_000
    max_ledger_behind_s: float = 2.0

    @property
    def home(self) -> MarketId:
        """The first leg: what concerns the whole set is recorded there."""
        return self.legs[0]

    @property
    def workflow_id(self) -> str:
        """Id of the workflow; owners of all its lives begin with it and a slash."""
        return self.owner.rpartition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSetInput:
    """May this set begin?

    `rivals` are beginnings of workflow ids that, before a market's path, name who may own it.
    """

    plan: SetPlan
    run_id: str
    rivals: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSetReport:
    """Yes; `standing` says in a sentence what is held at the beginning, empty for nothing.

    `waived` signed lots per leg were released in an earlier life of the set; empty means none.
    """

    standing: str = ""
    waived: tuple[Lots, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSetInput:
    """One run: discharge what is owed, then, with `watch`, take at most one trade.

    `waived` signed lots per leg are not owed; empty means none.
    """

    plan: SetPlan
    run_id: str
    window_s: int
    phase: DischargePhase
    watch: bool
    waived: tuple[Lots, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSetResult:
    """How it went. `waived` is what is left of the waiver: keep it, or it would grow again."""

    report: RunReport
    waived: tuple[Lots, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSetInput:
    """A named decision that `owed`, in a sentence, is owed no longer.

    `epoch` is the run's that told of it. `waived` signed lots per leg are all that is waived from
    then on; of a triangle nothing is, but the debt of `trade` is a person's whatever it comes to.
    """

    plan: SetPlan
    epoch: int
    owed: str
    by: str
    reason: str
    waived: tuple[Lots, ...] = ()
    trade: TradeKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TellSetInput:
    """A decision to record; with a `severity` a person hears of it."""

    plan: SetPlan
    epoch: int
    kind: str
    reason: str
    by: str
    severity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveSetInput:
    """The set is over: what is held in its legs is kept on purpose."""

    plan: SetPlan
    epoch: int
    reason: str
    by: str
