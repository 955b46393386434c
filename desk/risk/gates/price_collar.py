"""Gate: no price is farther than `collar_bps` from the mid, in either direction, exits included."""

from desk.orders import Batch
from desk.risk.context import GateContext
from desk.risk.reasons import DenialReason, Denied
from desk.units import BPS


def price_collar(batch: Batch, context: GateContext) -> Denied | None:
    """Deny a price outside the collar; the far side counts too, as it shows a wrong reference.

    Exits are held to it too, around the best price they hit where no mid can be trusted: an exit at
    any price is how a flatten loses everything.
    Without a mid (0) nothing passes.
    """
    mid_x2 = context.mid_x2
    numerator, denominator = context.limits.collar
    reach = max(mid_x2, 0) * numerator // denominator
    low, high = mid_x2 - reach, mid_x2 + reach
    for order in batch.orders:
        if mid_x2 <= 0 or not low <= 2 * order.price <= high:
            limit = context.limits.limits.collar_bps
            away = None if mid_x2 <= 0 else BPS * abs(2 * order.price - mid_x2) / mid_x2
            return Denied(
                reason=DenialReason.COLLAR,
                limit=limit,
                value=away,
                message=f"price of {order.price} ticks is not within {limit} bps "
                f"of the mid {context.limits.instrument.price(mid_x2) / 2}",
                client_order_id=order.client_order_id,
            )
    return None
