"""Gate: an order must make sense at all: right market, positive price and lots, inside the band."""

from decimal import Decimal

from desk.orders import Batch, NewOrder
from desk.risk.context import GateContext, GateLimits
from desk.risk.reasons import DenialReason, Denied, Figure
from desk.units import Ticks


def sanity(batch: Batch, context: GateContext) -> Denied | None:
    """Deny what no venue could accept.

    Reduce-only orders may be smaller than the minimum: venues take them to close a remainder.
    """
    limits = context.limits
    instrument = limits.instrument
    if batch.symbol != instrument.symbol:
        return Denied(
            reason=DenialReason.MARKET,
            limit=instrument.symbol,
            value=batch.symbol,
            message=f"a batch for {batch.symbol} cannot be judged by limits of {instrument.symbol}",
        )
    for order in batch.orders:
        if order.slot.side is not order.side:
            return _denied(DenialReason.SLOT, order, order.slot.side, order.side, "side")
        denied = _price(order, instrument.band_low, instrument.band_high) or _size(order, limits)
        if denied is not None:
            return denied
    return None


def _price(order: NewOrder, low: Ticks | None, high: Ticks | None) -> Denied | None:
    price = order.price
    if price <= 0:
        return _denied(DenialReason.PRICE, order, 1, price, "price in ticks")
    if low is not None and price < low:
        return _denied(DenialReason.BAND, order, low, price, "price in ticks")
    if high is not None and price > high:
        return _denied(DenialReason.BAND, order, high, price, "price in ticks")
    return None


def _size(order: NewOrder, limits: GateLimits) -> Denied | None:
    lots = order.lots
    if lots <= 0:
        return _denied(DenialReason.LOTS, order, 1, lots, "size in lots")
    if order.reduce_only:
        return None
    instrument = limits.instrument
    if lots < instrument.min_lots:
        return _denied(DenialReason.MIN_SIZE, order, instrument.min_lots, lots, "size in lots")
    if order.price * lots < limits.min_notional:
        notional: Decimal = instrument.notional(order.price, lots)
        return _denied(
            DenialReason.MIN_NOTIONAL, order, instrument.min_notional, notional, "notional"
        )
    return None


def _denied(
    reason: DenialReason, order: NewOrder, limit: Figure, value: Figure, what: str
) -> Denied:
    return Denied(
        reason=reason,
        limit=limit,
        value=value,
        message=f"{what} {value} is not allowed, the bound is {limit}",
        client_order_id=order.client_order_id,
    )
