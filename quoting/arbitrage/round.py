"""One round of orders towards what is owed: every leg's at the same time, each under its own id.

The rule: an id is used again until the venue is known to have had its order, so that an attempt
that died and the one after it cannot both trade; the venue refuses the second.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from desk.arbitrage.discharge import Discharge, DischargeOrder, Way
from desk.book import Book
from desk.errors import Unavailable, VenueError
from desk.flattening import exit_lots
from desk.hedging import HedgeReceipt
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import RejectReason
from desk.ports import Venue
from desk.risk.context import GateLimits
from desk.risk.limits import RiskLimits
from desk.units import Side
from quoting.arbitrage.books import SetBooks
from quoting.arbitrage.ids import Ids
from quoting.arbitrage.leg import LiveLeg
from quoting.arbitrage.permission import why_not_add, why_not_reduce
from quoting.arbitrage.ports import SetPorts
from quoting.arbitrage.report import RunOrder, SetKind
from quoting.hedge import HedgeSliceReport, HedgeStep, hedge_slice
from quoting.taking import best_for, one_sided, read_book

_PASSING = frozenset(
    {
        RejectReason.NOT_FILLED,
        RejectReason.NOT_SENT,
        RejectReason.DUPLICATE,
        RejectReason.RATE_LIMITED,
    }
)
"""What says nothing about the next order of the same kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundReport:
    """What a round did.

    `moved`: some position did. `known`: of no order it is open what became of it. `free`: it was no
    try, for an id had been used, our own rate budget held every order back, or no leg showed a
    price. `refused_adding`: somebody said no to completing, and would say it again.
    """

    sentence: str
    moved: bool
    known: bool
    free: bool
    refused_adding: bool
    receipts: Mapping[MarketId, HedgeReceipt]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    leg: LiveLeg
    adds: bool
    report: HedgeSliceReport | None
    trouble: str


async def send_round(
    order: RunOrder, plan: Discharge, books: SetBooks, ids: Ids, ports: SetPorts
) -> RoundReport:
    """Send what can be sent of a plan; troubles of venues and services end up in the sentence."""
    orders = [one for one in plan.orders if one.limit is not None]
    sent = await asyncio.gather(*(_send(order, one, plan.way, books, ids, ports) for one in orders))
    for one in sent:
        if one.report is not None:
            ids.took(one.leg.market, one.report)
    return _report(sent, unpriced=len(plan.orders) - len(orders))


async def _send(
    order: RunOrder,
    one: DischargeOrder,
    way: Way,
    books: SetBooks,
    ids: Ids,
    ports: SetPorts,
) -> _Sent:
    found = books.at(one.market)
    leg, adds = found.leg, way is Way.FORWARD
    epoch, cycle = ids.next(leg)
    step = HedgeStep(
        market=leg.market,
        epoch=epoch,
        step=cycle,
        position=found.position,
        lots=one.side.sign * _cut(one, leg, order.limits),
        # A pair's position says nothing of what is owned: there, only the size bounds an order.
        reduce_only=one.reduces and order.kind is SetKind.OUTCOME_SET,
        max_slippage_bps=order.rules.worst_bps,
        limits=order.limits,
        price=one.limit,
    )

    async def why_not() -> str:
        now_ns = ports.clock.monotonic_ns()
        # A kill of one leg may have come since it was planned: it is the whole set's.
        all_legs = (one.leg for one in books.legs)
        return (why_not_add(all_legs, ports, now_ns) if adds else "") or why_not_reduce(leg, now_ns)

    async def read(venue: Venue, instrument: Instrument) -> Book:
        if best_for(leg.book, one.side) is not None:
            return leg.book
        return await read_book(venue, instrument, one_sided)

    try:
        report = await hedge_slice(
            step,
            leg.instrument,
            leg.venue,
            ports.ledger,
            ports.writer,
            ports.clock,
            why_not,
            read,
        )
    except (VenueError, Unavailable) as error:
        return _Sent(leg=leg, adds=adds, report=None, trouble=str(error) or type(error).__name__)
    return _Sent(leg=leg, adds=adds, report=report, trouble="")


def _cut(one: DischargeOrder, leg: LiveLeg, limits: RiskLimits) -> int:
    """What the gate lets through as one order; the next round goes on with the rest."""
    compiled = GateLimits.of(leg.instrument, limits)
    return max(1, exit_lots(one.lots, one.lots, one.limit or 1, compiled))


def _report(sent: Sequence[_Sent], *, unpriced: int) -> RoundReport:
    said = [f"{one.leg.market.path}: {_words(one)}" for one in sent]
    if unpriced:
        said.append(f"{unpriced} legs show no price to take")
    reports = [one.report for one in sent if one.report is not None]
    return RoundReport(
        sentence="; ".join(said),
        moved=any(one.position_before != one.position_after for one in reports),
        known=len(reports) == len(sent) and all(one.spent or not one.sent_lots for one in reports),
        free=any(one.reason is RejectReason.DUPLICATE for one in reports)
        or (len(reports) == len(sent) and all(_unsent(one) for one in reports)),
        refused_adding=any(one.adds and _refused(one.report) for one in sent),
        receipts={
            one.leg.market: one.report.receipt
            for one in sent
            if one.report is not None and one.report.receipt is not None
        },
    )


def _unsent(report: HedgeSliceReport) -> bool:
    return report.reason is RejectReason.NOT_SENT


def _refused(report: HedgeSliceReport | None) -> bool:
    """Whether our gate, a permission or the venue said no, and would say it again."""
    if report is None or report.stale or report.reason in _PASSING:
        return False
    return report.reason is not None or not (report.sent_lots or report.spent)


def _words(one: _Sent) -> str:
    if one.report is None:
        return one.trouble
    side = Side.BUY if one.report.sent_lots > 0 else Side.SELL
    what = f"{side.value} {abs(one.report.sent_lots)}: " if one.report.sent_lots else ""
    return f"{what}{one.report.outcome}"
