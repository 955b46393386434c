"""What the four gates on the account's funds share: when they speak, and what adds risk.

No figure, or an old one, while a limit is set means no. What only reduces always passes.
"""

from decimal import Decimal

from desk.orders import Balance, Batch
from desk.risk.context import GateContext
from desk.risk.exposure import exposure_of
from desk.risk.reasons import DenialReason, Denied, Figure
from desk.units import NS_PER_MS, Lots, Side


def worst_added(batch: Batch, context: GateContext) -> Lots | None:
    """Largest holding, unsigned lots, that the batch makes possible; None when it adds no risk.

    A side adds risk when filling all of it could leave more than is held now.
    """
    sides = {order.side for order in batch.orders if not order.reduce_only}
    if not sides:
        return None
    exposure = exposure_of(context.position, context.working, batch.orders)
    worst = max(
        exposure.worst_long if Side.BUY in sides else 0,
        -exposure.worst_short if Side.SELL in sides else 0,
    )
    return worst if worst > abs(context.position) else None


def known_funds(context: GateContext, limit: Decimal) -> Balance | Denied:
    """The account's funds, or why they cannot be judged."""
    funds, age_ns = context.funds, context.funds_age_ns
    max_ms = context.limits.limits.max_funds_age_ms
    if funds is None or age_ns is None:
        return denied_for_funds(limit, None, "the account's funds were never read")
    if age_ns > max_ms * NS_PER_MS:
        age_ms = -(-age_ns // NS_PER_MS)
        return denied_for_funds(
            limit, age_ms, f"the account's funds are {age_ms} ms old, max_funds_age_ms is {max_ms}"
        )
    return funds


def denied_for_funds(limit: Figure, value: Figure, message: str) -> Denied:
    """A denial of the whole batch."""
    return Denied(reason=DenialReason.FUNDS, limit=limit, value=value, message=message)
