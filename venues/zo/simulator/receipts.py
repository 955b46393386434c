"""What the engine answers to an executed action (zo.md section 4.3).

`posted` is absent when nothing rests; a fill names the resting side's order and account.
"""

from collections.abc import Sequence

from venues.simulation.batch import StepDone
from venues.zo.schema.nord_pb2 import (
    AtomicResult,
    CancelOrderResult,
    PlaceOrderResult,
    Posted,
    SubactionResult,
    Trade,
)
from venues.zo.schema.nord_pb2 import Side as WireSide
from venues.zo.simulator.asks import Ask
from venues.zo.simulator.settings import Revision
from venues.zo.simulator.users import Account
from venues.zo.simulator.world import World


def placed(world: World, account: Account, ask: Ask, done: StepDone) -> PlaceOrderResult:
    """The result of one order."""
    result = PlaceOrderResult()
    report = done.report
    if report is not None and report.remaining and report.order_id is not None:
        result.posted.CopyFrom(
            Posted(
                side=WireSide.Name(ask.side),
                market_id=ask.market_id,
                price=ask.price,
                size=report.remaining,
                order_id=world.listing.wire_id(report.order_id),
                account_id=account.account_id,
            )
        )
    for trade in done.trades:
        result.fills.append(
            Trade(
                order_id=world.listing.wire_id(trade.maker_order_id),
                price=trade.price,
                size=trade.lots,
                account_id=world.users.number(trade.maker),
            )
        )
    if ask.client_order_id is not None:
        result.client_order_id = ask.client_order_id
    if ask.tracking_id is not None:
        result.sender_tracking_id = ask.tracking_id
    return result


def cancelled(world: World, account: Account, done: StepDone) -> CancelOrderResult:
    """The result of one cancel."""
    order = done.order
    if order is None:
        raise ValueError("a cancel always has its order")
    result = CancelOrderResult(
        order_id=world.listing.wire_id(order.order_id), account_id=account.account_id
    )
    told = world.settings.revision is not Revision.R2025_12
    if told and order.client_order_id is not None:
        result.client_order_id = int(order.client_order_id)
    return result


def together(
    world: World, account: Account, asks: Sequence[Ask | None], done: Sequence[StepDone]
) -> AtomicResult:
    """The results of an atomic in the order of its subactions; None stands for a cancel."""
    result = AtomicResult()
    for ask, step in zip(asks, done, strict=True):
        if ask is None:
            result.results.append(SubactionResult(cancel_order=cancelled(world, account, step)))
        else:
            one = placed(world, account, ask, step)
            result.results.append(SubactionResult(place_order_result=one))
    return result
