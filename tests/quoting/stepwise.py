"""A loop at a venue that changes orders one by one and tells what became of them."""

from dataclasses import replace
from decimal import Decimal

from desk.orders import Batch, BatchOutcome, NewOrder, OrderOutcome, OrderUpdate, RejectReason
from desk.orders import OutcomeKind as Kind
from desk.quoting.parameters import QuoteParameters
from desk.units import NS_PER_S
from quoting.inbox import Answered
from quoting.loop import MarketLoop
from tests.quoting.builders import PARAMETERS, STEPWISE, account, book, make_loop, sent

ONE_LEVEL: QuoteParameters = replace(PARAMETERS, levels=1, requote_tolerance_bps=Decimal(0))


def update(
    order: NewOrder,
    now_ns: int,
    *,
    resting: bool = True,
    filled: int = 0,
    reason: RejectReason | None = None,
) -> OrderUpdate:
    """What the venue pushes about one order."""
    return OrderUpdate(
        client_order_id=order.client_order_id,
        venue_order_id="1",
        remaining=order.lots - filled if resting else 0,
        filled=filled,
        resting=resting,
        reason=reason,
        received_ns=now_ns,
    )


def answered(batch: Batch, *outcomes: OrderOutcome) -> Answered:
    """An answer with one outcome an order."""
    outcome = BatchOutcome(batch_id=batch.batch_id, orders=outcomes, old_gone=None, sent_ns=1)
    return Answered(batch=batch, outcome=outcome)


def acknowledged(order: NewOrder) -> OrderOutcome:
    """The venue took it; whether it rests is told later."""
    return OrderOutcome(client_order_id=order.client_order_id, kind=Kind.ACCEPTED)


def rejected(order: NewOrder, reason: RejectReason, *, gone: bool | None) -> OrderOutcome:
    """The venue refused it at once; `gone` is what it says of the order to be replaced."""
    return OrderOutcome(
        client_order_id=order.client_order_id,
        kind=Kind.REJECTED,
        reason=reason,
        replaced_gone=gone,
    )


def lost(order: NewOrder) -> OrderOutcome:
    """No answer."""
    return OrderOutcome(client_order_id=order.client_order_id, kind=Kind.UNRESOLVED)


def resting_pair(now_ns: int = NS_PER_S) -> tuple[MarketLoop, tuple[NewOrder, ...]]:
    """A loop whose bid and ask rest, at one second."""
    loop = make_loop(capabilities=STEPWISE, parameters=ONE_LEVEL)
    loop.apply(account(now_ns))
    loop.apply(book(now_ns))
    batch = sent(loop.decide(now_ns))
    loop.apply(answered(batch, *(acknowledged(order) for order in batch.orders)))
    for order in batch.orders:
        loop.apply(update(order, now_ns))
    return loop, batch.orders
