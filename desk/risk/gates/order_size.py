"""Gate: no single order is larger than `max_order_quantity`, exits included."""

from desk.orders import Batch
from desk.risk.context import GateContext
from desk.risk.reasons import DenialReason, Denied


def order_size(batch: Batch, context: GateContext) -> Denied | None:
    """Deny an order above the cap in base units; without a cap, none.

    Exits are held to it too: a flatten trades in pieces, and a huge exit is a wrong number.
    """
    most = context.limits.order_lots
    if most is None:
        return None
    for order in batch.orders:
        if order.lots > most:
            quantity = context.limits.instrument.quantity(order.lots)
            limit = context.limits.limits.max_order_quantity
            return Denied(
                reason=DenialReason.SIZE,
                limit=limit,
                value=quantity,
                message=f"order of {quantity} is larger than max_order_quantity {limit}",
                client_order_id=order.client_order_id,
            )
    return None
