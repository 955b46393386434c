"""Gate: the position stays within `max_position` even if all open and sent orders of a side fill.

It never refuses what reduces: reduce-only orders, and orders whose worst case ends inside the limit
even when the position today is outside it.
"""

from desk.orders import Batch
from desk.risk.context import GateContext
from desk.risk.exposure import exposure_of
from desk.risk.reasons import DenialReason, Denied
from desk.units import Lots, Side


def max_position(batch: Batch, context: GateContext) -> Denied | None:
    """Deny a batch that could take the position beyond the limit, valued at the mid.

    Each side is judged only by the orders the batch adds to it, so a position beyond the limit
    never keeps the other side from bringing it back.
    """
    buys = sells = False
    for order in batch.orders:
        if not order.reduce_only:
            if order.side is Side.BUY:
                buys = True
            else:
                sells = True
    if not (buys or sells):
        return None
    exposure = exposure_of(context.position, context.working, batch.orders)
    if buys and exposure.worst_long * context.mid_x2 > context.limits.position_x2:
        return _denied(exposure.worst_long, context)
    if sells and -exposure.worst_short * context.mid_x2 > context.limits.position_x2:
        return _denied(exposure.worst_short, context)
    return None


def _denied(worst: Lots, context: GateContext) -> Denied:
    instrument = context.limits.instrument
    value = instrument.notional(context.mid_x2, worst) / 2
    limit = context.limits.limits.max_position
    return Denied(
        reason=DenialReason.POSITION,
        limit=limit,
        value=value,
        message=f"position could become {instrument.quantity(worst)} worth {value}, "
        f"above max_position {limit}",
    )
