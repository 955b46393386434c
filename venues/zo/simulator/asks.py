"""Orders as asked for on the wire, read into the engine's words; the first checks of an order.

`PlaceOrder` and an Atomic's `TradeOrPlace` say the same thing with different messages.
"""

from dataclasses import dataclass

from desk.orders import TimeInForce
from desk.units import Side
from venues.simulation.orders import OrderKind, OrderRequest
from venues.zo.schema.nord_pb2 import FillMode, PlaceOrder, TradeOrPlace
from venues.zo.schema.nord_pb2 import Side as WireSide
from venues.zo.simulator.codes import Refusal
from venues.zo.simulator.listing import Listing
from venues.zo.simulator.settings import QuoteSizes, ReduceOnly, SimMarket

MOST_RESTING = (1 << 48) - 1
MOST_CLIENT_ID = (1 << 63) - 1
_FORCE: dict[int, TimeInForce] = {
    FillMode.LIMIT: TimeInForce.GTC,
    FillMode.POST_ONLY: TimeInForce.GTC,
    FillMode.IMMEDIATE_OR_CANCEL: TimeInForce.IOC,
    FillMode.FILL_OR_KILL: TimeInForce.FOK,
}
RESTING = (FillMode.LIMIT, FillMode.POST_ONLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One order. Price and size are raw integers, 0 when not set; `quote` is (first, second)."""

    market_id: int
    side: int
    fill_mode: int
    reduce_only: bool
    price: int
    size: int
    quote: tuple[int, int] | None
    client_order_id: int | None
    tracking_id: int | None = None

    @property
    def takes_only(self) -> bool:
        """Whether it never rests (a trade in the words of atomics)."""
        return self.fill_mode not in RESTING


def single(message: PlaceOrder) -> Ask:
    """A single order."""
    return Ask(
        market_id=message.market_id,
        side=message.side,
        fill_mode=message.fill_mode,
        reduce_only=message.is_reduce_only,
        price=message.price,
        size=message.size,
        quote=_quote(message),
        client_order_id=message.client_order_id if message.HasField("client_order_id") else None,
        tracking_id=(
            message.sender_tracking_id if message.HasField("sender_tracking_id") else None
        ),
    )


def part(message: TradeOrPlace) -> Ask:
    """An order of an atomic; Refusal when it lacks a sub-message."""
    if not message.HasField("order_type"):
        raise Refusal("DECODE_FAILURE_DOMAIN", "a trade or place has no order type")
    if not message.HasField("limit"):
        raise Refusal("ORDER_EXECUTION_MISSING_LIMITS", "a trade or place has no limits")
    kind, limit = message.order_type, message.limit
    return Ask(
        market_id=message.market_id,
        side=kind.side,
        fill_mode=kind.fill_mode,
        reduce_only=kind.is_reduce_only,
        price=limit.price,
        size=limit.size,
        quote=(limit.quote_size.lo, limit.quote_size.hi) if limit.HasField("quote_size") else None,
        client_order_id=message.client_order_id if message.HasField("client_order_id") else None,
    )


def read(listing: Listing, ask: Ask) -> OrderRequest:
    """The order for the engine; Refusal when it breaks a rule of its own (zo.md section 4.4)."""
    market = listing.by_id(ask.market_id)
    if market is None:
        raise Refusal("MARKET_NOT_FOUND", f"no market {ask.market_id}")
    if ask.side not in WireSide.values() or ask.fill_mode not in FillMode.values():
        raise Refusal("DECODE_FAILURE_DOMAIN", "side or fill mode is unknown")
    _client_id(ask)
    _mode(listing, market, ask)
    lots = _lots(listing, ask)
    if ask.fill_mode in RESTING and lots > MOST_RESTING:
        raise Refusal("ORDER_EXECUTION_SIZE_LIMIT", "a resting size is below 2^48")
    return OrderRequest(
        symbol=market.symbol,
        side=Side.BUY if ask.side == WireSide.BID else Side.SELL,
        lots=lots,
        price=ask.price or None,
        kind=OrderKind.LIMIT if ask.price else OrderKind.MARKET,
        time_in_force=_FORCE[ask.fill_mode],
        post_only=ask.fill_mode == FillMode.POST_ONLY,
        reduce_only=ask.reduce_only,
        client_order_id=None if ask.client_order_id is None else str(ask.client_order_id),
    )


def _client_id(ask: Ask) -> None:
    if ask.client_order_id is not None and ask.client_order_id > MOST_CLIENT_ID:
        raise Refusal("CLIENT_ORDER_ID_TOO_LARGE", "a client order id is below 2^63")


def _mode(listing: Listing, market: SimMarket, ask: Ask) -> None:
    if market.mode == "rfq":
        raise Refusal("ACTION_NOT_ALLOWED", f"{market.symbol} takes no limit orders")
    if not (ask.price or ask.size or ask.quote):
        raise Refusal("ORDER_EXECUTION_MISSING_LIMITS", "neither price nor size is given")
    if ask.fill_mode in RESTING and not ask.price:
        raise Refusal("ORDER_EXECUTION_MISSING_PRICE", "an order that may rest needs a price")
    if not ask.reduce_only:
        return
    match listing.settings.actions.reduce_only:
        case ReduceOnly.IMMEDIATE:
            if ask.fill_mode in RESTING:
                raise Refusal("ONLY_IMMEDIATE_ORDERS_ALLOWED", "reduce-only orders are immediate")
        case ReduceOnly.POST_ONLY:
            if ask.fill_mode != FillMode.POST_ONLY:
                raise Refusal("ORDER_REDUCE_IS_POST_ONLY", "reduce-only orders are post-only")
        case ReduceOnly.ANY:
            pass


def _lots(listing: Listing, ask: Ask) -> int:
    """Raw size to place: the smaller of what size and quote size allow."""
    lots = ask.size
    if ask.quote is not None and any(ask.quote):
        quoted = _quoted(listing, ask.quote)
        if not ask.price:
            raise Refusal("NOT_IMPLEMENTED", "a quote size needs a price in this simulator")
        lots = min(lots or quoted, quoted // ask.price)
    if lots <= 0:
        raise Refusal("ORDER_SIZE_ZERO", "the size is zero")
    return lots


def _quoted(listing: Listing, quote: tuple[int, int]) -> int:
    """Quote amount in price and size decimals together."""
    low, high = quote
    if listing.settings.actions.quote_sizes is QuoteSizes.PRICE_AND_SIZE:
        return low * high
    return high << 64 | low


def _quote(message: PlaceOrder) -> tuple[int, int] | None:
    if not message.HasField("quote_size"):
        return None
    return message.quote_size.lo, message.quote_size.hi
