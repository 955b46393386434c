"""Replacing a ladder as one step: judged first, so a refusal can leave the old intact."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from desk.orders import RejectReason
from venues.simulation.accounts import Account
from venues.simulation.admission import Plan, Rejection, Verdict, judge, rejected, released
from venues.simulation.book import LiveOrder
from venues.simulation.events import CancelReason
from venues.simulation.matching import execute
from venues.simulation.offers import Offers
from venues.simulation.orders import (
    CancelScope,
    OnReject,
    Order,
    OrderReport,
    OrderRequest,
    OrderSource,
    RejectMode,
    ReplaceReport,
)
from venues.simulation.state import State

Judged = tuple[OrderRequest, Verdict | Rejection]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a replace treats the old ladder and bad levels, and the tag the new ones get."""

    tag: str | None
    keep: bool
    cancel_scope: CancelScope
    reject_mode: RejectMode
    on_reject: OnReject


def replace_ladder(
    state: State,
    account: Account,
    symbol: str,
    requests: Sequence[OrderRequest],
    manner: Manner,
) -> ReplaceReport:
    """Judge the new ladder as if the old were gone; then cancel and place, or refuse."""
    if manner.tag is not None:
        requests = [replace(request, tag=manner.tag) for request in requests]
    old = [] if manner.keep else _in_scope(account, symbol, manner.cancel_scope)
    plan = released(old)
    if not state.rules.margin_after_release:
        plan.offers = Offers()
    judged = [(request, _judge(state, account, symbol, request, plan)) for request in requests]
    accepted = not _refused(judged, manner.reject_mode)
    cancelled: tuple[Order, ...] = ()
    if accepted or manner.on_reject is OnReject.CANCEL_OLD:
        cancelled = _cancel(state, symbol, old)
    if accepted:
        reports = tuple(_place(state, account, each, again=plan.takes) for each in judged)
    else:
        reports = tuple(rejected(request, _blame(verdict)) for request, verdict in judged)
    return ReplaceReport(
        symbol=symbol, tag=manner.tag, accepted=accepted, cancelled=cancelled, reports=reports
    )


def _in_scope(account: Account, symbol: str, scope: CancelScope) -> list[LiveOrder]:
    holding = account.holdings.get(symbol)
    orders = [] if holding is None else holding.orders.values()
    return [
        order
        for order in orders
        if scope is CancelScope.ALL_ON_MARKET or order.source is OrderSource.QUOTE
    ]


def _judge(
    state: State, account: Account, symbol: str, request: OrderRequest, plan: Plan
) -> Verdict | Rejection:
    if request.symbol != symbol:
        return Rejection(
            reason=RejectReason.INVALID, message=f"order is for {request.symbol}, not {symbol}"
        )
    verdict = judge(state, account, request, plan)
    if isinstance(verdict, Verdict):
        plan.add(request, verdict)
    return verdict


def _refused(judged: Sequence[Judged], mode: RejectMode) -> bool:
    bad = [isinstance(verdict, Rejection) for _, verdict in judged]
    return any(bad) if mode is RejectMode.BATCH else bool(bad) and all(bad)


def _cancel(state: State, symbol: str, old: Sequence[LiveOrder]) -> tuple[Order, ...]:
    views = tuple(order.view() for order in old)
    for order in old:
        state.withdraw(state.markets[symbol], order, CancelReason.REPLACED)
    return views


def _place(state: State, account: Account, judged: Judged, *, again: bool) -> OrderReport:
    """Place one level; judged again when an earlier one may have traded."""
    request, verdict = judged
    if again and isinstance(verdict, Verdict):
        verdict = judge(state, account, request, Plan())
    if isinstance(verdict, Rejection):
        return rejected(request, verdict)
    return execute(state, account, request, verdict)


def _blame(verdict: Verdict | Rejection) -> Rejection:
    if isinstance(verdict, Rejection):
        return verdict
    return Rejection(
        reason=RejectReason.OTHER, message="refused because another level of the ladder was"
    )
