"""What happens because time passes: timers, funding, liquidation.

Nobody's gain is unpaid for.
"""

from decimal import ROUND_HALF_EVEN, Decimal

from desk.payments import PaymentKind
from desk.units import NS_PER_MS, Side
from venues.simulation.accounts import ZERO, Account, Holding
from venues.simulation.admission import Verdict
from venues.simulation.deadman import fire_timers
from venues.simulation.events import CancelReason, FundingPaid, Liquidated
from venues.simulation.margin import Standing, standing
from venues.simulation.market import Market
from venues.simulation.matching import execute
from venues.simulation.orders import OrderKind, OrderRequest
from venues.simulation.rules import Backing
from venues.simulation.state import State
from venues.simulation.views import AccountPayment

_PER_LOT = Decimal("1e-12")
LIQUIDATION_TAG = "liquidation"


def pass_time(state: State) -> None:
    """Bring dead-man timers, marks, funding and liquidations up to now."""
    now = state.now_ns()
    fire_timers(state)
    for market in state.markets.values():
        market.refresh_mark(now)
        rate = market.close_funding(now)
        if rate:
            pay_funding(state, market, rate)
    for account in state.accounts.values():
        if not account.house:
            check_maintenance(state, account)


def pay_funding(state: State, market: Market, rate: Decimal) -> None:
    """Longs pay shorts at a positive rate; rounded per lot, so the sum is exactly zero."""
    if market.last_mark is None or market.rules.backing is not Backing.MARGIN:
        return
    worth = market.last_mark * market.instrument.lot_size * market.instrument.multiplier
    per_lot = (rate * worth).quantize(_PER_LOT, ROUND_HALF_EVEN)
    for account in state.accounts.values():
        holding = account.holdings.get(market.symbol)
        if holding is None or not holding.lots:
            continue
        amount = -per_lot * holding.lots
        account.credit(amount)
        holding.funding += amount
        if not account.house:
            _tell_funding(state, account, holding, rate, amount)


def _tell_funding(
    state: State, account: Account, holding: Holding, rate: Decimal, amount: Decimal
) -> None:
    now = state.now_ns()
    payment = AccountPayment(
        number=state.new_payment(),
        account=account.name,
        kind=PaymentKind.FUNDING,
        amount=amount,
        at_ms=now // NS_PER_MS,
        symbol=holding.symbol,
        position_id=holding.position_id,
        rate=rate,
        lots=holding.lots,
        mark=state.markets[holding.symbol].last_mark,
    )
    account.payments.append(payment)
    state.log.record(
        FundingPaid(
            sequence=state.log.next_sequence(),
            at_ns=now,
            account=account.name,
            payment=payment.number,
            symbol=holding.symbol,
            rate=rate,
            lots=holding.lots,
            amount=amount,
        )
    )


def check_maintenance(state: State, account: Account) -> None:
    """Liquidate an account whose equity under the mark is below maintenance.

    Only what is backed by margin is closed, the rest being paid for. An account is left alone
    while one of its markets has no mark: nothing then says what it has.
    """
    held = [
        holding
        for holding in account.holdings.values()
        if holding.lots and state.markets[holding.symbol].rules.backing is Backing.MARGIN
    ]
    now = state.now_ns()
    if not held or any(state.markets[each.symbol].mark(now) is None for each in held):
        return
    before = standing(state, account)
    if before.equity < before.maintenance:
        liquidate(state, account, held, before)


def liquidate(state: State, account: Account, held: list[Holding], before: Standing) -> None:
    """Cancel everything, close against the book, insure what is missing; resumes at the next tick.

    Told only when something moved, so that an empty book does not fill the log.
    """
    sequence = state.log.sequence
    for order in tuple(account.orders.values()):
        if not _owned(state, order.symbol):
            state.withdraw(state.markets[order.symbol], order, CancelReason.LIQUIDATION)
    for holding in held:
        _close(state, account, holding)
    shortfall = ZERO
    open_still = any(
        each.lots for each in account.holdings.values() if not _owned(state, each.symbol)
    )
    if account.collateral < 0 and not open_still:
        shortfall = -account.collateral
        account.credit(shortfall)
        state.insurance -= shortfall
    if state.log.sequence == sequence and not shortfall:
        return
    state.log.record(
        Liquidated(
            sequence=state.log.next_sequence(),
            at_ns=state.now_ns(),
            account=account.name,
            equity=before.equity,
            maintenance_margin=before.maintenance,
            shortfall=shortfall,
        )
    )


def _owned(state: State, symbol: str) -> bool:
    return state.markets[symbol].rules.backing is Backing.OWNED


def _close(state: State, account: Account, holding: Holding) -> None:
    market = state.markets[holding.symbol]
    side = Side.SELL if holding.lots > 0 else Side.BUY
    if not market.tradable or market.book.against(side).best is None:
        return
    request = OrderRequest(
        symbol=holding.symbol,
        side=side,
        lots=abs(holding.lots),
        kind=OrderKind.MARKET,
        reduce_only=True,
        tag=LIQUIDATION_TAG,
    )
    execute(state, account, request, Verdict(lots=request.lots, limit=None))
