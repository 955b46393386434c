"""Cancels and orders of one account, in any of its markets, as one step: all happen, or none.

A refusal names the first step at fault and leaves everything as it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from desk.orders import RejectReason, TimeInForce
from venues.simulation.accounts import Account
from venues.simulation.admission import Plan, Rejection, Verdict, crosses, judge
from venues.simulation.book import LiveOrder
from venues.simulation.events import CancelReason, OrderRejected, Trade
from venues.simulation.margin import Standing, requirement, standing
from venues.simulation.matching import execute, fillable
from venues.simulation.offers import Offers
from venues.simulation.orders import Order, OrderReport, OrderRequest
from venues.simulation.rehearsal import rehearsed
from venues.simulation.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """Cancel one resting order of the account."""

    order_id: str


Step: TypeAlias = Withdrawal | OrderRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Which step is at fault (from 0) and why; nothing happened."""

    index: int
    reason: RejectReason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """What one step did: `order` as it left for a cancel, `report` and `trades` for an order."""

    order: Order | None = None
    report: OrderReport | None = None
    trades: tuple[Trade, ...] = ()


class Batches:
    """Runs batches on the engine's state; unknown accounts raise KeyError.

    Cancels name orders that rested before the batch; it knows none of its own by id.
    An immediate order that would fill nothing, and a fill-or-kill order that would not fill
    whole, are refusals here (NOT_FILLED). With `gains_back_risk` False only realized money
    counts against initial margin.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def run(
        self, account: str, steps: Sequence[Step], *, gains_back_risk: bool = True
    ) -> tuple[StepDone, ...] | Refused:
        """Do the steps in order, or nothing."""
        state, owner = self._state, self._state.accounts[account]
        if len(steps) > 1:
            refused = self._foresee(owner, steps, gains_back_risk=gains_back_risk)
            if refused is not None:
                return self._tell(owner, steps, refused)
        done = _perform(state, owner, steps, gains_back_risk=gains_back_risk)
        if isinstance(done, Refused):
            return self._tell(owner, steps, done)
        state.finish()
        return done

    def _foresee(
        self, owner: Account, steps: Sequence[Step], *, gains_back_risk: bool
    ) -> Refused | None:
        """Whether a step would be refused; rehearsed on a copy when one would trade."""
        outlook = _Outlook(self._state, owner, gains_back_risk=gains_back_risk)
        for index, step in enumerate(steps):
            why = outlook.take(step)
            if outlook.trades:
                break
            if why is not None:
                return _blame(index, why)
        if not outlook.trades:
            return None
        symbols = {step.symbol for step in steps if isinstance(step, OrderRequest)}
        symbols |= {
            owner.orders[step.order_id].symbol
            for step in steps
            if isinstance(step, Withdrawal) and step.order_id in owner.orders
        }
        copy = rehearsed(self._state, owner, symbols & self._state.markets.keys())
        done = _perform(copy, copy.accounts[owner.name], steps, gains_back_risk=gains_back_risk)
        return done if isinstance(done, Refused) else None

    def _tell(self, owner: Account, steps: Sequence[Step], refused: Refused) -> Refused:
        step = steps[refused.index]
        if isinstance(step, OrderRequest):
            self._state.log.record(
                OrderRejected(
                    sequence=self._state.log.next_sequence(),
                    at_ns=self._state.now_ns(),
                    account=owner.name,
                    symbol=step.symbol,
                    client_order_id=step.client_order_id,
                    reason=refused.reason,
                    message=refused.message,
                )
            )
        self._state.finish()
        return refused


class _Outlook:
    """What the steps so far would leave, market by market, while nothing happens."""

    def __init__(self, state: State, owner: Account, *, gains_back_risk: bool) -> None:
        self.trades = False
        self._state = state
        self._owner = owner
        self._standing = _judged_by(state, owner, gains_back_risk=gains_back_risk)
        self._plans: dict[str, Plan] = {}
        self._bound: dict[str, Decimal] = {}

    def take(self, step: Step) -> Rejection | None:
        """Judge one step as if those before were done."""
        if isinstance(step, Withdrawal):
            order = self._owner.orders.get(step.order_id)
            symbol = "" if order is None else order.symbol
            plan = self._plan(symbol)
            if order is None or order.order_id in plan.gone:
                return _unknown(step)
            _release(plan, order)
            self._bind(symbol)
            return None
        plan = self._plan(step.symbol)
        verdict = judge(self._state, self._owner, step, plan)
        if isinstance(verdict, Rejection):
            return verdict
        self.trades = plan.takes
        if not self.trades and step.time_in_force is not TimeInForce.GTC:
            return _unfilled(step)
        plan.add(step, verdict)
        self._bind(step.symbol)
        return None

    def _plan(self, symbol: str) -> Plan:
        plan = self._plans.setdefault(symbol, Plan())
        others = sum((each for key, each in self._bound.items() if key != symbol), Decimal(0))
        plan.standing = replace(self._standing, initial=self._standing.initial + others)
        return plan

    def _bind(self, symbol: str) -> None:
        """Note by how much the steps change the margin one market binds."""
        market, plan = self._state.markets[symbol], self._plans[symbol]
        holding = self._owner.holdings.get(symbol)
        fallback = plan.best_bid or plan.best_ask
        after = requirement(market, holding, plan.offers, fallback)
        self._bound[symbol] = after - requirement(market, holding, Offers(), fallback)


def _perform(
    state: State, owner: Account, steps: Sequence[Step], *, gains_back_risk: bool
) -> tuple[StepDone, ...] | Refused:
    done = []
    for index, step in enumerate(steps):
        result = (
            _withdraw(state, owner, step)
            if isinstance(step, Withdrawal)
            else _place(state, owner, step, gains_back_risk=gains_back_risk)
        )
        if isinstance(result, Rejection):
            return _blame(index, result)
        done.append(result)
    return tuple(done)


def _withdraw(state: State, owner: Account, step: Withdrawal) -> StepDone | Rejection:
    order = owner.orders.get(step.order_id)
    if order is None:
        return _unknown(step)
    view = order.view()
    state.withdraw(state.markets[order.symbol], order, CancelReason.ASKED)
    return StepDone(order=view)


def _place(
    state: State, owner: Account, request: OrderRequest, *, gains_back_risk: bool
) -> StepDone | Rejection:
    plan = Plan(standing=_judged_by(state, owner, gains_back_risk=gains_back_risk))
    verdict = judge(state, owner, request, plan)
    if isinstance(verdict, Rejection):
        return verdict
    if request.time_in_force is not TimeInForce.GTC and not _fills(state, owner, request, verdict):
        return _unfilled(request)
    sequence = state.log.sequence
    report = execute(state, owner, request, verdict)
    trades = tuple(
        event
        for event in state.log.since(sequence)
        if isinstance(event, Trade) and event.taker_order_id == report.order_id
    )
    return StepDone(report=report, trades=trades)


def _fills(state: State, owner: Account, request: OrderRequest, verdict: Verdict) -> bool:
    """Whether an immediate order would fill at all, or a fill-or-kill order whole."""
    market = state.markets[request.symbol]
    if not crosses(market, request, Plan()):
        return False
    owner.holding(market.instrument)
    whole = request.time_in_force is TimeInForce.FOK
    probe = LiveOrder(
        order_id="",
        client_order_id=None,
        account=owner.name,
        symbol=request.symbol,
        side=request.side,
        price=request.price,
        lots=verdict.lots if whole else 1,
        remaining=verdict.lots,
        time_in_force=request.time_in_force,
        post_only=False,
        reduce_only=request.reduce_only,
        tag=None,
        source=request.source,
        margin_mode=None,
        created_ns=0,
        self_trade=request.self_trade,
        self_trade_wide=request.self_trade_wide,
    )
    return fillable(state, market, probe, verdict.limit) >= probe.lots


def _judged_by(state: State, owner: Account, *, gains_back_risk: bool) -> Standing:
    now = standing(state, owner)
    return now if gains_back_risk else replace(now, equity=min(now.equity, owner.collateral))


def _release(plan: Plan, order: LiveOrder) -> None:
    plan.gone |= {order.order_id}
    if not order.binds:
        return
    plan.offers.add(order.side, order.price or 0, -order.remaining)


def _unknown(step: Withdrawal) -> Rejection:
    return Rejection(reason=RejectReason.UNKNOWN_ORDER, message=f"no resting order {step.order_id}")


def _unfilled(request: OrderRequest) -> Rejection:
    return Rejection(
        reason=RejectReason.NOT_FILLED,
        message=f"{request.time_in_force.value} order would not fill",
    )


def _blame(index: int, why: Rejection) -> Refused:
    return Refused(index=index, reason=why.reason, message=why.message)
