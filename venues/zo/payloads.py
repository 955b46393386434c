"""The venue's JSON as typed values, numbers as exact decimals (zo.md sections 2 and 3).

Decoding raises msgspec.DecodeError (a ValueError) for whatever does not have the expected shape.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeAlias

import msgspec

from desk.units import Level, Side
from venues.zo.scale import Scale

_SIDES = {"bid": Side.BUY, "ask": Side.SELL}
Pair: TypeAlias = tuple[Decimal, Decimal]


class _Camel(msgspec.Struct, frozen=True, rename="camel"):
    """Field names on the wire are camelCase; fields not listed are ignored."""


class WireLevel(msgspec.Struct, frozen=True, gc=False):
    """A level written as an object, as some texts of the venue have it."""

    price: Decimal
    size: Decimal


class WireBook(_Camel, frozen=True):
    """Body of `/market/{id}/orderbook`."""

    update_id: int
    asks: list[Pair]
    bids: list[Pair]


class WireDelta(msgspec.Struct, frozen=True):
    """Changed levels; sizes are absolute, zero removes."""

    update_id: int
    market_symbol: str
    last_update_id: int = 0
    bids: list[Pair] = []
    asks: list[Pair] = []


class WireFill(msgspec.Struct, frozen=True):
    """One of our orders was filled: `quantity` in this update, `remaining` after it."""

    quantity: Decimal
    market_id: int
    side: str | None = None
    remaining: Decimal | None = None
    price: Decimal | None = None
    maker_id: int | None = None
    taker_id: int | None = None


class WirePlace(msgspec.Struct, frozen=True):
    """One of our orders rests, or rested until this update."""

    current_size: Decimal
    market_id: int
    side: str | None = None
    price: Decimal | None = None
    client_order_id: int | None = None


class WireAccountUpdate(msgspec.Struct, frozen=True):
    """News of one account; the maps go by order id."""

    update_id: int
    account_id: int
    last_update_id: int = 0
    fills: dict[str, WireFill] = {}
    places: dict[str, WirePlace] = {}
    cancels: dict[str, WirePlace] = {}


class WireFrame(msgspec.Struct, frozen=True):
    """One frame: whichever key is present says what it is.

    Trades and candles are only signs of life here, so their many shapes are not read.
    """

    delta: WireDelta | None = None
    account: WireAccountUpdate | None = None


class _WideDelta(WireDelta, frozen=True):
    bids: list[WireLevel] = []  # type: ignore[assignment]
    asks: list[WireLevel] = []  # type: ignore[assignment]


class _WideFrame(msgspec.Struct, frozen=True):
    delta: _WideDelta


class WireOrder(_Camel, frozen=True):
    """One open order; `size` is what remains."""

    order_id: int | str
    market_id: int
    side: str
    size: Decimal
    price: Decimal
    original_order_size: Decimal | None = None
    client_order_id: int | None = None


class WirePerp(_Camel, frozen=True):
    """A holding; the sign of `base_size` is not to be trusted (zo.md section 2.4.1)."""

    base_size: Decimal
    is_long: bool
    price: Decimal | None = None
    size_price_pnl: Decimal | None = None
    trading_pnl: Decimal | None = None

    @property
    def held(self) -> Decimal:
        """Signed base units."""
        return abs(self.base_size) if self.is_long else -abs(self.base_size)


class WirePosition(_Camel, frozen=True):
    """One market's position; without `perp` there are only open orders."""

    market_id: int
    perp: WirePerp | None = None


class WireMargins(msgspec.Struct, frozen=True):
    """Absolute US dollars (zo.md section 8)."""

    omf: Decimal
    mf: Decimal
    imf: Decimal
    cmf: Decimal
    mmf: Decimal
    bankruptcy: bool = False


class WireAccount(_Camel, frozen=True):
    """Body of `/account/{id}`."""

    update_id: int
    orders: list[WireOrder]
    positions: list[WirePosition]
    margins: WireMargins


class WireTrade(_Camel, frozen=True):
    """One trade of the market; `order_id` is taken for the maker's (zo.md section 4.3)."""

    time: str
    action_id: int | str
    trade_id: int | str
    taker_id: int
    taker_side: str
    maker_id: int
    market_id: int
    order_id: int | str
    price: Decimal
    base_size: Decimal

    @property
    def traded_ms(self) -> int:
        """Unix milliseconds."""
        return unix_ms(self.time)


class WireTrades(_Camel, frozen=True):
    """One page, newest first; without `next_start_inclusive` it is the last."""

    items: list[WireTrade]
    next_start_inclusive: int | str | None = None


class WirePerpStats(msgspec.Struct, frozen=True):
    """Perpetual part of the statistics."""

    mark_price: Decimal | None = None
    funding_rate: Decimal | None = None


class WireStats(_Camel, frozen=True):
    """Body of `/market/{id}/stats`; anything may be null (zo.md section 2.3)."""

    index_price: Decimal | None = None
    frozen: bool | None = None
    perp_stats: WirePerpStats | None = None

    @property
    def mark(self) -> Decimal | None:
        """The mark price, else the index, else nothing."""
        told = None if self.perp_stats is None else self.perp_stats.mark_price
        return self.index_price if told is None else told


decode_book = msgspec.json.Decoder(WireBook).decode
decode_account = msgspec.json.Decoder(WireAccount).decode
decode_trades = msgspec.json.Decoder(WireTrades).decode
decode_stats = msgspec.json.Decoder(WireStats).decode
_decode_frame = msgspec.json.Decoder(WireFrame).decode
_decode_wide = msgspec.json.Decoder(_WideFrame).decode


def decode_frame(data: bytes) -> WireFrame:
    """One stream frame, levels as pairs or as objects (zo.md section 3.2)."""
    try:
        return _decode_frame(data)
    except msgspec.ValidationError:
        wide = _decode_wide(data).delta
    return WireFrame(
        delta=WireDelta(
            update_id=wide.update_id,
            market_symbol=wide.market_symbol,
            last_update_id=wide.last_update_id,
            bids=[(level.price, level.size) for level in wide.bids],
            asks=[(level.price, level.size) for level in wide.asks],
        )
    )


def levels(raw: list[Pair], prices: Scale, sizes: Scale) -> list[Level]:
    """Levels in ticks and lots; a size between two lots is rounded down.

    ValueError for a price off the grid.
    """
    return [(prices[price], sizes.floor(size)) for price, size in raw]


def side_of(text: str) -> Side:
    """Side of an order; ValueError for an unknown word."""
    side = _SIDES.get(text.lower())
    if side is None:
        raise ValueError(f"side {text!r} is unknown")
    return side


def unix_ms(moment: str) -> int:
    """Unix milliseconds of RFC 3339 text, UTC unless it says otherwise."""
    when = datetime.fromisoformat(moment)
    gap = when.replace(tzinfo=when.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (gap.days * 86_400 + gap.seconds) * 1_000 + gap.microseconds // 1_000


def rfc3339(ms: int) -> str:
    """RFC 3339 text of unix milliseconds."""
    seconds, rest = divmod(ms, 1_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03}Z"
