"""What looking at a set gives: an opportunity that says all an execution needs, or a reason not to.

Every amount is counted before anything is sent, and from the worst price an order may take.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from desk.identity import MarketId
from desk.units import Lots, Side, Ticks


class Aim(StrEnum):
    """What is done with a set: take it, or sell complete ones held before they settle."""

    TAKE = "take"
    UNWIND = "unwind"


class PassReason(StrEnum):
    """Why a set is left alone."""

    NO_EDGE = "no_edge"
    STALE_LEG = "stale_leg"
    SKEWED = "skewed"
    NO_SIDE = "no_side"
    TOO_SMALL = "too_small"
    CAPPED = "capped"
    EXPOSURE = "exposure"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLeg:
    """One leg's order: immediate-or-cancel, `lots` at `limit` or better.

    `shown` are the lots displayed at the prices walked through, of which `lots` are taken. `cost`
    is the expected unsigned value at the displayed prices and `fee` the taker's fee on it, both in
    the leg's quote currency. `locks` is what the order needs of `currency` if filled at its limit,
    fee included; zero for what only sells what is held.
    """

    market: MarketId
    side: Side
    lots: Lots
    limit: Ticks
    shown: Lots
    cost: Decimal
    fee: Decimal
    locks: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opportunity:
    """A set worth taking now. Amounts are `currency`: the set's quote, or a triangle's start.

    `units` are base units of each outcome, or the start currency that goes round. `edge` is what
    one unit brings when every leg pays its limit and all costs; `gain` is what all of them bring
    at the displayed prices after fees. `capital` is locked until the payout (for a triangle: goes
    round). `exposure` is the most that some of the legs, filled without the others, lose when
    traded back at the budgeted slippage. `skew_ns` is between the first and last word of the legs.
    """

    name: str
    aim: Aim
    way: str
    units: Decimal
    edge: Decimal
    gain: Decimal
    capital: Decimal
    exposure: Decimal
    currency: str
    skew_ns: int
    legs: tuple[PlannedLeg, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A set left alone, and why: one word for counting, one sentence for people."""

    name: str
    aim: Aim
    way: str
    reason: PassReason
    sentence: str


Verdict: TypeAlias = Opportunity | Passed
