"""Gate: no bid of ours meets an ask of ours, exits included: that would be wash trading."""

from collections.abc import Iterable, Iterator

from desk.orders import Batch, NewOrder
from desk.risk.context import GateContext
from desk.risk.reasons import DenialReason, Denied
from desk.units import Side
from desk.working import WorkingState


def self_crossing(batch: Batch, context: GateContext) -> Denied | None:
    """Deny when the highest bid reaches the lowest ask, among the batch and what may still rest.

    Orders already in the market are judged only against the batch, so what rests crossed by some
    accident does not hinder a batch that is itself away from it.
    """
    if not batch.orders:
        return None
    new_bid, new_ask = _inside(batch.orders)
    old_bid, old_ask = _inside(_still_resting(batch, context))
    for bid, ask in ((new_bid, new_ask), (new_bid, old_ask), (old_bid, new_ask)):
        if bid is not None and ask is not None and bid.price >= ask.price:
            ours = ask if ask is new_ask else bid
            return Denied(
                reason=DenialReason.SELF_CROSS,
                limit=ask.price,
                value=bid.price,
                message=f"our bid at {bid.price} ticks meets our ask at {ask.price} ticks",
                client_order_id=ours.client_order_id,
            )
    return None


def _inside(orders: Iterable[NewOrder]) -> tuple[NewOrder | None, NewOrder | None]:
    """Highest bid and lowest ask, None where a side is empty."""
    bid: NewOrder | None = None
    ask: NewOrder | None = None
    for order in orders:
        if order.side is Side.BUY:
            if bid is None or order.price > bid.price:
                bid = order
        elif ask is None or order.price < ask.price:
            ask = order
    return bid, ask


def _still_resting(batch: Batch, context: GateContext) -> Iterator[NewOrder]:
    """Working orders that may still rest when the batch arrives.

    A resting order that the batch takes away goes first, at once or by the order of sending. One
    that is in flight, unresolved or cancelling may appear or stay whatever the batch says.
    """
    gone = {order.replaces for order in batch.orders}
    gone.update(batch.cancels)
    for working in context.working:
        if working.state is WorkingState.CLOSED:
            continue
        resting = working.state is WorkingState.RESTING
        taken = batch.replace_all or working.order.client_order_id in gone
        if not (resting and taken):
            yield working.order
