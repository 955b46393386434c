"""Payloads of X10 as typed values, and the pure steps from them to the desk's words.

Decoding raises msgspec.DecodeError (a ValueError) for what has not the expected shape; unknown
fields, unknown words and both spellings of a time are no reason to fail (x10.md section 21).
"""

from decimal import Decimal
from typing import Generic, TypeVar

import msgspec

from desk.orders import Balance, RejectReason, VenueOrder
from desk.units import Side
from venues.x10.grid import Grid

T = TypeVar("T")
UNKNOWN_GRID = Decimal("0.00000001")
_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL, "LONG": Side.BUY, "SHORT": Side.SELL}
_GONE = frozenset({"FILLED", "CANCELLED", "EXPIRED", "REJECTED"})
_RESTING = frozenset({"NEW", "PARTIALLY_FILLED", "UNTRIGGERED", "TRIGGERED"})
_R = RejectReason
_REASONS = {
    "POST_ONLY_FAILED": _R.POST_ONLY,
    "NO_LIQUIDITY": _R.NOT_FILLED,
    "REDUCE_ONLY_FAILED": _R.REDUCE_ONLY,
    "PREV_ORDER_NOT_FOUND": _R.UNKNOWN_ORDER,
    "PREV_ORDER_TRIGGERED": _R.UNKNOWN_ORDER,
    "PREV_ORDER_CONFLICT": _R.UNKNOWN_ORDER,
    "UNKNOWN_MARKET": _R.UNKNOWN_MARKET,
    "DISABLED_MARKET": _R.HALTED,
    "UNKNOWN_ACCOUNT": _R.AUTH,
    "NOT_ENOUGH_FUNDS": _R.MARGIN,
    "INVALID_LEVERAGE": _R.MARGIN,
    "NEGATIVE_EQUITY": _R.MARGIN,
    "ACCOUNT_LIQUIDATION": _R.MARGIN,
    "INVALID_FEE": _R.INVALID,
    "INVALID_QTY": _R.INVALID,
    "INVALID_PRICE": _R.INVALID,
    "INVALID_VALUE": _R.INVALID,
    "INVALID_EXPIRE_TIME": _R.INVALID,
    "POST_ONLY_MODE": _R.HALTED,
    "REDUCE_ONLY_MODE": _R.HALTED,
    "TRADING_OFF_MODE": _R.HALTED,
    "ORDER_REPLACED": None,
}
_SILENT = frozenset({"", "NONE", "UNKNOWN"})


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    """Field names on the wire are camelCase; fields not listed are ignored."""


class Page(_Wire, frozen=True):
    """Where a list goes on: the last id given."""

    cursor: int | None = None
    count: int | None = None


class Reply(msgspec.Struct, Generic[T], frozen=True):
    """The envelope of a successful answer (section 4.1)."""

    data: T
    status: str = "OK"
    pagination: Page | None = None


class WireOrder(_Wire, frozen=True):
    """One order, listed or pushed (section 11.1)."""

    id: int
    market: str
    side: str
    status: str
    qty: str
    external_id: str | None = None
    price: str | None = None
    filled_qty: str | None = None
    status_reason: str | None = None
    reduce_only: bool = False

    @property
    def gone(self) -> bool:
        """Whether it certainly cannot fill any more."""
        return self.status in _GONE

    @property
    def rests(self) -> bool:
        """Whether the venue says in a word we know that it may still fill."""
        return self.status in _RESTING

    @property
    def filled(self) -> str:
        """Base units filled so far."""
        return self.filled_qty or "0"

    @property
    def remaining(self) -> Decimal:
        """Base units that may still fill."""
        return Decimal(0) if self.gone else Decimal(self.qty) - Decimal(self.filled)

    @property
    def why(self) -> RejectReason | None:
        """Why it ended without our asking; None where we asked, or nobody says."""
        if not self.gone or self.status == "FILLED":
            return None
        told = self.status_reason or ""
        if told in _REASONS:
            return _REASONS[told]
        if told in _SILENT:
            return None if self.status == "CANCELLED" else _R.OTHER
        return _R.OTHER


class WireTrade(_Wire, frozen=True):
    """One fill of ours; `external_order_id` comes on the stream only (section 11.4)."""

    id: int
    market: str
    side: str
    price: str
    qty: str
    created_time: int
    order_id: int | None = None
    external_order_id: str | None = None
    fee: str | None = None
    is_taker: bool | None = None


class WirePosition(_Wire, frozen=True):
    """One position; `size` is unsigned (section 11.2)."""

    market: str
    side: str
    size: str
    status: str = "OPENED"
    open_price: str | None = None
    realised_pnl: str | None = None
    updated_at: int | None = None
    updated_time: int | None = None

    @property
    def told_ms(self) -> int:
        """Venue time of this news, in either of its spellings; 0 when it gives none."""
        return self.updated_time or self.updated_at or 0

    @property
    def held(self) -> Decimal:
        """Signed base units; zero once the position is closed."""
        if self.status == "CLOSED":
            return Decimal(0)
        return abs(Decimal(self.size)) * side_of(self.side).sign


class WireBalance(_Wire, frozen=True):
    """Collateral of the account (section 11.3)."""

    equity: str
    available_for_trade: str
    exposure: str | None = None
    margin_ratio: str | None = None
    """Maintenance margin over equity (section 18)."""

    def balance(self) -> Balance:
        """The desk's words."""
        equity, ratio = Decimal(self.equity), self.margin_ratio
        return Balance(
            equity=equity,
            available=Decimal(self.available_for_trade),
            exposure=None if self.exposure is None else Decimal(self.exposure),
            maintenance=None if ratio is None else Decimal(ratio) * equity,
        )


class WireAccountData(_Wire, frozen=True):
    """Body of an account message: whole state when `is_snapshot`, changes otherwise."""

    is_snapshot: bool = False
    orders: list[WireOrder] = []
    trades: list[WireTrade] = []
    positions: list[WirePosition] = []


class WireAccount(msgspec.Struct, frozen=True):
    """An account message in its envelope (section 12.1)."""

    seq: int
    type: str = ""
    data: WireAccountData | None = None
    error: object = None


class _Kind(msgspec.Struct, frozen=True):
    """What every stream message has, whatever its data."""

    seq: int
    type: str = ""


class Placed(_Wire, frozen=True):
    """Answer to an order: accepted, not booked (section 1)."""

    id: int | None = None
    external_id: str | None = None


class WireAccountInfo(_Wire, frozen=True):
    """Who the API key belongs to."""

    l2_key: str | None = None
    l2_vault: int | str | None = None
    status: str | None = None


_KNOWN_TYPES = frozenset({"ORDER", "TRADE", "POSITION"})
_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_account = msgspec.json.Decoder(WireAccount).decode
decode_placed = msgspec.json.Decoder(Reply[Placed]).decode
decode_orders = msgspec.json.Decoder(Reply[list[WireOrder]]).decode
decode_trades = msgspec.json.Decoder(Reply[list[WireTrade]]).decode
decode_positions = msgspec.json.Decoder(Reply[list[WirePosition]]).decode
decode_balance = msgspec.json.Decoder(Reply[WireBalance]).decode
decode_info = msgspec.json.Decoder(Reply[WireAccountInfo]).decode


def decode_account(data: bytes) -> WireAccount:
    """An account message; what does not concern orders, fills and positions keeps only `seq`."""
    kind = _decode_kind(data)
    if kind.type not in _KNOWN_TYPES:
        return WireAccount(seq=kind.seq, type=kind.type)
    return _decode_account(data)


def side_of(text: str) -> Side:
    """Side of an order, a fill or a position; ValueError for an unknown word."""
    side = _SIDES.get(text.upper())
    if side is None:
        raise ValueError(f"side {text!r} is unknown")
    return side


def venue_order(order: WireOrder, grids: tuple[Grid, Grid] | None) -> VenueOrder:
    """A listed order; without grids (a market we do not know) in units of 1e-8."""
    prices, sizes = grids or (Grid(UNKNOWN_GRID), Grid(UNKNOWN_GRID))
    return VenueOrder(
        symbol=order.market,
        side=side_of(order.side),
        price=prices.floor(order.price or "0"),
        remaining=sizes.read(format(order.remaining, "f")),
        venue_order_id=str(order.id),
        client_order_id=order.external_id or None,
        reduce_only=order.reduce_only,
    )
