"""What happens because time passes: timers, funding, liquidation, expiry.

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
    if market.last_mark is None:
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

    An account is left alone while one of its markets has no mark: nothing then says what it has.
    """
    held = [holding for holding in account.holdings.values() if holding.lots]
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
        state.withdraw(state.markets[order.symbol], order, CancelReason.LIQUIDATION)
    for holding in held:
        _close(state, account, holding)
    shortfall = ZERO
    if account.collateral < 0 and not any(each.lots for each in account.holdings.values()):
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


def expire(state: State, market: Market) -> None:
    """Cancel everything and settle all positions at one price; does nothing the second time."""
    if market.expired:
        return
    market.expired = True
    for rests in (market.book.bids, market.book.asks):
        for order in list(rests.orders()):
            state.withdraw(market, order, CancelReason.EXPIRED)
    price = market.last_mark if market.last_mark is not None else market.last_index()
    holdings = [
        (account, account.holdings[market.symbol])
        for account in state.accounts.values()
        if market.symbol in account.holdings and account.holdings[market.symbol].lots
    ]
    if not holdings:
        return
    if price is None:
        raise ValueError(f"market {market.symbol} has positions but no price to settle at")
    ticks = int((price / market.instrument.tick_size).to_integral_value(ROUND_HALF_EVEN))
    for account, holding in holdings:
        side = Side.SELL if holding.lots > 0 else Side.BUY
        account.credit(holding.apply(side, ticks, abs(holding.lots), state.now_ns() // NS_PER_MS))
        if not account.house:
            state.tell_position(market, holding)
