"""Gates: one market, and all markets together, hold no more than a share of the equity.

What is open and sent counts as filled, as everywhere in the order path.
"""

from decimal import Decimal

from desk.orders import Batch
from desk.risk.context import GateContext
from desk.risk.gates.funds import denied_for_funds, known_funds, worst_added
from desk.risk.reasons import Denied


def market_exposure(batch: Batch, context: GateContext) -> Denied | None:
    """Deny a batch that could take this market beyond `max_market_exposure` of equity."""
    share = context.limits.limits.max_market_exposure
    worst = None if share is None else worst_added(batch, context)
    if share is None or worst is None:
        return None
    funds = known_funds(context, share)
    if isinstance(funds, Denied):
        return funds
    return _beyond("max_market_exposure", share, funds.equity, _value(context, worst))


def total_exposure(batch: Batch, context: GateContext) -> Denied | None:
    """Deny a batch that could take the whole account beyond `max_total_exposure` of equity."""
    share = context.limits.limits.max_total_exposure
    worst = None if share is None else worst_added(batch, context)
    if share is None or worst is None:
        return None
    funds = known_funds(context, share)
    if isinstance(funds, Denied):
        return funds
    if funds.exposure is None:
        return denied_for_funds(share, None, "the venue does not tell what all positions are worth")
    # The figure holds this market's position already; only what is added to it comes on top.
    added = _value(context, worst - abs(context.position))
    return _beyond("max_total_exposure", share, funds.equity, funds.exposure + added)


def _value(context: GateContext, lots: int) -> Decimal:
    return context.limits.instrument.notional(context.mid_x2, lots) / 2


def _beyond(name: str, share: Decimal, equity: Decimal, value: Decimal) -> Denied | None:
    if value <= share * equity:
        return None
    return denied_for_funds(
        share * equity,
        value,
        f"{value} could be held on an equity of {equity}, {name} is {share} of it",
    )
