"""Gate: no order, exits included, is worth more than `max_order_notional` at its own price."""

from desk.orders import Batch
from desk.risk.context import GateContext
from desk.risk.reasons import DenialReason, Denied


def order_notional(batch: Batch, context: GateContext) -> Denied | None:
    """Deny an order above the cap in quote currency."""
    most = context.limits.order_notional
    for order in batch.orders:
        if order.price * order.lots > most:
            notional = context.limits.instrument.notional(order.price, order.lots)
            limit = context.limits.limits.max_order_notional
            return Denied(
                reason=DenialReason.NOTIONAL,
                limit=limit,
                value=notional,
                message=f"order worth {notional} is above max_order_notional {limit}",
                client_order_id=order.client_order_id,
            )
    return None
