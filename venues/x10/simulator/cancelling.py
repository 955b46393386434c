"""Cancels and the dead-man switch (x10.md sections 9 and 10): the API key alone is enough.

OK means that the request was accepted; the order's own event is the final word.
"""

from desk.units import NS_PER_MS, NS_PER_S
from venues.simulation.events import CancelReason
from venues.simulation.faults import FaultKind
from venues.x10.simulator.bodies import MassCancelBody, mass_cancel_body
from venues.x10.simulator.calls import Answer, Call, Route
from venues.x10.simulator.codes import ApiRefused, Code
from venues.x10.simulator.limits import check_maintenance
from venues.x10.simulator.register import OrderRecord
from venues.x10.simulator.settings import CountdownUnit, MixedSelectors, UnknownCancel
from venues.x10.simulator.world import World


def cancel_by_number(world: World, call: Call) -> Answer:
    """`DELETE /user/order/{id}`."""
    text = call.parts["id"]
    if not text.isdecimal():
        raise ApiRefused(Code.BAD_REQUEST, "id")
    return _cancel(world, call, world.register.of(call.account).by_number.get(int(text)))


def cancel_by_external_id(world: World, call: Call) -> Answer:
    """`DELETE /user/order?externalId=`."""
    name = call.text("externalId")
    if not name:
        raise ApiRefused(Code.BAD_REQUEST, "externalId")
    return _cancel(world, call, world.register.of(call.account).by_external.get(name))


def mass_cancel(world: World, call: Call) -> Answer:
    """`POST /user/order/massCancel`: applied a little later, to what rests then."""
    body = mass_cancel_body(call.raw)
    check_maintenance(world, call.account, None)
    account = call.account
    world.agenda.after(
        world.settings.orders.mass_cancel_delay_s, lambda: _sweep(world, account, body)
    )
    return Answer()


def dead_man(world: World, call: Call) -> Answer:
    """`POST /user/deadmanswitch?countdownTime=`: each call restarts the countdown, 0 disarms."""
    countdown = call.whole("countdownTime")
    if countdown is None:
        raise ApiRefused(Code.BAD_REQUEST, "countdownTime")
    rules = world.settings.dead_man
    unit_ns = NS_PER_S if rules.unit is CountdownUnit.SECONDS else NS_PER_MS
    due_ns = world.clock.now_ns() + countdown * unit_ns if countdown else None
    world.engine.timers.set(call.account, due_ns)
    return Answer(empty=rules.empty_body)


def _cancel(world: World, call: Call, record: OrderRecord | None) -> Answer:
    check_maintenance(world, call.account, None if record is None else record.symbol)
    if record is not None and record.open:
        fault = world.faults.take(call.site, FaultKind.FILL_RACING_CANCEL)
        if fault is not None:
            world.race(call.account, record, fault)
    if record is None or not record.open:
        if world.settings.answers.unknown_cancel is UnknownCancel.OK:
            return Answer()
        raise ApiRefused(Code.NOT_FOUND, "order")
    world.cancel(record, CancelReason.ASKED)
    return Answer()


def _sweep(world: World, account: str, body: MassCancelBody) -> None:
    everything = bool(body.cancel_all)
    named = body.order_ids or body.external_order_ids or body.markets
    if named and world.settings.orders.mixed_selectors is MixedSelectors.SELECTED:
        everything = False
    for record in list(world.register.of(account).open.values()):
        if everything or _selected(body, record):
            world.cancel(record, CancelReason.ASKED)


def _selected(body: MassCancelBody, record: OrderRecord) -> bool:
    return (
        record.number in (body.order_ids or ())
        or record.external_id in (body.external_order_ids or ())
        or record.symbol in (body.markets or ())
    )


ROUTES = (
    Route(method="DELETE", path="/user/order/{id}", handler=cancel_by_number, orders=True),
    Route(method="DELETE", path="/user/order", handler=cancel_by_external_id, orders=True),
    Route(method="POST", path="/user/order/massCancel", handler=mass_cancel, orders=True),
    Route(method="POST", path="/user/deadmanswitch", handler=dead_man),
)
