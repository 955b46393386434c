"""Order operations and their outcomes.

A send ends accepted, rejected, denied (by us) or unresolved. Unresolved is never repeated blindly:
it blocks its slot until the venue was asked, or a cancel-all was confirmed.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from desk.identity import Slot
from desk.units import Lots, Side, Ticks


class TimeInForce(StrEnum):
    """How long an order may live."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """One limit order we would like to place. `replaces` names the order it stands in for."""

    client_order_id: str
    slot: Slot
    side: Side
    price: Ticks
    lots: Lots
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = True
    reduce_only: bool = False
    replaces: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Order operations of one market that belong together.

    `replace_all` asks for an atomic replace of everything we have resting in this market (OCX
    `quotes/bulk` with `cancelAll`); otherwise `cancels` names what goes. Venues that cannot do it
    atomically send cancels before places. `at_once`: its orders are worth something only together
    with others of this moment, so exits leave now or not at all as well.
    """

    batch_id: str
    symbol: str
    orders: tuple[NewOrder, ...]
    cancels: tuple[str, ...] = ()
    replace_all: bool = False
    at_once: bool = False


class OutcomeKind(StrEnum):
    """How a send ended."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DENIED = "denied"
    UNRESOLVED = "unresolved"


class RejectReason(StrEnum):
    """Why a venue refused, in words all venues share; `NOT_SENT`: the venue was never asked."""

    POST_ONLY = "post_only_would_take"
    MARGIN = "insufficient_margin"
    DUPLICATE = "duplicate_client_order_id"
    RATE_LIMITED = "rate_limited"
    AUTH = "not_authenticated"
    FORBIDDEN = "forbidden"
    UNKNOWN_MARKET = "unknown_market"
    UNKNOWN_ORDER = "unknown_order"
    HALTED = "market_halted"
    PRICE_BAND = "outside_price_band"
    REDUCE_ONLY = "reduce_only_would_increase"
    INVALID = "invalid_request"
    NOT_FILLED = "not_filled"
    NOT_SENT = "not_sent"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderOutcome:
    """The venue's answer for one order. `filled` lots are those filled at once, if it said so.

    `replaced_gone` speaks of the order that this one `replaces`: True when it certainly rests no
    more (how much of it was filled may be unknown), False when it certainly still rests, None when
    unknown, or told later by order updates.
    """

    client_order_id: str
    kind: OutcomeKind
    venue_order_id: str | None = None
    reason: RejectReason | None = None
    message: str = ""
    filled: Lots | None = None
    replaced_gone: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutcome:
    """The venue's answer for a batch.

    `old_gone`: True when what the batch was to cancel certainly rests no more, False when it
    certainly still does, None when unknown. Times are monotonic: bytes handed to the socket, and
    answer read (None without an answer).
    """

    batch_id: str
    orders: tuple[OrderOutcome, ...]
    old_gone: bool | None
    sent_ns: int
    answered_ns: int | None = None
    retry_after_s: float | None = None

    @property
    def unresolved(self) -> bool:
        """Whether anything about the batch is unknown."""
        return self.old_gone is None or any(
            order.kind is OutcomeKind.UNRESOLVED for order in self.orders
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOutcome:
    """Answer to a cancel: `confirmed` means the venue said so; only listing proves it."""

    confirmed: bool
    cancelled: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order resting at the venue, as the venue lists it."""

    symbol: str
    side: Side
    price: Ticks
    remaining: Lots
    venue_order_id: str
    client_order_id: str | None
    reduce_only: bool = False


class Liquidity(StrEnum):
    """Who was resting."""

    MAKER = "maker"
    TAKER = "taker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution of ours, unique by venue, account and trade id.

    `trade_id` is the venue's, or derived deterministically where a venue gives none (said by the
    adapter). `fee` is quote currency, positive when paid; `fee_estimated` when from the fee tier.
    `traded_at_ms` is the venue's wall clock, unix milliseconds.
    """

    venue: str
    account: str
    symbol: str
    trade_id: str
    side: Side
    price: Ticks
    lots: Lots
    liquidity: Liquidity
    fee: Decimal
    fee_estimated: bool
    traded_at_ms: int
    client_order_id: str | None = None
    venue_order_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VenuePosition:
    """Signed holding as the venue states it; `entry_price` is None when flat or not given."""

    symbol: str
    lots: Lots
    entry_price: Decimal | None = None
    realized_pnl: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Collateral of the account in quote currency.

    `exposure` is the unsigned worth of all its positions, None where it cannot be known.
    `maintenance` is what the venue requires to keep them: it liquidates when equity is less. None
    where it does not say.
    """

    equity: Decimal
    available: Decimal
    exposure: Decimal | None = None
    maintenance: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSnapshot:
    """First word of an account stream after (re)connecting: position and recent fills."""

    position: VenuePosition
    fills: tuple[Fill, ...]
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """Later words of an account stream: new fills and, if it changed, the position."""

    fills: tuple[Fill, ...]
    position: VenuePosition | None
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUpdate:
    """State of one order, pushed by venues that do; OCX does not (ocx.md section 5.4).

    `filled` lots are all that the venue filled of it so far; the fills themselves come as fills,
    before or after this. `reason` says why an order that was accepted ended without our asking.
    """

    client_order_id: str
    venue_order_id: str | None
    remaining: Lots
    filled: Lots
    resting: bool
    reason: RejectReason | None
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAlive:
    """The account stream said something without news (a heartbeat)."""

    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLost:
    """Fills and positions are no longer heard; nothing may be quoted until the next snapshot."""

    reason: str
    received_ns: int


AccountEvent: TypeAlias = AccountSnapshot | AccountChange | OrderUpdate | AccountAlive | AccountLost
