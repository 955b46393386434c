"""What the ledger keeps. Times ending in `_ms` are unix milliseconds."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

from desk.arbitrage_records import TradeFired
from desk.identity import MarketId
from desk.orders import Fill, OutcomeKind
from desk.units import Lots, Side, Ticks

LOSS: Final = "loss:"
"""Before the scope of a kill that a loss limit set."""
BREAK: Final = "break:"
"""Before the scope of a kill that keeps a gate closed until a break is settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSent:
    """An order intent, recorded when it was handed to the venue.

    `tick_size` and `lot_size` say what its ticks and lots meant then; None when nobody knew.
    """

    market: MarketId
    epoch: int
    client_order_id: str
    batch_id: str
    side: Side
    price: Ticks
    lots: Lots
    reduce_only: bool
    sent_at_ms: int
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAnswered:
    """How the send of an order ended."""

    market: MarketId
    client_order_id: str
    kind: OutcomeKind
    venue_order_id: str | None
    message: str
    answered_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEnded:
    """An order that was accepted rests no more, as far as we know; `how` in a word."""

    market: MarketId
    client_order_id: str
    how: str
    ended_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FillSeen:
    """A fill, as heard; booked exactly once.

    `mid` is the market's mid when it was heard, quote currency; None when nobody watched. The last
    three say what its ticks and lots meant then, since a venue may change its instrument before
    the fill is booked; None means as the ledger knows the instrument when it books.
    """

    market: MarketId
    fill: Fill
    mid: Decimal | None = None
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None
    multiplier: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityMark:
    """PnL of a market at one moment, and its peak so far, in quote currency."""

    market: MarketId
    epoch: int
    pnl: Decimal
    peak: Decimal
    position: Lots
    mid: Decimal
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlDecision:
    """Why something was started, stopped, refused, flattened or killed, and by whom."""

    market: MarketId | None
    epoch: int | None
    kind: str
    reason: str
    by: str
    evidence: str
    at_ms: int


class KillEffect(StrEnum):
    """What a kill asks for.

    Cancel and stand down; flatten as well; take no new risk; or cancel and wait, because our books
    and the venue's differ, until the break is settled.
    """

    STOP = "stop"
    FLATTEN = "flatten"
    REDUCE = "reduce"
    HOLD = "hold"


class KillStage(StrEnum):
    """How far a market has come in answering a kill, in this order; `FLAT` only when asked."""

    REQUESTED = "requested"
    GATE_CLOSED = "gate_closed"
    CANCELS_SENT = "cancels_sent"
    LISTED_ZERO = "listed_zero"
    FLAT = "flat"


@dataclass(frozen=True, slots=True, kw_only=True)
class KillAnswer:
    """One stage of one market's answer to the kill set at `scope` and `set_at_ms`.

    The first word on a stage stands. `evidence` says in words what was seen.
    """

    scope: str
    set_at_ms: int
    market: MarketId
    stage: KillStage
    at_ms: int
    evidence: str = ""


LedgerRecord: TypeAlias = (
    OrderSent
    | OrderAnswered
    | OrderEnded
    | FillSeen
    | EquityMark
    | ControlDecision
    | KillAnswer
    | TradeFired
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFacts:
    """Folds over a market's booked fills, in lots and quote currency.

    `cash` is what the fills paid (sells positive, buys negative, multiplier included, fees apart),
    `funding` what was paid to us for holding a position. Adjustments that settled breaks are in
    `position` and `cash`.
    """

    fills: int
    position: Lots
    cash: Decimal
    fees: Decimal
    last_trade_ms: int | None
    peak_pnl: Decimal | None
    funding: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeObligation:
    """A hedge that is owed at market `hedge` for the inventory of market `source`; signed lots.

    `filled` is how far the ledger's position has moved since the opening. `discharged_by` is None
    while it is open, `fills` when the ledger showed it done, else the person who released it.
    """

    number: int
    source: MarketId
    hedge: MarketId
    epoch: int
    opening_owed: Lots
    opening_position: Lots
    owed: Lots
    filled: Lots
    opened_at_ms: int
    discharged_by: str | None = None
    reason: str = ""
    discharged_at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """A durable order to stop. Scope: `fleet`, `venue:V`, `account:V/A` or `market:V/A/S`.

    Loss limits set theirs at scopes of their own (`loss:fleet`, `loss:account:V/A`,
    `loss:market:V/A/S`), so that no other kill replaces them, and so do breaks between our books
    and the venue's (`break:account:V/A`, `break:market:V/A/S`, effect HOLD). `until_ms` is when
    one ends by itself, None for what only a named person lifts.
    """

    scope: str
    reason: str
    by: str
    at_ms: int
    effect: KillEffect = KillEffect.STOP
    until_ms: int | None = None

    def covers(self, market: MarketId) -> bool:
        """Whether this kill stops the given market."""
        return self.scope in kill_scopes(market)


@dataclass(frozen=True, slots=True, kw_only=True)
class LostLease:
    """A lease that expired and was never released: its orders may still rest at the venue."""

    market: MarketId
    epoch: int
    owner: str
    expired_at_ms: int


def kill_scopes(market: MarketId) -> tuple[str, ...]:
    """Scopes that cover a market, widest first."""
    account = f"account:{market.venue}/{market.account}"
    return (
        "fleet",
        f"{LOSS}fleet",
        f"venue:{market.venue}",
        account,
        f"{LOSS}{account}",
        f"{BREAK}{account}",
        f"market:{market.path}",
        f"{LOSS}market:{market.path}",
        f"{BREAK}market:{market.path}",
    )
