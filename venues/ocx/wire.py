"""Payloads of OCX as typed values, and the pure steps from them to the desk's words.

Decoding raises msgspec.DecodeError (a ValueError) for whatever does not have the expected shape.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from desk.orders import Balance, Liquidity, VenueOrder
from desk.units import Level, Side
from venues.ocx.grid import Grid

UNKNOWN_UNIT = Decimal("0.00000001")
"""Unit of prices and sizes of markets that nobody listed to us."""
_SIDES = {"buy": Side.BUY, "sell": Side.SELL, "long": Side.BUY, "short": Side.SELL}
_GONE = frozenset({"filled", "cancelled", "canceled", "rejected", "expired"})
_KINDS = {"snapshot": "snapshot", "update": "change", "delta": "change", "error": "error"}


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    """Field names on the wire are camelCase; fields not listed are ignored."""


class WireLevel(_Wire, frozen=True, gc=False):
    """One price level of a book stream; `total` is not read."""

    price: str
    size: str


class WireBook(_Wire, frozen=True):
    """Body of a book event."""

    bids: list[WireLevel] = []
    asks: list[WireLevel] = []
    market_id: str | None = None


class WireBookEvent(_Wire, frozen=True):
    """A book event, in the envelope or bare."""

    event_type: str = ""
    event_seq: int | None = None
    payload: WireBook | None = None
    bids: list[WireLevel] = []
    asks: list[WireLevel] = []

    @property
    def book(self) -> "WireBook | WireBookEvent":
        """Where the levels are."""
        return self if self.payload is None else self.payload


class WireTrade(_Wire, frozen=True):
    """One fill of ours, from the stream (no ids, no fee) or from REST."""

    market_id: str
    side: str
    price: str
    quantity: str
    created_at: str | int
    liquidity: str = "maker"
    trade_id: str | None = None
    id: str | None = None
    order_id: str | None = None
    client_order_id: str | None = None
    fee: str | None = None

    @property
    def created_ms(self) -> int:
        """Unix milliseconds."""
        return unix_ms(self.created_at)


class WirePosition(_Wire, frozen=True):
    """One position; `quantity` is unsigned, or signed where no side is given."""

    market_id: str
    quantity: str
    id: str | None = None
    side: str = ""
    entry_price: str | None = None
    realized_pnl: str | None = None
    status: str = "open"

    @property
    def key(self) -> str:
        """What `removedIds` names; the market where the venue gives no id."""
        return self.id or self.market_id

    @property
    def held(self) -> Decimal:
        """Signed base units; zero once the position is no longer open."""
        if self.status.lower() in {"closed", "liquidated", "settled"}:
            return Decimal(0)
        quantity = Decimal(self.quantity)
        side = _SIDES.get(self.side.lower())
        return quantity if side is None else abs(quantity) * side.sign


class WireUser(_Wire, frozen=True):
    """Body of a user stream event: whole state in a snapshot, changes in a delta."""

    trades: list[WireTrade] = []
    positions: list[WirePosition] = []
    upserts: list[WirePosition] = []
    removed_ids: list[str] = []


class WireUserEvent(_Wire, frozen=True):
    """A user stream event in its envelope."""

    event_type: str = ""
    event_seq: int | None = None
    payload: WireUser = WireUser()


class WireStreamError(_Wire, frozen=True):
    """An `error` event; unwrapped here from an envelope when there is one."""

    code: str = ""
    message: str = ""
    retryable: bool = True
    payload: "WireStreamError | None" = None

    @property
    def told(self) -> "WireStreamError":
        """The error itself."""
        return self.payload or self


class WireOrder(_Wire, frozen=True):
    """One resting order as listed."""

    market_id: str
    side: str
    price: str
    order_id: str | None = None
    id: str | None = None
    client_order_id: str | None = None
    quantity: str | None = None
    filled_quantity: str | None = None
    remaining_quantity: str | None = None
    status: str = "open"
    reduce_only: bool = False

    @property
    def rests(self) -> bool:
        """Whether it may still fill; unknown status words count as resting."""
        return self.status.lower() not in _GONE

    @property
    def remaining(self) -> str:
        """Base units that may still fill."""
        if self.remaining_quantity is not None:
            return self.remaining_quantity
        if self.quantity is None:
            raise ValueError("an order was listed without quantity")
        return format(Decimal(self.quantity) - Decimal(self.filled_quantity or 0), "f")


class WireBalance(_Wire, frozen=True):
    """Collateral of the perps bucket."""

    equity: str | None = None
    available: str | None = None
    wallet_balance: str | None = None
    perps_balance: str | None = None
    maintenance_margin: str | None = None

    def balance(self) -> Balance:
        """The desk's words; ValueError when no figure is given."""
        equity = self.equity or self.wallet_balance or self.perps_balance
        if equity is None:
            raise ValueError("the balances hold no equity")
        kept = self.maintenance_margin
        return Balance(
            equity=Decimal(equity),
            available=Decimal(self.available or equity),
            maintenance=None if kept is None else Decimal(kept),
        )


decode_book_event = msgspec.json.Decoder(WireBookEvent).decode
decode_user_event = msgspec.json.Decoder(WireUserEvent).decode
decode_stream_error = msgspec.json.Decoder(WireStreamError).decode
decode_orders = msgspec.json.Decoder(list[WireOrder]).decode
decode_trades = msgspec.json.Decoder(list[WireTrade]).decode
decode_positions = msgspec.json.Decoder(list[WirePosition]).decode
decode_balance = msgspec.json.Decoder(WireBalance).decode


def event_kind(name: str, event_type: str) -> str:
    """`snapshot`, `change`, `error`, or `` for an event we do not know."""
    known = _KINDS.get(name)
    if known is not None:
        return known
    told = event_type.lower()
    return next((kind for ending, kind in _KINDS.items() if told.endswith(ending)), "")


def levels(raw: Sequence[WireLevel], prices: Grid, sizes: Grid) -> list[Level]:
    """Levels in ticks and lots, in the order given; ValueError for a price off the grid.

    Prices come again and are remembered, sizes hardly do. A size between two lots is rounded down.
    """
    read, point = sizes.read, sizes.point
    try:
        # What `read` does first, without the call: a book has hundreds of sizes, many of them "0".
        return [
            (
                prices[level.price],
                0
                if (size := level.size) == "0"
                else int(size.replace(".", "", 1))
                if size[point] == "."
                else read(size),
            )
            for level in raw
        ]
    except ValueError:
        return [(prices[level.price], sizes.floor(level.size)) for level in raw]


def side_of(text: str) -> Side:
    """Side of an order or a fill; ValueError for an unknown word."""
    side = _SIDES.get(text.lower())
    if side is None:
        raise ValueError(f"side {text!r} is unknown")
    return side


def liquidity_of(text: str) -> Liquidity:
    """Maker unless the venue says taker."""
    return Liquidity.TAKER if text.lower() == "taker" else Liquidity.MAKER


def unix_ms(moment: str | int) -> int:
    """Unix milliseconds of ISO-8601 text (UTC unless it says otherwise), or of a number of them."""
    if isinstance(moment, int) or moment.isdecimal():
        return int(moment)
    when = datetime.fromisoformat(moment)
    when = when.replace(tzinfo=when.tzinfo or UTC)
    gap = when - datetime(1970, 1, 1, tzinfo=UTC)
    return (gap.days * 86_400 + gap.seconds) * 1_000 + gap.microseconds // 1_000


def venue_order(order: WireOrder, grids: tuple[Grid, Grid] | None) -> VenueOrder:
    """A listed order; without grids (a market we do not know) in units of 1e-8."""
    prices, sizes = grids or (Grid(UNKNOWN_UNIT), Grid(UNKNOWN_UNIT))
    venue_id = order.order_id or order.id
    if venue_id is None:
        raise ValueError("an order was listed without an id")
    return VenueOrder(
        symbol=order.market_id,
        side=side_of(order.side),
        price=prices[order.price],
        remaining=sizes[order.remaining],
        venue_order_id=venue_id,
        client_order_id=order.client_order_id,
        reduce_only=order.reduce_only,
    )
