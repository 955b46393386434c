"""Gate: no risk is added while equity is less than `min_margin_fraction` of what is held.

The fraction is equity over the value of all positions of the account (zo.md section 8).
"""

from desk.orders import Batch
from desk.risk.context import GateContext
from desk.risk.gates.funds import denied_for_funds, known_funds, worst_added
from desk.risk.reasons import Denied


def margin_fraction(batch: Batch, context: GateContext) -> Denied | None:
    """Deny a batch that adds risk when the margin fraction is too low; a flat account passes."""
    least = context.limits.limits.min_margin_fraction
    if least is None or worst_added(batch, context) is None:
        return None
    funds = known_funds(context, least)
    if isinstance(funds, Denied):
        return funds
    if funds.exposure is None:
        return denied_for_funds(least, None, "the venue does not tell what all positions are worth")
    if funds.equity >= least * funds.exposure:
        return None
    fraction = round(funds.equity / funds.exposure, 4)
    return denied_for_funds(
        least, fraction, f"margin fraction is {fraction}, min_margin_fraction is {least}"
    )
