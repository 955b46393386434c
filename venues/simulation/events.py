"""What happened in an engine, in one order, for streams to serve and for tests to judge by.

Every event carries the engine's sequence number and its wall time in nanoseconds.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from desk.orders import RejectReason, TimeInForce
from desk.units import Lots, Side, Ticks
from venues.simulation.orders import OrderSource


class CancelReason(StrEnum):
    """Why an order left the book (or never rested) without being filled."""

    ASKED = "asked"
    REPLACED = "replaced"
    NOT_FILLED = "not_filled"
    SELF_TRADE = "self_trade"
    REDUCE_ONLY = "reduce_only"
    LIQUIDATION = "liquidation"
    EXPIRED = "expired"
    TIMED_OUT = "timed_out"
    REPLACE_FAILED = "replace_failed"
    DEAD_MAN = "dead_man"
    UNFUNDED = "unfunded"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAccepted:
    """An order was taken; it comes before the order's own trades."""

    sequence: int
    at_ns: int
    account: str
    symbol: str
    order_id: str
    client_order_id: str | None
    side: Side
    price: Ticks | None
    lots: Lots
    time_in_force: TimeInForce
    post_only: bool
    reduce_only: bool
    tag: str | None
    source: OrderSource


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRejected:
    """An order was refused; nothing else happened."""

    sequence: int
    at_ns: int
    account: str
    symbol: str
    client_order_id: str | None
    reason: RejectReason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled:
    """`lots` of an order went unfilled; `remaining` above zero means it was only trimmed."""

    sequence: int
    at_ns: int
    account: str
    symbol: str
    order_id: str
    client_order_id: str | None
    reason: CancelReason
    lots: Lots
    remaining: Lots


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One execution with both sides. `aggressor` is the taker's side; remaining is after it."""

    sequence: int
    at_ns: int
    symbol: str
    trade_id: str
    price: Ticks
    lots: Lots
    aggressor: Side
    maker: str
    maker_order_id: str
    maker_client_order_id: str | None
    maker_trade_id: str
    maker_fee: Decimal
    maker_remaining: Lots
    taker: str
    taker_order_id: str
    taker_client_order_id: str | None
    taker_trade_id: str
    taker_fee: Decimal
    taker_remaining: Lots


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionChanged:
    """An account's position after a fill or a settlement; `entry_price` is None when flat."""

    sequence: int
    at_ns: int
    account: str
    symbol: str
    position_id: str
    lots: Lots
    entry_price: Decimal | None
    realized_pnl: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingPaid:
    """`amount` quote currency was received (negative: paid) on `lots` at `rate` of notional.

    `payment` is its number in `engine.treasury.payments`.
    """

    sequence: int
    at_ns: int
    account: str
    payment: int
    symbol: str
    rate: Decimal
    lots: Lots
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyMoved:
    """The perps bucket received (negative: gave) money from outside or from another bucket.

    `payment` is its number in `engine.treasury.payments`.
    """

    sequence: int
    at_ns: int
    account: str
    payment: int
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidated:
    """An account fell below maintenance; figures are before closing, `shortfall` was insured."""

    sequence: int
    at_ns: int
    account: str
    equity: Decimal
    maintenance_margin: Decimal
    shortfall: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The venue closed a position at the end of its market, by an execution of its own.

    `side` is the account's; `paid` is quote currency it got (negative: gave) for its `lots`.
    """

    sequence: int
    at_ns: int
    account: str
    symbol: str
    trade_id: str
    side: Side
    price: Ticks
    lots: Lots
    paid: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdLeft:
    """A fault took `lots` of the crowd's on `side` away before an account's order arrived.

    `left` is what the order still found within its limit; `cause` is the fault's kind.
    """

    sequence: int
    at_ns: int
    account: str
    symbol: str
    client_order_id: str | None
    side: Side
    lots: Lots
    left: Lots
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeShown:
    """From now on the crowd is `ticks` better to takers of `side` than its fair price; 0: over."""

    sequence: int
    at_ns: int
    symbol: str
    side: Side
    ticks: Ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerHeld:
    """A fault kept the answer to an account's order back, which was applied by then."""

    sequence: int
    at_ns: int
    account: str
    symbol: str
    delay_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerSet:
    """An account's dead-man timer was armed for `due_ns` (wall time), or disarmed (None)."""

    sequence: int
    at_ns: int
    account: str
    due_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired:
    """An account's dead-man timer ran out; its resting `orders` (how many) were cancelled first."""

    sequence: int
    at_ns: int
    account: str
    orders: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookChanged:
    """The visible book of a market changed; at most one per call. Not kept in the log."""

    symbol: str
    book_sequence: int
    at_ns: int


LoggedEvent: TypeAlias = (
    OrderAccepted
    | OrderRejected
    | OrderCancelled
    | Trade
    | PositionChanged
    | FundingPaid
    | MoneyMoved
    | Liquidated
    | Settled
    | CrowdLeft
    | EdgeShown
    | AnswerHeld
    | TimerSet
    | TimerFired
)
Event: TypeAlias = LoggedEvent | BookChanged
