"""Gate: no risk is added while our own fills are not heard; exits pass."""

from desk.orders import Batch
from desk.risk.context import GateContext, is_exit
from desk.risk.reasons import DenialReason, Denied
from desk.units import NS_PER_MS


def stale_account(batch: Batch, context: GateContext) -> Denied | None:
    """Deny quotes when the account stream is silent for longer than `max_account_age_ms`.

    Exits pass: reduce-only is enforced by the venue, which knows the position when we do not.
    """
    age = context.account_age_ns
    if age is not None and age <= context.limits.account_age_ns:
        return None
    for order in batch.orders:
        if not is_exit(order):
            limit = context.limits.limits.max_account_age_ms
            age_ms = None if age is None else -(-age // NS_PER_MS)
            return Denied(
                reason=DenialReason.STALE_ACCOUNT,
                limit=limit,
                value=age_ms,
                message="the account stream never spoke"
                if age_ms is None
                else f"account stream is silent for {age_ms} ms, max_account_age_ms is {limit}",
                client_order_id=order.client_order_id,
            )
    return None
