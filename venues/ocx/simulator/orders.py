"""Single orders: place, preview, list, cancel, cancel-all, and closing a position."""

from typing import Any

from desk.orders import RejectReason, TimeInForce
from desk.units import Side
from venues.ocx.simulator import shapes
from venues.ocx.simulator.answers import Answer, ApiError, Rejection
from venues.ocx.simulator.bodies import MarginMode, client_order_id, lots_of, read_order
from venues.ocx.simulator.calls import Call, Route
from venues.ocx.simulator.credentials import Access
from venues.ocx.simulator.market_data import volume_30d
from venues.ocx.simulator.world import World
from venues.simulation.faults import Fault, FaultKind
from venues.simulation.orders import (
    Order,
    OrderKind,
    OrderReport,
    OrderRequest,
    OrderStatus,
)

_IOC = TimeInForce.IOC
_FOK = TimeInForce.FOK
_INJECTED = {
    FaultKind.MARGIN_REJECT: Rejection(
        reason=RejectReason.MARGIN,
        message="insufficient margin",
        details={"required": "1000000", "available": "0"},
    ),
    FaultKind.POST_ONLY_REJECT: Rejection(
        reason=RejectReason.POST_ONLY, message="a post-only order would take liquidity"
    ),
    FaultKind.DUPLICATE_ID: Rejection(
        reason=RejectReason.DUPLICATE, message="clientOrderId was used before"
    ),
}


def injected(fault: Fault) -> ApiError:
    """The refusal a reject fault stands for."""
    return _INJECTED[fault.kind].error()


def place(world: World, call: Call) -> Answer:
    """`POST /perps/orders`: 201 with where the order stands."""
    request = read_order(world, call.fields, symbol=call.fields.needed("marketId"))
    fault = world.faults.take(call.site, *_INJECTED)
    if fault is not None:
        raise injected(fault)
    return _submit(world, call, request)


def preview(world: World, call: Call) -> Answer:
    """`POST /perps/orders/preview`: what would happen, changing nothing."""
    request = read_order(world, call.fields, symbol=call.fields.needed("marketId"))
    instrument = world.instrument(request.symbol)
    seen = world.engine.preview(call.account, request)
    maker = not _takes(world, request)
    rate = instrument.maker_fee_bps if maker else instrument.taker_fee_bps
    body: dict[str, Any] = {
        "notional": shapes.money(seen.notional),
        "marginRequired": shapes.money(seen.margin_required),
        "estFee": shapes.money(seen.notional * rate / 10_000),
        "feeBps": shapes.money(rate),
        "feeRole": "maker" if maker else "taker",
        "volume30d": shapes.money(volume_30d(world, call.account)),
        "approved": seen.approved,
    }
    if seen.report is not None and not seen.approved:
        body["reason"] = rejection(seen.report).code
    return Answer(body=body)


def open_orders(world: World, call: Call) -> Answer:
    """`GET /perps/orders`: resting orders, oldest first."""
    symbol = call.query.get("marketId")
    if symbol is not None:
        world.instrument(symbol)
    resting = world.engine.open_orders(call.account, symbol)
    return Answer(body=[shapes.order(world.instrument(one.symbol), one) for one in resting])


def cancel_one(world: World, call: Call) -> Answer:
    """`POST /perps/orders/{id}/cancel`: 404 when it rests no more."""
    order = world.engine.find_order(call.account, order_id=call.path_id)
    if order is not None:
        _race(world, call, [order])
    gone = world.engine.cancel(call.account, order_id=call.path_id)
    if not gone:
        raise ApiError(404, "UNKNOWN_ORDER", f"no open order {call.path_id}")
    shown = shapes.order(world.instrument(gone[0].symbol), gone[0])
    return Answer(body=shown | {"status": OrderStatus.CANCELLED.value})


def cancel_all(world: World, call: Call) -> Answer:
    """`POST /perps/orders/cancel-all`: scope fields combine with AND, none means everything."""
    fields = call.fields
    symbol, tag = fields.text("marketId"), fields.text("quoteId")
    name = client_order_id(world, fields)
    mode = None
    if fields.text("marginMode") is not None:
        mode = fields.choice("marginMode", MarginMode, None).value
    if symbol is not None:
        world.instrument(symbol)
    _race(world, call, _matching(world, call.account, symbol, tag, name))
    gone = world.engine.cancel(
        call.account, symbol=symbol, tag=tag, client_order_id=name, margin_mode=mode
    )
    return Answer(body={"cancelled": len(gone), "orderIds": [one.order_id for one in gone]})


def close_position(world: World, call: Call) -> Answer:
    """`POST /perps/positions/close`: a reduce-only market order, for all without a quantity."""
    fields = call.fields
    symbol = fields.needed("marketId")
    instrument = world.instrument(symbol)
    held = world.engine.position(call.account, symbol).lots
    quantity = fields.decimal("quantity")
    if held == 0:
        raise Rejection(
            reason=RejectReason.REDUCE_ONLY, message=f"there is no position in {symbol}"
        ).error()
    lots = abs(held) if quantity is None else lots_of(world, instrument, quantity)
    request = OrderRequest(
        symbol=symbol,
        side=Side.SELL if held > 0 else Side.BUY,
        lots=min(lots, abs(held)),
        kind=OrderKind.MARKET,
        time_in_force=_IOC,
        reduce_only=True,
        client_order_id=client_order_id(world, fields),
    )
    return _submit(world, call, request)


def rejection(report: OrderReport) -> Rejection:
    """A report's refusal in the venue's words."""
    reason = report.reason or RejectReason.OTHER
    return Rejection(reason=reason, message=report.message, details=report.details)


def _submit(world: World, call: Call, request: OrderRequest) -> Answer:
    world.arrive(call.site, call.account, request)
    report = world.engine.submit(call.account, request)
    unfilled_fok = (
        report.reason is RejectReason.NOT_FILLED and request.time_in_force is _FOK
    ) and world.settings.fok_rejects
    if not report.accepted or unfilled_fok:
        raise rejection(report).error()
    return Answer(status=201, body=shapes.report(world.instrument(request.symbol), report))


def _takes(world: World, request: OrderRequest) -> bool:
    if request.price is None:
        return True
    bids, asks = world.engine.book(request.symbol, 1)
    if request.side is Side.BUY:
        return bool(asks) and request.price >= asks[0][0]
    return bool(bids) and request.price <= bids[0][0]


def _matching(
    world: World, account: str, symbol: str | None, tag: str | None, name: str | None
) -> list[Order]:
    return [
        order
        for order in world.engine.open_orders(account, symbol)
        if tag in {None, order.tag} and name in {None, order.client_order_id}
    ]


def _race(world: World, call: Call, orders: list[Order]) -> None:
    if not orders:
        return
    fault = world.faults.take(call.site, FaultKind.FILL_RACING_CANCEL)
    if fault is not None:
        world.race(call.account, orders, fault)


ROUTES = (
    Route(method="POST", path="/perps/orders", handler=place, access=Access.ORDER, limited=True),
    Route(method="GET", path="/perps/orders", handler=open_orders, access=Access.READ),
    Route(method="POST", path="/perps/orders/preview", handler=preview, access=Access.QUOTE),
    Route(
        method="POST",
        path="/perps/orders/cancel-all",
        handler=cancel_all,
        access=Access.QUOTE,
        limited=True,
    ),
    Route(
        method="POST",
        path="/perps/orders/{id}/cancel",
        handler=cancel_one,
        access=Access.ORDER,
        limited=True,
    ),
    Route(
        method="POST",
        path="/perps/positions/close",
        handler=close_position,
        access=Access.ORDER,
        limited=True,
    ),
)
