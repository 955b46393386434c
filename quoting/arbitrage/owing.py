"""What is owed now, and the next orders towards it: the desk's folds over books that were read.

The rule: a set that holds outcomes owes by its positions, whichever trade they come from; a round
of a triangle owes by its own fills, for its pairs are traded for good.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from desk.arbitrage.discharge import (
    Discharge,
    Ground,
    Way,
    discharge_outcomes,
    discharge_round,
)
from desk.arbitrage.obligation import Owed, owed_by_outcomes, owed_by_round
from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage.sets import Leg, OutcomeSet, Triangle
from desk.arbitrage.values import decimal, values_in_start
from desk.arbitrage_records import ArbitrageTrade
from desk.flattening import Regime
from desk.identity import MarketId
from desk.units import Lots, Side
from quoting.arbitrage.books import SetBooks, epochs_of
from quoting.arbitrage.report import DischargePhase, LegStanding, RunOrder, SetStanding

AnySet: TypeAlias = OutcomeSet | Triangle
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Debt:
    """What is owed, and on account of which trade; None when no trade on record explains it.

    `held` and `filled` are signed lots by leg: the ledger's but for what is waived, which is a
    person's, and what the trade's own orders did.
    """

    of: AnySet
    trade: ArbitrageTrade | None
    owed: Owed
    held: Mapping[MarketId, Lots]
    filled: Mapping[MarketId, Lots]

    @property
    def legs(self) -> Sequence[Leg]:
        """In the order of `owed`."""
        return self.of.legs


def debts_of(
    order: RunOrder,
    sets: Sequence[AnySet],
    books: SetBooks,
    under_way: Sequence[ArbitrageTrade],
    recent: Sequence[ArbitrageTrade],
) -> Sequence[Debt]:
    """All that is owed, in the order to work it off; one that owes nothing when nothing is.

    `under_way` and `recent` trades are oldest first. Of a triangle, a round that was thought over
    owes again when a fill of it comes late; what one owes may be dust, so that the next has a turn.
    """
    first = sets[0]
    if isinstance(first, OutcomeSet):
        return [_by_positions(order, first, books, under_way[-1] if under_way else None)]
    debts = [_by_round(sets, books, trade) for trade in (*under_way, *recent)]
    owing = [one for one in debts if one.owed.owes]
    return owing or debts[:1] or [_nothing(first, books)]


def plan_of(
    debt: Debt,
    books: SetBooks,
    rules: ArbitrageRules,
    *,
    phase: DischargePhase,
    may_add: bool,
    stay: Way | None,
    now_ns: int,
) -> Discharge:
    """The next orders. `stay`: orders may be on their way, so the way that they went is kept.

    It is left where no venue takes an order that way: what else is owed must not wait for it.
    """
    regime = Regime.CALM if phase is DischargePhase.HEDGE else Regime.FAST
    ground = Ground(
        held=[debt.held[leg.market] for leg in debt.legs],
        books=[books.at(leg.market).leg.seen for leg in debt.legs],
        rules=rules,
        now_ns=now_ns,
        regime=regime,
    )
    if stay is Way.FORWARD and may_add and debt.owed.forward is not None:
        # Told as the only way there is, it is taken whatever it costs by now.
        only = replace(debt.owed, back=debt.owed.forward, forward=None)
        forward = _planned(debt, only, ground, may_add=False)
        if forward.orders:
            return replace(forward, way=Way.FORWARD)
    return _planned(debt, debt.owed, ground, may_add=may_add and stay is not Way.BACK)


def first_to_do(debts: Sequence[Debt], plans: Sequence[Discharge]) -> tuple[Debt, Discharge]:
    """The first debt that orders can work off, else the first; and its plan, with the dust of all.

    What nobody takes of one round must not hide what the next one owes.
    """
    found = next((at for at, plan in enumerate(plans) if plan.orders), 0)
    dust = tuple(one for plan in plans for one in plan.dust)
    return debts[found], replace(plans[found], dust=dust)


def standing_of(
    order: RunOrder, debt: Debt, books: SetBooks, plan: Discharge | None
) -> SetStanding:
    """For the record of the workflow. Without a plan what is owed is told as trades back."""
    trades = dict(zip((leg.market for leg in debt.legs), debt.owed.back, strict=True))
    if plan is not None:
        sent = {one.market: one.side.sign * one.lots for one in plan.orders}
        trades = {market: sent.get(market, 0) for market in trades}
    over = dict(zip((leg.market for leg in debt.legs), debt.owed.excess, strict=True))
    complete = debt.owed.complete if isinstance(debt.of, OutcomeSet) else _ZERO
    trade = debt.trade if debt.owed.owes else None
    return SetStanding(
        legs=tuple(
            LegStanding(
                market=market,
                position=books.at(market).position,
                owed=trades[market],
                excess=over[market],
            )
            for market in order.legs
        ),
        complete=complete,
        exposure=_exposure(debt, books),
        dust=_ZERO if plan is None else plan.residual or _ZERO,
        trade=None if trade is None else trade.fired.key,
    )


def _by_positions(
    order: RunOrder, outcomes: OutcomeSet, books: SetBooks, trade: ArbitrageTrade | None
) -> Debt:
    waived = _waived(order)
    held = {one.leg.market: one.position + waived[one.leg.market] for one in books.legs}
    filled = _filled(books, trade)
    planned = []
    for leg in outcomes.legs:
        before = held[leg.market] - filled[leg.market]
        planned.append(before + _bought(trade, leg.market))
    now = [held[leg.market] for leg in outcomes.legs]
    return Debt(
        of=outcomes,
        trade=trade,
        owed=owed_by_outcomes(outcomes, now, now if trade is None else planned),
        held=held,
        filled=filled,
    )


def _by_round(sets: Sequence[AnySet], books: SetBooks, trade: ArbitrageTrade) -> Debt:
    triangle = round_of(sets, trade)
    filled = _filled(books, trade)
    planned = {leg.market: leg.lots for leg in trade.fired.legs}
    return Debt(
        of=triangle,
        trade=trade,
        owed=owed_by_round(
            triangle,
            [filled[leg.market] for leg in triangle.legs],
            [planned[leg.market] for leg in triangle.legs],
        ),
        held={one.leg.market: one.position for one in books.legs},
        filled=filled,
    )


def _waived(order: RunOrder) -> dict[MarketId, Lots]:
    return dict(zip(order.legs, order.waived or (0,) * len(order.legs), strict=True))


def round_of(sets: Sequence[AnySet], trade: ArbitrageTrade) -> Triangle:
    """The direction in which a trade went round, by the sides of its legs."""
    sides = {leg.market: leg.side for leg in trade.fired.legs}
    return next(
        one
        for one in sets
        if isinstance(one, Triangle) and all(sides[leg.market] is leg.side for leg in one.legs)
    )


def _nothing(of: AnySet, books: SetBooks) -> Debt:
    none = (0,) * len(of.legs)
    return Debt(
        of=of,
        trade=None,
        owed=Owed(complete=_ZERO, excess=none, back=none, forward=None, further=_ZERO),
        held={one.leg.market: one.position for one in books.legs},
        filled={one.leg.market: 0 for one in books.legs},
    )


def _filled(books: SetBooks, trade: ArbitrageTrade | None) -> dict[MarketId, Lots]:
    epochs = {} if trade is None else epochs_of(trade)
    return {
        one.leg.market: one.booked(one.of_epoch(epochs.get(one.leg.market, 0))).lots
        for one in books.legs
    }


def _bought(trade: ArbitrageTrade | None, market: MarketId) -> Lots:
    """What a trade means to add; one that sells held sets may at most be taken back whole."""
    legs = () if trade is None else trade.fired.legs
    return sum(leg.lots for leg in legs if leg.market == market and leg.side is Side.BUY)


def _planned(debt: Debt, owed: Owed, ground: Ground, *, may_add: bool) -> Discharge:
    if isinstance(debt.of, OutcomeSet):
        return discharge_outcomes(debt.of, owed, ground, may_add=may_add)
    return discharge_round(debt.of, owed, ground, may_add=may_add)


def _exposure(debt: Debt, books: SetBooks) -> Decimal:
    """Unsigned worth of what is in excess, at the prices it could be traded back at."""
    if isinstance(debt.of, OutcomeSet):
        return sum(
            (
                books.at(leg.market).leg.instrument.quantity(abs(lots)) * _price(books, leg)
                for leg, lots in zip(debt.legs, debt.owed.excess, strict=True)
            ),
            _ZERO,
        )
    seen = [books.at(leg.market).leg.seen for leg in debt.legs]
    worths = values_in_start(debt.of, seen)
    total = _ZERO
    for leg, lots in zip(debt.legs, debt.owed.excess, strict=True):
        worth = worths.get(leg.instrument.base)
        if worth is not None:
            total += leg.instrument.quantity(abs(lots)) * decimal(worth.middle)
    return total


def _price(books: SetBooks, leg: Leg) -> Decimal:
    book = books.at(leg.market).leg.book
    best = book.best_bid if book.best_bid is not None else book.best_ask
    return Decimal(1) if best is None else leg.instrument.price(best)
