"""What is on record of arbitrage trades. Times ending in `_ms` are unix milliseconds.

The rule: a trade is known by set, epoch and number, is recorded once, and only ever moves forward.
Who decided each move stays on record beside it.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from desk.identity import MarketId
from desk.units import Lots, Side, Ticks


class TradeStage(StrEnum):
    """How far a trade has come, in this order.

    Balanced: no leg is over but for dust, and what was bought waits to be sold or paid out. Handed
    over: a person has it. Settled: nothing is locked any more.
    """

    FIRED = "fired"
    HEDGING = "hedging"
    BALANCED = "balanced"
    HANDED_OVER = "handed_over"
    SETTLED = "settled"


UNDER_WAY = frozenset({TradeStage.FIRED, TradeStage.HEDGING})
"""Stages in which the set takes no other trade."""


@dataclass(frozen=True, slots=True, order=True)
class TradeKey:
    """One trade of a set: numbered from 1 within the epoch of whoever fired it."""

    set_name: str
    epoch: int
    trade: int

    @property
    def text(self) -> str:
        """For people."""
        return f"trade {self.epoch}/{self.trade} of {self.set_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCapital:
    """Quote currency that a trade takes from one account; `amount` is not negative."""

    venue: str
    account: str
    quote: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class FiredLeg:
    """One order of a trade, as it was meant: unsigned lots, and the limit in ticks."""

    market: MarketId
    side: Side
    lots: Lots
    limit: Ticks
    client_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeFired:
    """A trade whose orders were handed to the venues, `units` complete sets of it.

    `capital` is what it claimed. `edge_expected` and `payout_expected` are `quote` currency over
    all units; a triangle has no payout. `by` is who fired it.
    """

    key: TradeKey
    quote: str
    units: Decimal
    legs: tuple[FiredLeg, ...]
    capital: tuple[HeldCapital, ...]
    edge_expected: Decimal
    payout_expected: Decimal
    by: str
    fired_at_ms: int

    @property
    def market(self) -> None:
        """No single one: it is of several markets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegProgress:
    """Where one order's market stands: signed lots booked for the trade, and still owed."""

    client_order_id: str
    filled: Lots
    owed: Lots


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeStep:
    """When a trade came to a stage, by whose word and why."""

    stage: TradeStage
    by: str
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArbitrageTrade:
    """A trade as the record has it. `payout` and `edge` are what it brought so far, or None.

    `rounds` counts the looks at what is owed that were noted, `progress` is the last of them.
    `fills` is how many booked fills `payout` and `edge` were told from.
    """

    fired: TradeFired
    stage: TradeStage
    rounds: int
    progress: tuple[LegProgress, ...]
    locked: tuple[HeldCapital, ...]
    payout: Decimal | None
    edge: Decimal | None
    steps: tuple[TradeStep, ...]
    fills: int = 0

    @property
    def a_persons(self) -> bool:
        """Whether somebody took it over by name, at whatever stage it is by now."""
        return any(step.stage is TradeStage.HANDED_OVER for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTotals:
    """Over all trades of a set, quote currency. `payout` is None while nothing came back."""

    locked: Decimal = Decimal(0)
    payout: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedTrade:
    """What the record says a trade holds of the capital; nothing, when it settled lately."""

    key: TradeKey
    owner: str
    under_way: bool
    capital: tuple[HeldCapital, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRecord:
    """The durable side of the claims: trades that hold capital, and the newest epoch of each set.

    Trades that settled within the last hour are among them, with nothing held.
    """

    trades: tuple[LockedTrade, ...] = ()
    epochs: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLeg:
    """One leg of a set, as it is recorded with an epoch of the set.

    `epoch` is the leg's own, under which that run alone sends; so its orders' ids follow from it.
    """

    market: MarketId
    side: Side
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetEpoch:
    """One run of a set, on record before anything of it leaves. `owner` is whose it was."""

    epoch: int
    owner: str
    opened_at_ms: int
    legs: tuple[SetLeg, ...]
