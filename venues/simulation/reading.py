"""Turning the engine's state into views and previews; reading changes nothing."""

from venues.simulation.accounts import ZERO, Account, Holding
from venues.simulation.admission import Plan, Rejection, judge, locked, rejected
from venues.simulation.margin import Standing, price_of, unrealized
from venues.simulation.market import Market
from venues.simulation.orders import OrderRequest, Preview
from venues.simulation.state import State
from venues.simulation.views import BalanceView, Bucket, PositionView


def position_view(market: Market, holding: Holding, now_ns: int) -> PositionView:
    """A holding as shown."""
    entry, mark = holding.entry_ticks(), market.mark(now_ns)
    return PositionView(
        position_id=holding.position_id,
        account=holding.account,
        symbol=holding.symbol,
        lots=holding.lots,
        entry_price=None if entry is None else entry * market.instrument.tick_size,
        realized_pnl=holding.realized,
        unrealized_pnl=None if mark is None else unrealized(market, holding),
        mark=mark,
        fees=holding.fees,
        funding=holding.funding,
        updated_ms=holding.updated_ms,
    )


def balance_view(account: Account, standing: Standing) -> BalanceView:
    """An account's money as shown."""
    return BalanceView(
        account=account.name,
        wallet=account.buckets[Bucket.WALLET],
        collateral=account.collateral,
        options=account.buckets[Bucket.OPTIONS],
        spot=account.buckets[Bucket.SPOT],
        equity=standing.equity,
        available=standing.available,
        initial_margin=standing.initial,
        maintenance_margin=standing.maintenance,
        unrealized_pnl=standing.unrealized,
    )


def preview(state: State, account: Account, request: OrderRequest) -> Preview:
    """What an order would meet; figures are zero for an unknown market."""
    verdict = judge(state, account, request, Plan())
    report = rejected(request, verdict) if isinstance(verdict, Rejection) else None
    lots = request.lots if isinstance(verdict, Rejection) else verdict.lots
    market = state.markets.get(request.symbol)
    plan = Plan()
    zero = ZERO
    if market is None:
        return Preview(
            approved=False, notional=zero, margin_required=zero, available=zero, report=report
        )
    added, standing = locked(state, account, request, lots, plan)
    instrument = market.instrument
    price = price_of(market) if request.price is None else instrument.price(request.price)
    return Preview(
        approved=report is None,
        notional=price * instrument.quantity(lots) * instrument.multiplier,
        margin_required=zero if request.reduce_only else max(zero, added),
        available=standing.available,
        report=report,
    )
