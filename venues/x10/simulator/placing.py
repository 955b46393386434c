"""`POST /user/order`: a fresh order, or the replacement of a resting one (x10.md sections 6 and 8).

Level A: an error answers and nothing changed. Level B: accepted, then the engine ends what it can
not take, and with a replacement the old order too.
"""

from dataclasses import dataclass

from desk.orders import RejectReason, TimeInForce
from venues.simulation.events import CancelReason
from venues.simulation.faults import Fault, FaultKind
from venues.simulation.orders import OrderReport, OrderRequest
from venues.simulation.rules import SelfTrade
from venues.x10.simulator.asked import Asked, read_order
from venues.x10.simulator.bodies import order_body
from venues.x10.simulator.calls import Answer, Call, Route
from venues.x10.simulator.codes import ApiRefused, Code
from venues.x10.simulator.limits import check_limits, check_modes
from venues.x10.simulator.register import OrderRecord, Status
from venues.x10.simulator.settings import CarryOver
from venues.x10.simulator.world import World

_REFUSALS = (FaultKind.ORDER_REFUSED, FaultKind.MARGIN_REJECT, FaultKind.DUPLICATE_ID)
_REJECTS = (FaultKind.ENGINE_REJECT, FaultKind.POST_ONLY_REJECT)
_CODES = {
    RejectReason.MARGIN: Code.COST_EXCEEDS_BALANCE,
    RejectReason.HALTED: Code.MARKET_DISABLED,
    RejectReason.DUPLICATE: Code.DUPLICATE_ORDER,
    RejectReason.REDUCE_ONLY: Code.REDUCE_ONLY_NO_POSITION,
}
_REASONS = {
    RejectReason.MARGIN: "NOT_ENOUGH_FUNDS",
    RejectReason.HALTED: "DISABLED_MARKET",
    RejectReason.REDUCE_ONLY: "REDUCE_ONLY_FAILED",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One order on its way into the engine, and the one it is to replace."""

    asked: Asked
    record: OrderRecord
    old: OrderRecord | None


def place(world: World, call: Call) -> Answer:
    """Validate, book, and say that it was accepted."""
    _strike(world, call)
    body = order_body(call.raw)
    market = world.market(body.market)
    asked = read_order(
        world.settings,
        market,
        call.who,
        body,
        world.clock.told_ms(),
    )
    check_modes(world, call.account, asked)
    book = world.register.of(call.account)
    if book.used(asked.external_id, asked.message):
        raise ApiRefused(Code.DUPLICATE_ORDER)
    old = _previous(world, call, asked)
    check_limits(world, call.account, asked, old)
    step = _Step(asked=asked, record=_record(world, call.account, asked, old), old=old)
    if old is None and world.settings.orders.booking_delay_s > 0:
        book.use(asked.external_id, asked.message)
        world.agenda.after(
            world.settings.orders.booking_delay_s, lambda: _book_late(world, call, step)
        )
    else:
        _book(world, call, step)
        book.use(asked.external_id, asked.message)
    return Answer(data={"id": step.record.number, "externalId": asked.external_id})


def _strike(world: World, call: Call) -> None:
    fault = world.faults.take(call.site, *_REFUSALS)
    if fault is None:
        return
    codes = {
        FaultKind.MARGIN_REJECT: Code.COST_EXCEEDS_BALANCE,
        FaultKind.DUPLICATE_ID: Code.DUPLICATE_ORDER,
    }
    raise ApiRefused(fault.code or codes.get(fault.kind, Code.INVALID_PARAMETERS))


def _previous(world: World, call: Call, asked: Asked) -> OrderRecord | None:
    """The open order to replace; ApiRefused 1142 when it is not open (section 8.3)."""
    if asked.previous is None:
        return None
    old = world.register.of(call.account).by_external.get(asked.previous)
    if old is not None and old.open:
        fault = world.faults.take(call.site, FaultKind.FILL_RACING_REPLACE)
        if fault is not None:
            world.race(call.account, old, fault)
    if old is None or not old.open:
        raise ApiRefused(Code.EDIT_ORDER_NOT_FOUND)
    if (old.symbol, old.side) != (asked.market.symbol, asked.side):
        raise ApiRefused(Code.INVALID_PARAMETERS, "cancelId")
    return old


def _record(world: World, account: str, asked: Asked, old: OrderRecord | None) -> OrderRecord:
    now_ms = world.clock.told_ms()
    total = world.settings.orders.carry_over is CarryOver.TOTAL
    carried = min(old.filled, asked.lots) if old is not None and total else 0
    return OrderRecord(
        number=world.numbers.order(),
        external_id=asked.external_id,
        account=account,
        symbol=asked.market.symbol,
        kind="MARKET" if asked.market_order else "LIMIT",
        side=asked.side,
        lots=asked.lots,
        price=asked.price,
        reduce_only=asked.reduce_only,
        post_only=asked.post_only,
        time_in_force="IOC" if asked.immediate else "GTT",
        expiry_ms=asked.expiry_ms,
        created_ms=now_ms,
        updated_ms=now_ms,
        filled=carried,
        cost=carried * asked.price,
    )


def _book_late(world: World, call: Call, step: _Step) -> None:
    """Book an order that was accepted a while ago: what is wrong now can only be told."""
    try:
        _book(world, call, step)
    except ApiRefused:
        world.register.of(call.account).add(step.record)
        _reject(world, step, "NOT_ENOUGH_FUNDS")


def _book(world: World, call: Call, step: _Step) -> None:
    """Hand the order to the engine; ApiRefused when the engine's own checks refuse it."""
    world.register.of(call.account).add(step.record)
    fault = world.faults.take(call.site, *_REJECTS)
    if fault is not None:
        _turn_away(world, step, _reason_of(fault))
        return
    racing = world.faults.take(call.site, FaultKind.FILL_INSIDE_REPLACE) if step.old else None
    if racing is not None and step.old is not None:
        world.race(call.account, step.old, racing)
    if step.old is not None and not step.old.open:
        _turn_away(world, step, "PREV_ORDER_NOT_FOUND")
        return
    if step.record.filled >= step.record.lots:
        _turn_away(world, step, "INVALID_QTY")
        return
    _settle(world, step, _submit(world, step))


def _reason_of(fault: Fault) -> str:
    default = "POST_ONLY_FAILED" if fault.kind is FaultKind.POST_ONLY_REJECT else "UNKNOWN"
    return fault.reason or default


def _turn_away(world: World, step: _Step, reason: str) -> None:
    """Level B without the engine's judgement: both orders end."""
    request = _request(step)
    word = RejectReason.POST_ONLY if reason == "POST_ONLY_FAILED" else RejectReason.OTHER
    world.engine.reject(step.record.account, request, word, reason)
    if step.old is not None:
        world.cancel(step.old, CancelReason.REPLACE_FAILED)
    _reject(world, step, reason)


def _submit(world: World, step: _Step) -> OrderReport:
    request, account = _request(step), step.record.account
    if step.old is None or step.old.engine_id is None:
        return world.engine.submit(account, request)
    return world.engine.swap(account, step.old.engine_id, request).report


def _settle(world: World, step: _Step, report: OrderReport) -> None:
    if report.accepted:
        return
    if report.reason is RejectReason.POST_ONLY:
        _reject(world, step, "POST_ONLY_FAILED")
        return
    world.register.of(step.record.account).drop(step.record)
    code = Code.INVALID_PARAMETERS
    if report.reason is not None:
        code = _CODES.get(report.reason, code)
    figures = ", ".join(f"{name} {value}" for name, value in report.details.items())
    raise ApiRefused(code, figures or report.message)


def _reject(world: World, step: _Step, reason: str) -> None:
    crossing = reason == "POST_ONLY_FAILED"
    status = world.settings.orders.post_only_status if crossing else Status.REJECTED
    world.reporter.reject(step.record, status, reason)


def _request(step: _Step) -> OrderRequest:
    asked, record = step.asked, step.record
    protected = asked.protection != "DISABLED"
    return OrderRequest(
        symbol=record.symbol,
        side=record.side,
        lots=record.lots - record.filled,
        price=record.price,
        time_in_force=TimeInForce.IOC if asked.immediate else TimeInForce.GTC,
        post_only=record.post_only,
        reduce_only=record.reduce_only,
        client_order_id=record.external_id,
        self_trade=SelfTrade.CANCEL_OLDEST if protected else SelfTrade.NONE,
        self_trade_wide=asked.protection == "CLIENT",
    )


ROUTES = (
    Route(method="POST", path="/user/order", handler=place, orders=True),
    Route(method="POST", path="/user/order/rfq", handler=place, orders=True),
)
