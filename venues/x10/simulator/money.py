"""Histories of money: funding payments, and operations that bring money in or out (section 4.3).

Both are newest first and paged by the last id shown, as all lists are.
"""

from decimal import Decimal
from typing import Any

from desk.payments import PaymentKind
from venues.simulation.views import AccountPayment
from venues.x10.simulator import shapes
from venues.x10.simulator.calls import Answer, Call, Route
from venues.x10.simulator.customers import Customer
from venues.x10.simulator.numbers import payment_number
from venues.x10.simulator.reads import named, page
from venues.x10.simulator.settings import Payments
from venues.x10.simulator.world import World


def funding(world: World, call: Call) -> Answer:
    """`GET /user/funding/history`; `startTime` was `fromTime` before."""
    start = call.whole("startTime") or call.whole("fromTime") or 0
    found = world.engine.treasury.payments(call.account, start, PaymentKind.FUNDING)
    rows = [_funding(world, call.who, one) for one in reversed(found)]
    kept = [
        (each["id"], each)
        for each in rows
        if named(call, "market", each["market"]) and named(call, "side", each["side"])
    ]
    return page(call, kept, world.settings.payments.page)


def operations(world: World, call: Call) -> Answer:
    """`GET /user/assetOperations`: deposits and withdrawals; an id here is text."""
    start, end = call.whole("startTime") or 0, call.whole("endTime")
    rules, now_ms = world.settings.payments, world.clock.told_ms()
    found = world.engine.treasury.payments(call.account, start, PaymentKind.TRANSFER)
    rows = [_operation(call.who, one, rules, now_ms) for one in reversed(found)]
    kept = [
        (int(each["id"]), each)
        for each in rows
        if all(named(call, name, each[name]) for name in ("id", "type", "status"))
        and (end is None or each["time"] <= end)
    ]
    return page(call, kept, rules.page)


def _funding(world: World, customer: Customer, one: AccountPayment) -> dict[str, Any]:
    instrument = world.instrument(one.symbol or "")
    size, mark = instrument.quantity(abs(one.lots)), one.mark or Decimal(0)
    fee = -one.amount if world.settings.payments.fee_is_paid else one.amount
    return {
        "id": payment_number(one.number),
        "accountId": customer.number,
        "market": one.symbol,
        "positionId": world.numbers.position(one.position_id),
        "side": "LONG" if one.lots > 0 else "SHORT",
        "size": format(size, "f"),
        "value": shapes.plain(size * mark),
        "markPrice": shapes.plain(mark),
        "fundingFee": shapes.plain(fee, 12),
        "fundingRate": shapes.plain(one.rate, 12),
        "paidTime": one.at_ms,
    }


def _operation(
    customer: Customer, one: AccountPayment, rules: Payments, now_ms: int
) -> dict[str, Any]:
    out = one.amount < 0
    amount = one.amount if rules.withdrawals_signed else abs(one.amount)
    pending = now_ms < one.at_ms + rules.pending_s * 1_000
    return {
        "id": str(payment_number(one.number)),
        "type": "SLOW_WITHDRAWAL" if out else "DEPOSIT",
        "status": "IN_PROGRESS" if pending else "COMPLETED",
        "amount": format(amount, ".16f"),
        "fee": "0",
        "asset": 1,
        "time": one.at_ms,
        "accountId": customer.number,
    }


ROUTES = (
    Route(method="GET", path="/user/funding/history", handler=funding),
    Route(method="GET", path="/user/assetOperations", handler=operations),
)
