"""Gate: no more than `max_orders_per_minute` new orders a minute; exits have a reserve on top."""

from desk.orders import Batch
from desk.risk.context import GateContext, is_exit
from desk.risk.reasons import DenialReason, Denied


def order_rate(batch: Batch, context: GateContext) -> Denied | None:
    """Deny a batch that would pass the rate; cancels are free.

    A batch of exits alone may use a tenth more than the limit, so a runaway quoter cannot lock us
    into a position, and a runaway flatten is still stopped.
    """
    if not batch.orders:
        return None
    rate = context.orders_last_minute + len(batch.orders)
    limits = context.limits
    if rate <= limits.orders_per_minute:
        return None
    limit = limits.orders_per_minute
    if all(is_exit(order) for order in batch.orders):
        limit = limits.exits_per_minute
        if rate <= limit:
            return None
    return Denied(
        reason=DenialReason.RATE,
        limit=limit,
        value=rate,
        message=f"{rate} orders within a minute, the limit is {limit}",
    )
