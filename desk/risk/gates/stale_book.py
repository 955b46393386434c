"""Gate: no risk is added on a book older than `max_book_age_ms`; exits pass."""

from desk.orders import Batch
from desk.risk.context import GateContext, is_exit
from desk.risk.reasons import DenialReason, Denied
from desk.units import NS_PER_MS


def stale_book(batch: Batch, context: GateContext) -> Denied | None:
    """Deny quotes on an old or never heard book.

    Exits pass: a dead feed is a reason to leave a position, and the collar still bounds the price.
    """
    age = context.book_age_ns
    if age is not None and age <= context.limits.book_age_ns:
        return None
    for order in batch.orders:
        if not is_exit(order):
            limit = context.limits.limits.max_book_age_ms
            age_ms = None if age is None else -(-age // NS_PER_MS)
            return Denied(
                reason=DenialReason.STALE_BOOK,
                limit=limit,
                value=age_ms,
                message="no book was ever heard"
                if age_ms is None
                else f"book is {age_ms} ms old, max_book_age_ms is {limit}",
                client_order_id=order.client_order_id,
            )
    return None
