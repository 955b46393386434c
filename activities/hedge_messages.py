"""What a hedge's workflow sends to activities and gets back. Messages only grow, with defaults."""

from dataclasses import dataclass
from decimal import Decimal

from desk.hedging import HedgeReceipt, HedgeRule, HedgeState
from desk.identity import MarketId
from desk.risk.limits import RiskLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgePlan:
    """What a hedge is about; the same for its whole life. `owner` names it in the lease.

    `slice_notional` is quote currency, `check_every_s` seconds between looks at the inventory.
    """

    source: MarketId
    hedge: MarketId
    owner: str
    rule: HedgeRule
    slice_notional: Decimal
    max_slippage_bps: Decimal
    limits: RiskLimits
    check_every_s: int
    lease_ttl_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHedgeInput:
    """May this hedge begin? Takes the hedge market's lease if nobody holds it."""

    plan: HedgePlan
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHedgeReport:
    """Yes; `epoch` fences the hedge market from here on."""

    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchHedgeInput:
    """Look until something can be sent, something changed, or `window_s` is over.

    `state` and `obligation` are what is known so far. No order is asked for within the first
    `rest_s`, or before the books show `receipt`. `waived` signed lots are not owed.
    """

    plan: HedgePlan
    epoch: int
    run_id: str
    state: HedgeState
    obligation: int | None = None
    waived: int = 0
    window_s: int = 600
    rest_s: int = 0
    receipt: HedgeReceipt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeLook:
    """What was seen last. Quantities are base units of the source, lots those of the hedge market.

    `part_lots` is the next order to send, zero for none. `obligation` is the open one's number.
    `receipt` is what the venue said was filled and the books do not show yet.
    """

    state: HedgeState
    reason: str
    epoch: int
    source: Decimal = Decimal(0)
    position: int = 0
    target: int = 0
    owed: int = 0
    waived: int = 0
    part_lots: int = 0
    reduce_only: bool = False
    obligation: int | None = None
    opened_at_ms: int | None = None
    receipt: HedgeReceipt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeSliceInput:
    """One order. `step` and `id_epoch` make its id, so a retry is the same order.

    `epoch` is the lease's. It grows when the lease is taken anew; that of the id stays until the
    step is spent. Zero: the id has the lease's.
    """

    plan: HedgePlan
    epoch: int
    step: int
    position: int
    lots: int
    reduce_only: bool
    id_epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseHedgeInput:
    """A named decision that an obligation is no longer owed."""

    plan: HedgePlan
    obligation: int
    epoch: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveHedgeInput:
    """Give the hedge market back; obligations stay as they are."""

    plan: HedgePlan
    epoch: int
