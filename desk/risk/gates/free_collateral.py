"""Gate: no risk is added while less than `min_free_collateral` is free."""

from desk.orders import Batch
from desk.risk.context import GateContext
from desk.risk.gates.funds import denied_for_funds, known_funds, worst_added
from desk.risk.reasons import Denied


def free_collateral(batch: Batch, context: GateContext) -> Denied | None:
    """Deny a batch that adds risk when too little collateral is free."""
    least = context.limits.limits.min_free_collateral
    if least is None or worst_added(batch, context) is None:
        return None
    funds = known_funds(context, least)
    if isinstance(funds, Denied):
        return funds
    if funds.available >= least:
        return None
    return denied_for_funds(
        least,
        funds.available,
        f"{funds.available} of collateral is free, min_free_collateral is {least}",
    )
