"""Gate: a client order id is used once, or the outcome of an order could not be asked for."""

from desk.orders import Batch
from desk.risk.context import GateContext
from desk.risk.reasons import DenialReason, Denied


def duplicate_id(batch: Batch, context: GateContext) -> Denied | None:
    """Deny an id that the batch holds twice or that a known order, even a closed one, has."""
    if not batch.orders:
        return None
    seen = {working.order.client_order_id for working in context.working}
    for order in batch.orders:
        if order.client_order_id in seen:
            return Denied(
                reason=DenialReason.DUPLICATE,
                limit=1,
                value=2,
                message=f"client order id {order.client_order_id} is used already",
                client_order_id=order.client_order_id,
            )
        seen.add(order.client_order_id)
    return None
