"""Executing an order that was found acceptable: price, then time, at the resting price."""

from collections import defaultdict

from desk.orders import RejectReason, TimeInForce
from desk.units import Lots, Ticks
from venues.simulation.accounts import Account
from venues.simulation.admission import Verdict
from venues.simulation.book import LiveOrder, within
from venues.simulation.events import CancelReason, OrderAccepted
from venues.simulation.market import Market
from venues.simulation.orders import OrderReport, OrderRequest, OrderStatus
from venues.simulation.rules import SelfTrade
from venues.simulation.state import State


def execute(state: State, account: Account, request: OrderRequest, verdict: Verdict) -> OrderReport:
    """Take the order: match what can be matched, rest or drop the remainder."""
    market = state.markets[request.symbol]
    account.holding(market.instrument)
    order = _make(state, account, request, verdict)
    if request.client_order_id is not None:
        account.use(request.client_order_id)
    if not account.house:
        _tell_accepted(state, order)
    reason = CancelReason.NOT_FILLED
    fill_or_kill = request.time_in_force is TimeInForce.FOK
    if not fill_or_kill or fillable(state, market, order, verdict.limit) >= order.lots:
        reason = sweep(state, market, order, verdict.limit)
    return _settle(state, market, order, reason)


def _make(state: State, account: Account, request: OrderRequest, verdict: Verdict) -> LiveOrder:
    return LiveOrder(
        order_id=state.new_order_id(),
        client_order_id=request.client_order_id,
        account=account.name,
        symbol=request.symbol,
        side=request.side,
        price=request.price,
        lots=verdict.lots,
        remaining=verdict.lots,
        time_in_force=TimeInForce.IOC if request.price is None else request.time_in_force,
        post_only=request.post_only,
        reduce_only=request.reduce_only,
        binds=verdict.binds,
        tag=request.tag,
        source=request.source,
        margin_mode=request.margin_mode,
        self_trade=request.self_trade,
        self_trade_wide=request.self_trade_wide,
        created_ns=state.now_ns(),
    )


def _tell_accepted(state: State, order: LiveOrder) -> None:
    state.log.record(
        OrderAccepted(
            sequence=state.log.next_sequence(),
            at_ns=order.created_ns,
            account=order.account,
            symbol=order.symbol,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            side=order.side,
            price=order.price,
            lots=order.lots,
            time_in_force=order.time_in_force,
            post_only=order.post_only,
            reduce_only=order.reduce_only,
            tag=order.tag,
            source=order.source,
        )
    )


def sweep(state: State, market: Market, order: LiveOrder, limit: Ticks | None) -> CancelReason:
    """Trade with whatever rests within the limit; returns why a remainder would have to go."""
    against = market.book.against(order.side)
    mode = self_trade_mode(state, market, order)
    while order.remaining:
        maker = against.first()
        if maker is None or maker.price is None or not within(order.side, limit, maker.price):
            break
        if mode is SelfTrade.NONE or not _own(state, maker, order):
            state.trade(market, maker, order, min(order.remaining, maker.remaining))
            continue
        if mode is not SelfTrade.CANCEL_NEWEST:
            state.withdraw(market, maker, CancelReason.SELF_TRADE)
        if mode is not SelfTrade.CANCEL_OLDEST:
            return CancelReason.SELF_TRADE
    return CancelReason.NOT_FILLED


def self_trade_mode(state: State, market: Market, order: LiveOrder) -> SelfTrade:
    """The rule that holds for this taker: the crowd never trades with itself."""
    if state.accounts[order.account].house:
        return SelfTrade.CANCEL_OLDEST
    return market.rules.self_trade if order.self_trade is None else order.self_trade


def _own(state: State, maker: LiveOrder, taker: LiveOrder) -> bool:
    """Whether the taker must not trade with this order."""
    if maker.account == taker.account:
        return True
    accounts = state.accounts
    return taker.self_trade_wide and (
        accounts[maker.account].owner == accounts[taker.account].owner
    )


def fillable(state: State, market: Market, order: LiveOrder, limit: Ticks | None) -> Lots:
    """Lots that would fill now, counting how reduce-only makers shrink on the way."""
    mode = self_trade_mode(state, market, order)
    moved: defaultdict[str, Lots] = defaultdict(int)
    total = 0
    for maker in market.book.against(order.side).orders(limit):
        if total >= order.lots:
            break
        if mode is not SelfTrade.NONE and _own(state, maker, order):
            if mode is SelfTrade.CANCEL_OLDEST:
                continue
            break
        lots = min(maker.remaining, order.lots - total)
        if maker.reduce_only:
            held = state.accounts[maker.account].holdings[market.symbol].lots
            held += moved[maker.account]
            lots = min(lots, max(0, -held * maker.side.sign))
        moved[maker.account] += maker.side.sign * lots
        moved[order.account] += order.side.sign * lots
        total += lots
    return total


def _settle(state: State, market: Market, order: LiveOrder, reason: CancelReason) -> OrderReport:
    """Rest or drop the remainder, and report."""
    status = OrderStatus.FILLED
    dropped = 0
    stays = order.time_in_force is TimeInForce.GTC and reason is not CancelReason.SELF_TRADE
    if order.remaining and stays and order.price is not None:
        state.rest(market, order, order.price)
        status = OrderStatus.PARTIALLY_FILLED if order.filled else OrderStatus.OPEN
    elif order.remaining:
        dropped, order.remaining = order.remaining, 0
        state.tell_cancelled(order, reason, dropped)
        status = OrderStatus.CANCELLED
    nothing = dropped > 0 and order.filled == 0
    tick = market.instrument.tick_size
    return OrderReport(
        symbol=order.symbol,
        client_order_id=order.client_order_id,
        status=status,
        order_id=order.order_id,
        filled=order.filled,
        remaining=order.remaining,
        average_price=tick * order.cost / order.filled if order.filled else None,
        reason=RejectReason.NOT_FILLED if nothing else None,
        message=f"not filled: {reason.value}" if nothing else "",
    )
