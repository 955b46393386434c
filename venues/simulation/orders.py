"""What accounts ask of the engine and what it answers. A rejection is a value, never an exception.

Prices are ticks, sizes lots of the market's instrument.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from desk.orders import RejectReason, TimeInForce
from desk.units import Lots, Side, Ticks
from venues.simulation.rules import SelfTrade


class OrderKind(StrEnum):
    """A market order is an immediate-or-cancel order without a price."""

    LIMIT = "limit"
    MARKET = "market"


class OrderSource(StrEnum):
    """Which door an order came through; `CancelScope.QUOTES_ONLY` looks at it."""

    ORDER = "order"
    QUOTE = "quote"


class OrderStatus(StrEnum):
    """Where an order stood when the answer was given."""

    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


class CancelScope(StrEnum):
    """Which of the account's orders on the market a replace takes away."""

    QUOTES_ONLY = "quotes_only"
    ALL_ON_MARKET = "all_on_market"


class RejectMode(StrEnum):
    """Whether one bad level refuses the whole ladder or only itself."""

    BATCH = "batch"
    PER_LEVEL = "per_level"


class OnReject(StrEnum):
    """What becomes of the old ladder when the new one is refused as a whole."""

    KEEP_OLD = "keep_old"
    CANCEL_OLD = "cancel_old"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """One order as asked for.

    `price` is None exactly for market orders. `tag` is the venue's batch id (`quoteId` at OCX).
    `margin_mode` is carried and can be cancelled by; the engine margins every account as a whole.
    `self_trade` is this order's own rule as a taker (None: the market's); `self_trade_wide` has it
    hold against all accounts of the same owner.
    """

    symbol: str
    side: Side
    lots: Lots
    price: Ticks | None = None
    kind: OrderKind = OrderKind.LIMIT
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    client_order_id: str | None = None
    tag: str | None = None
    source: OrderSource = OrderSource.ORDER
    margin_mode: str | None = None
    self_trade: SelfTrade | None = None
    self_trade_wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as it stands (or stood when it left). `created_ns` is wall time.

    `lots` is the size accepted (a reduce-only order may have been trimmed), `remaining` what can
    still fill; for an order just cancelled, what was still open.
    """

    order_id: str
    client_order_id: str | None
    account: str
    symbol: str
    side: Side
    price: Ticks
    lots: Lots
    remaining: Lots
    filled: Lots
    time_in_force: TimeInForce
    post_only: bool
    reduce_only: bool
    tag: str | None
    source: OrderSource
    margin_mode: str | None
    created_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """The engine's answer to one order.

    REJECTED: nothing happened, `order_id` is None, `reason` and `message` say why, `details` may
    hold figures as text (margin: `required`, `available`). CANCELLED: accepted, but what did not
    fill at once was dropped (IOC, FOK, market, self-trade); `reason` is NOT_FILLED when nothing
    filled. OPEN and PARTIALLY_FILLED rest with `remaining` lots. `average_price` is quote
    currency, None without a fill.
    """

    symbol: str
    client_order_id: str | None
    status: OrderStatus
    order_id: str | None = None
    filled: Lots = 0
    remaining: Lots = 0
    average_price: Decimal | None = None
    reason: RejectReason | None = None
    message: str = ""
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        """Whether the engine took the order."""
        return self.status is not OrderStatus.REJECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceReport:
    """Answer to a replace: what went, and one report for each level in the order asked.

    `accepted` is False when the ladder was refused as a whole; then `cancelled` is empty or not
    as `OnReject` says. Under RejectMode.BATCH the innocent levels of a refused ladder carry
    RejectReason.OTHER.
    """

    symbol: str
    tag: str | None
    accepted: bool
    cancelled: tuple[Order, ...]
    reports: tuple[OrderReport, ...]

    @property
    def cancelled_ids(self) -> tuple[str, ...]:
        """Order ids that went."""
        return tuple(order.order_id for order in self.cancelled)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapReport:
    """Answer to the replacement of one order. `old` is the old order as it left, None if it stays.

    A refused new order with `old` given means that both are gone.
    """

    report: OrderReport
    old: Order | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What the engine would answer to an order now, without placing it.

    `notional` and `margin_required` are quote currency; `report` is None when it would be taken.
    """

    approved: bool
    notional: Decimal
    margin_required: Decimal
    available: Decimal
    report: OrderReport | None
