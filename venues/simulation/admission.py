"""Whether an order would be taken, and how much of it. Asking changes nothing.

A plan lets several orders be judged as one step: old orders already gone, new ones already there.
"""

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from desk.orders import RejectReason, TimeInForce
from desk.units import BPS, Lots, Side, Ticks
from venues.simulation import spot
from venues.simulation.accounts import Account
from venues.simulation.book import LiveOrder, within
from venues.simulation.margin import Standing, requirement, standing
from venues.simulation.market import Market
from venues.simulation.offers import Offers
from venues.simulation.orders import OrderKind, OrderReport, OrderRequest, OrderStatus
from venues.simulation.rules import Backing
from venues.simulation.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why an order is refused."""

    reason: RejectReason
    message: str
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Lots that may be placed and the worst price a market order may reach (None: any).

    `binds` is False where nothing need stand behind the order: with margin, if it only reduces.
    """

    lots: Lots
    limit: Ticks | None
    binds: bool = True


@dataclass(slots=True, kw_only=True)
class Plan:
    """What is to happen in the same step before the order at hand.

    `gone` holds ids of orders that will have left; `offers` are the changes of what is offered;
    `takes` becomes True when an order would trade, because what follows is then a guess.
    """

    gone: frozenset[str] = frozenset()
    offers: Offers = field(default_factory=Offers)
    best_bid: Ticks | None = None
    best_ask: Ticks | None = None
    client_ids: set[str] = field(default_factory=set)
    takes: bool = False
    standing: Standing | None = None

    def add(self, request: OrderRequest, verdict: Verdict) -> None:
        """Count an order as placed."""
        if request.client_order_id is not None:
            self.client_ids.add(request.client_order_id)
        if verdict.binds:
            self.offers.add(request.side, request.price or 0, verdict.lots)
        if request.price is None:
            return
        if request.side is Side.BUY:
            self.best_bid = max(self.best_bid or request.price, request.price)
        else:
            self.best_ask = min(self.best_ask or request.price, request.price)


def judge(state: State, account: Account, request: OrderRequest, plan: Plan) -> Verdict | Rejection:
    """Test one order against every rule, in the order a venue would."""
    market = state.markets.get(request.symbol)
    if market is None:
        return Rejection(
            reason=RejectReason.UNKNOWN_MARKET, message=f"unknown market {request.symbol}"
        )
    low, high = price_band(market, state.now_ns())
    refused = (
        _shape(request)
        or _duplicate(account, request, plan)
        or _closed(market)
        or _size(market, request)
        or _band(request, low, high)
    )
    if refused is not None:
        return refused
    lots = _reduced(market, account, request)
    if isinstance(lots, Rejection):
        return lots
    crossing = crosses(market, request, plan)
    if crossing and request.post_only:
        return Rejection(
            reason=RejectReason.POST_ONLY, message="post-only order would take liquidity"
        )
    # Without margin, what an exit hands over may stand behind another order that rests.
    binds = not request.reduce_only or market.rules.backing is not Backing.MARGIN
    if binds and not account.house:
        refused = _backed(state, account, request, lots, plan)
        if refused is not None:
            return refused
    plan.takes = plan.takes or crossing
    limit = (high if request.side is Side.BUY else low) if request.price is None else request.price
    return Verdict(lots=lots, limit=limit, binds=binds)


def rejected(request: OrderRequest, why: Rejection) -> OrderReport:
    """The report of a refusal."""
    return OrderReport(
        symbol=request.symbol,
        client_order_id=request.client_order_id,
        status=OrderStatus.REJECTED,
        reason=why.reason,
        message=why.message,
        details=why.details,
    )


def _shape(request: OrderRequest) -> Rejection | None:
    problem = ""
    if request.lots <= 0:
        problem = "size must be positive"
    elif (request.kind is OrderKind.MARKET) != (request.price is None):
        problem = "limit orders need a price and market orders have none"
    elif request.price is not None and request.price <= 0:
        problem = "price must be positive"
    elif request.post_only and (
        request.kind is OrderKind.MARKET or request.time_in_force is not TimeInForce.GTC
    ):
        problem = "post-only orders must be able to rest"
    return Rejection(reason=RejectReason.INVALID, message=problem) if problem else None


def _duplicate(account: Account, request: OrderRequest, plan: Plan) -> Rejection | None:
    name = request.client_order_id
    if name is None or not (account.used(name) or name in plan.client_ids):
        return None
    return Rejection(
        reason=RejectReason.DUPLICATE, message=f"client order id {name} was used before"
    )


def _closed(market: Market) -> Rejection | None:
    if market.tradable:
        return None
    word = "expired" if market.expired else "halted"
    return Rejection(reason=RejectReason.HALTED, message=f"market {market.symbol} is {word}")


def _size(market: Market, request: OrderRequest) -> Rejection | None:
    if request.reduce_only:
        return None
    instrument = market.instrument
    if request.lots < instrument.min_lots:
        message = f"size is below the minimum of {instrument.quantity(instrument.min_lots)}"
        return Rejection(reason=RejectReason.INVALID, message=message)
    too_little = (
        request.price is not None
        and instrument.notional(request.price, request.lots) < instrument.min_notional
    )
    if too_little:
        message = f"notional is below the minimum of {instrument.min_notional}"
        return Rejection(reason=RejectReason.INVALID, message=message)
    return None


def price_band(market: Market, now_ns: int) -> tuple[Ticks | None, Ticks | None]:
    """Lowest and highest price an order may name: the tighter of the fixed and the moving band."""
    instrument, bps = market.instrument, market.rules.price_band_bps
    low, high = instrument.band_low, instrument.band_high
    mark = None if bps is None else market.mark(now_ns)
    if bps is None or mark is None:
        return low, high
    reach = mark * bps / BPS
    floor = _ticks((mark - reach) / instrument.tick_size, ROUND_CEILING)
    ceiling = _ticks((mark + reach) / instrument.tick_size, ROUND_FLOOR)
    return (
        floor if low is None else max(low, floor),
        ceiling if high is None else min(high, ceiling),
    )


def _ticks(price: Decimal, rounding: str) -> Ticks:
    return int(price.to_integral_value(rounding))


def _band(request: OrderRequest, low: Ticks | None, high: Ticks | None) -> Rejection | None:
    price = request.price
    if price is None or ((low is None or price >= low) and (high is None or price <= high)):
        return None
    return Rejection(
        reason=RejectReason.PRICE_BAND,
        message=f"price of {price} ticks is outside the band {low} to {high}",
    )


def _reduced(market: Market, account: Account, request: OrderRequest) -> Lots | Rejection:
    """Lots to place: a reduce-only order is trimmed to the position."""
    if not request.reduce_only:
        return request.lots
    holding = account.holdings.get(market.symbol)
    most = 0 if holding is None else holding.reducible(request.side)
    if most == 0:
        return Rejection(
            reason=RejectReason.REDUCE_ONLY, message="there is no position this order would reduce"
        )
    return min(request.lots, most)


def crosses(market: Market, request: OrderRequest, plan: Plan) -> bool:
    """Whether the order would trade at once."""
    planned = plan.best_ask if request.side is Side.BUY else plan.best_bid
    if planned is not None and within(request.side, request.price, planned):
        return True
    if not plan.gone:
        return market.book.crosses(request.side, request.price)
    return any(
        order.order_id not in plan.gone
        for order in market.book.against(request.side).orders(request.price)
    )


def _backed(
    state: State, account: Account, request: OrderRequest, lots: Lots, plan: Plan
) -> Rejection | None:
    market = state.markets[request.symbol]
    if market.rules.backing is Backing.OWNED:
        more = plan.offers.plus(request.side, _worst(market, request, lots), lots)
        lacking = spot.lacking(state, account, market, request.side, plan.offers, more)
        if lacking is None:
            return None
        return _insufficient(lacking.currency, lacking.required, lacking.available)
    added, now = locked(state, account, request, lots, plan)
    if added <= 0 or now.initial + added <= now.equity:
        return None
    return _insufficient("margin", added, now.available)


def _insufficient(what: str, required: Decimal, available: Decimal) -> Rejection:
    return Rejection(
        reason=RejectReason.MARGIN,
        message=f"insufficient {what}: required {required:f}, available {available:f}",
        details={"required": f"{required:f}", "available": f"{available:f}"},
    )


def _worst(market: Market, request: OrderRequest, lots: Lots) -> Ticks:
    """The limit, or as far as a market order would reach into the book of now."""
    if request.price is not None or market.rules.backing is Backing.MARGIN:
        return request.price or 0
    reached = 0
    for price, there in market.book.against(request.side).levels():
        reached, lots = price, lots - there
        if lots <= 0:
            break
    return reached


def locked(
    state: State, account: Account, request: OrderRequest, lots: Lots, plan: Plan
) -> tuple[Decimal, Standing]:
    """Margin the order adds to the plan so far, and the account's standing under that plan."""
    if plan.standing is None:
        plan.standing = standing(state, account)
    market = state.markets[request.symbol]
    holding, price = account.holdings.get(market.symbol), request.price
    more = plan.offers.plus(request.side, _worst(market, request, lots), lots)
    real = requirement(market, holding, Offers(), price)
    before = requirement(market, holding, plan.offers, price)
    after = requirement(market, holding, more, price)
    known = plan.standing
    planned = Standing(
        equity=known.equity,
        initial=known.initial - real + before,
        maintenance=known.maintenance,
        unrealized=known.unrealized,
    )
    return after - before, planned


def released(orders: list[LiveOrder]) -> Plan:
    """A plan in which these resting orders are gone and their margin is free."""
    plan = Plan(gone=frozenset(order.order_id for order in orders))
    for order in orders:
        if order.binds:
            plan.offers.add(order.side, order.price or 0, -order.remaining)
    return plan
