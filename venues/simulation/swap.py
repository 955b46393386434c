"""Replacing one order by another as one step: judged as if the old were gone, then both or neither.

A refusal leaves the old order where it is, in its place in the queue.
"""

from collections.abc import Collection

from desk.orders import RejectReason
from venues.simulation.accounts import Account
from venues.simulation.admission import Rejection, judge, rejected, released
from venues.simulation.book import LiveOrder
from venues.simulation.events import CancelReason
from venues.simulation.matching import execute
from venues.simulation.offers import Offers
from venues.simulation.orders import OrderRequest, SwapReport
from venues.simulation.state import State


def swap_order(
    state: State,
    account: Account,
    old: LiveOrder,
    request: OrderRequest,
    fatal: Collection[RejectReason],
) -> SwapReport:
    """Replace a resting order. Refusals for a `fatal` reason take the old order along."""
    plan = released([old])
    if not state.rules.margin_after_release:
        plan.offers = Offers()
    verdict = judge(state, account, request, plan)
    market = state.markets[old.symbol]
    if isinstance(verdict, Rejection):
        report = rejected(request, verdict)
        if verdict.reason not in fatal:
            return SwapReport(report=report, old=None)
        gone = old.view()
        state.withdraw(market, old, CancelReason.REPLACE_FAILED)
        return SwapReport(report=report, old=gone)
    gone = old.view()
    state.withdraw(market, old, CancelReason.REPLACED)
    return SwapReport(report=execute(state, account, request, verdict), old=gone)
