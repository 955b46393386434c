"""What one run over a set is told, and what it tells: plain values that activities pass on."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage_records import TradeKey
from desk.identity import MarketId
from desk.risk.limits import RiskLimits
from desk.units import Lots


class SetKind(StrEnum):
    """What ties the legs together."""

    OUTCOME_SET = "outcome_set"
    TRIANGLE = "triangle"


class DischargePhase(StrEnum):
    """How hard what is owed is worked off.

    Hedge: complete or trade back, whichever costs less within the calm budget. Reduce: only trade
    back, within the larger budget. Wait: a person has it; only look.
    """

    HEDGE = "hedge"
    REDUCE = "reduce"
    WAIT = "wait"


class RunEnd(StrEnum):
    """Why a run ended."""

    WINDOW = "window"
    TRADED = "traded"
    BALANCED = "balanced"
    OWED = "owed"
    SETTLED = "settled"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """One run. `legs` are in the order a person gave them.

    `owner` names the workflow in leases; `run_id` is the workflow run's. With `watch` False the run
    discharges what is owed and ends. `rounds` bounds the orders of each leg in one discharge.
    `waived` signed lots per leg of an outcome set are not owed, by a named decision, as the trades
    that would take them off; empty means none.
    """

    name: str
    kind: SetKind
    legs: tuple[MarketId, ...]
    owner: str
    run_id: str
    rules: ArbitrageRules
    limits: RiskLimits
    lease_ttl_ms: int
    window_s: float
    rounds: int
    phase: DischargePhase = DischargePhase.HEDGE
    watch: bool = True
    waived: tuple[Lots, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LegStanding:
    """One leg by the ledger: signed lots held, and signed lots owed (to buy above zero).

    `excess` is what is over of it beyond complete sets, a waived part left out; what is owed may be
    to complete it instead.
    """

    market: MarketId
    position: Lots
    owed: Lots
    excess: Lots = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStanding:
    """Where a set stands by the ledger alone.

    `complete` are units of whole sets held, `exposure` what the rest could cost at the budgeted
    slippage and `dust` the part of it that no venue takes as an order, both quote currency. `trade`
    is the one whose debt is told, None where nothing is owed or no trade explains it.
    """

    legs: tuple[LegStanding, ...]
    complete: Decimal = Decimal(0)
    exposure: Decimal = Decimal(0)
    dust: Decimal = Decimal(0)
    trade: TradeKey | None = None

    @property
    def owes(self) -> bool:
        """Whether anything is owed that can be sent."""
        return any(leg.owed for leg in self.legs)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeReport:
    """One trade of a run, for the record of the workflow. Amounts are quote currency."""

    key: TradeKey
    aim: str
    units: Decimal
    edge_expected: Decimal
    outcome: str
    fired_at_ms: int
    sent_us: int = 0
    """From the book update read to the last leg's bytes handed over, microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLook:
    """Picture of this moment, for heartbeats and the page. `passed` counts verdicts by reason."""

    epoch: int = 0
    state: str = "starting"
    reason: str = ""
    looks: int = 0
    passed: tuple[tuple[str, int], ...] = ()
    best_edge: Decimal | None = None
    gate: str = ""
    """Why nothing may be fired now, empty when it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """How a run ended. `locked` and `payout` are quote currency over all trades of the set.

    `waived` is what is left of the waiver by the last look.
    """

    end: RunEnd
    reason: str
    epoch: int
    standing: SetStanding
    trade: TradeReport | None = None
    locked: Decimal = Decimal(0)
    payout: Decimal | None = None
    look: RunLook = RunLook()
    waived: tuple[Lots, ...] = ()
