"""Placing, cancelling and atomics: what is checked before the engine, and what its refusals mean.

An action happens whole or not at all; a Refusal means that nothing happened.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from desk.orders import RejectReason, TimeInForce
from venues.simulation.batch import Refused, Step, StepDone, Withdrawal
from venues.simulation.faults import FaultKind, Site
from venues.simulation.orders import Order, OrderRequest
from venues.zo.schema.nord_pb2 import (
    Atomic,
    AtomicResult,
    CancelOrderByClientId,
    CancelOrderById,
    CancelOrderResult,
    PlaceOrder,
    PlaceOrderResult,
)
from venues.zo.simulator import asks, receipts
from venues.zo.simulator.asks import Ask
from venues.zo.simulator.codes import INJECTED, REASONS, Refusal
from venues.zo.simulator.settings import ClientIds, Oversize, Revision
from venues.zo.simulator.users import Account
from venues.zo.simulator.world import World

_REJECTS = (FaultKind.MARGIN_REJECT, FaultKind.POST_ONLY_REJECT, FaultKind.DUPLICATE_ID)
_CANCEL, _TRADE, _PLACE = range(3)
Piece: TypeAlias = Ask | Withdrawal


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts, and where faults look."""

    account: Account
    site: Site


def place(world: World, actor: Actor, message: PlaceOrder) -> PlaceOrderResult:
    """One order."""
    if message.HasField("delegator_account_id"):
        raise Refusal("ACTION_NOT_ALLOWED", "delegation is not simulated")
    ask = asks.single(message)
    (done,) = _run(world, actor, [ask])
    return receipts.placed(world, actor.account, ask, done)


def cancel_by_id(world: World, actor: Actor, message: CancelOrderById) -> CancelOrderResult:
    """Cancel by the venue's order id."""
    if message.HasField("delegator_account_id"):
        raise Refusal("ACTION_NOT_ALLOWED", "delegation is not simulated")
    piece = Withdrawal(order_id=world.listing.engine_id(message.order_id))
    (done,) = _run(world, actor, [piece])
    return receipts.cancelled(world, actor.account, done)


def cancel_by_client_id(
    world: World, actor: Actor, message: CancelOrderByClientId
) -> CancelOrderResult:
    """Cancel by the client's own order id, where the server knows that action."""
    old = world.settings.revision is Revision.R2025_12
    if old or not world.settings.actions.cancel_by_client_id:
        raise Refusal("DECODE_FAILURE_DOMAIN", "this server does not know the action")
    name = str(message.client_order_id)
    order = world.engine.find_order(actor.account.name, client_order_id=name)
    if order is None:
        raise Refusal("ORDER_NOT_FOUND", f"no open order with client id {name}")
    (done,) = _run(world, actor, [Withdrawal(order_id=order.order_id)])
    return receipts.cancelled(world, actor.account, done)


def atomic(world: World, actor: Actor, message: Atomic) -> AtomicResult:
    """Several subactions, all or nothing."""
    most = world.settings.actions.max_subactions
    if not 1 <= len(message.actions) <= most:
        raise Refusal("ATOMICS", f"an atomic has 1 to {most} subactions")
    pieces: list[Piece] = []
    for each in message.actions:
        match each.WhichOneof("kind"):
            case "trade_or_place":
                pieces.append(asks.part(each.trade_or_place))
            case "cancel_order":
                order_id = world.listing.engine_id(each.cancel_order.order_id)
                pieces.append(Withdrawal(order_id=order_id))
            case _:
                raise Refusal("DECODE_FAILURE_DOMAIN", "a subaction says nothing to do")
    _check_phases(world, pieces)
    done = _run(world, actor, pieces)
    asked = [piece if isinstance(piece, Ask) else None for piece in pieces]
    return receipts.together(world, actor.account, asked, done)


# --- the common way -------------------------------------------------------------------------


def _run(world: World, actor: Actor, pieces: Sequence[Piece]) -> tuple[StepDone, ...]:
    """Check, let faults strike, and have the engine do all or nothing."""
    name = actor.account.name
    _race(world, actor, pieces)
    steps: list[Step] = []
    for index, piece in enumerate(pieces):
        if isinstance(piece, Withdrawal):
            _check_owner(world, name, piece)
            steps.append(piece)
            continue
        request = asks.read(world.listing, piece)
        try:
            _check(world, actor, request, pieces, index)
        except Refusal as refusal:
            world.engine.reject(name, request, refusal.reason, str(refusal))
            raise
        steps.append(request)
    gains = world.settings.money.gains_back_risk
    done = world.engine.batches.run(name, steps, gains_back_risk=gains)
    if isinstance(done, Refused):
        raise _meaning(steps[done.index], done)
    return done


def _race(world: World, actor: Actor, pieces: Sequence[Piece]) -> None:
    """A fill that overtakes a cancel, if a fault says so."""
    going = _going(world, actor.account.name, pieces)
    if not going:
        return
    replacing = any(isinstance(piece, Ask) for piece in pieces)
    kind = FaultKind.FILL_RACING_REPLACE if replacing else FaultKind.FILL_RACING_CANCEL
    fault = world.faults.take(actor.site, kind)
    if fault is not None:
        world.race(actor.account.name, going, fault)


def _going(world: World, name: str, pieces: Sequence[Piece]) -> list[Order]:
    ids = {piece.order_id for piece in pieces if isinstance(piece, Withdrawal)}
    found = (world.engine.find_order(name, order_id=order_id) for order_id in sorted(ids))
    return [order for order in found if order is not None]


def _check_owner(world: World, name: str, piece: Withdrawal) -> None:
    entry = world.register.order(piece.order_id)
    if entry is not None and entry.rests and entry.account != name:
        raise Refusal("INVALID_ORDER_OWNER", "the order belongs to another account")


def _check_phases(world: World, pieces: Sequence[Piece]) -> None:
    """Per market: cancels, then trades, then places (zo.md section 4.4)."""
    reached: dict[str, int] = {}
    for piece in pieces:
        market, phase = _phase(world, piece)
        before = reached.get(market, _CANCEL)
        if phase < before:
            if phase == _CANCEL:
                raise Refusal("ATOMICS_CANCELS_CANNOT_FOLLOW_TRADES_PLACES")
            raise Refusal("ATOMICS_TRADES_CANNOT_FOLLOW_PLACES")
        reached[market] = phase


def _phase(world: World, piece: Piece) -> tuple[str, int]:
    if isinstance(piece, Ask):
        market = world.listing.by_id(piece.market_id)
        return "" if market is None else market.symbol, _TRADE if piece.takes_only else _PLACE
    entry = world.register.order(piece.order_id)
    return "" if entry is None else entry.symbol, _CANCEL


def _check(
    world: World, actor: Actor, request: OrderRequest, pieces: Sequence[Piece], index: int
) -> None:
    """What the venue asks of an order and the engine does not."""
    fault = world.faults.take(actor.site, *_REJECTS)
    if fault is not None:
        raise Refusal(INJECTED[fault.kind], "injected")
    name = actor.account.name
    _check_client_id(world, name, request, pieces, index)
    _check_count(world, name, pieces)
    _check_band(world, request)
    _check_reducing(world, name, request, pieces)
    if not request.reduce_only and world.below_cmf(name):
        raise _unhealthy(request)


def _check_client_id(
    world: World, name: str, request: OrderRequest, pieces: Sequence[Piece], index: int
) -> None:
    wanted = request.client_order_id
    if wanted is None:
        return
    earlier = {str(one.client_order_id) for one in pieces[:index] if isinstance(one, Ask)}
    going = {one.order_id for one in _going(world, name, pieces)}
    resting = world.engine.find_order(name, client_order_id=wanted)
    stays = resting is not None and resting.order_id not in going
    once = world.settings.actions.client_ids is ClientIds.FOR_EVER
    if wanted in earlier or stays or (once and resting is not None):
        raise Refusal("REPEATED_ORDER_ID", f"client order id {wanted} is in use")


def _check_count(world: World, name: str, pieces: Sequence[Piece]) -> None:
    most = world.settings.actions.max_open_orders
    if most is None:
        return
    adding = sum(1 for one in pieces if isinstance(one, Ask) and not one.takes_only)
    staying = len(world.engine.open_orders(name)) - len(_going(world, name, pieces))
    if adding and staying + adding > most:
        raise Refusal("TOO_MANY_OPEN_ORDERS", f"at most {most} orders may rest")


def _check_band(world: World, request: OrderRequest) -> None:
    low, high = world.band(request.symbol)
    if request.price is None:
        return
    price = world.listing.instrument(request.symbol).price(request.price)
    if (low is not None and price < low) or (high is not None and price > high):
        raise Refusal("ORDER_EXECUTION_LIMIT_PRICE", f"price {price} is outside the band")


def _check_reducing(
    world: World, name: str, request: OrderRequest, pieces: Sequence[Piece]
) -> None:
    if not request.reduce_only:
        return
    resting = len(world.engine.open_orders(name)) - len(_going(world, name, pieces))
    if resting and world.below_cmf(name):
        raise Refusal(
            "CAN_REDUCE_POSITION_ONLY_IF_ALL_ORDERS_ARE_CANCELED", f"{resting} orders rest"
        )
    held = world.engine.position(name, request.symbol).lots
    if held * request.side.sign > 0:
        raise Refusal("POSITION_STATE_ORDER_SIDE", "the order would add to the position")
    oversize = held and request.lots > abs(held)
    if oversize and world.settings.actions.oversize is Oversize.REFUSE:
        raise Refusal("ORDER_SIZE_EXCEEDS_POSITION_SIZE", "the position is smaller")


def _unhealthy(request: OrderRequest) -> Refusal:
    trades = request.time_in_force is not TimeInForce.GTC
    name = "RISK_TRADE_OMF_LESS_THAN_OR_EQUAL_CMF" if trades else "RISK_OMF_LESS_THAN_OR_EQUAL_CMF"
    return Refusal(name, "the account may only reduce")


def _meaning(step: Step, refused: Refused) -> Refusal:
    """The venue's word for a refusal of the engine."""
    if isinstance(step, Withdrawal):
        return Refusal("ORDER_NOT_FOUND", refused.message)
    if refused.reason is RejectReason.NOT_FILLED and step.time_in_force is TimeInForce.FOK:
        return Refusal("ORDER_EXECUTION_FILL_OR_KILL", refused.message)
    return Refusal(REASONS.get(refused.reason, "ORDER_EXECUTION"), refused.message)
