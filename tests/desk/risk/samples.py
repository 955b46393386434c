"""Orders, contexts and limits the gate tests start from; each is approved until a test bends it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from desk.identity import OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import Batch, NewOrder, TimeInForce
from desk.risk.approval import Approved
from desk.risk.gate import Denied, GateContext, GateLimits, review
from desk.risk.limits import RiskLimits
from desk.units import Lots, Side, Ticks
from desk.working import WorkingOrder, WorkingState

# One tick-lot is one quote unit, so limits and integers read alike.
INSTRUMENT = Instrument(
    venue="paper", symbol="BTC-PERP", tick_size=Decimal("0.5"), lot_size=Decimal(2)
)
LIMITS = RiskLimits(
    max_order_notional=Decimal(100_000),
    max_position=Decimal(100_000),
    collar_bps=Decimal(100),
    max_orders_per_minute=100,
)
MID = 1_000
TAG = "abcdefg"


def limits(instrument: Instrument = INSTRUMENT, **changes: Any) -> GateLimits:
    return GateLimits.of(instrument, replace(LIMITS, **changes))


def context(**changes: Any) -> GateContext:
    calm = GateContext(
        limits=limits(),
        mid_x2=2 * MID,
        book_age_ns=0,
        account_age_ns=0,
        position=0,
        working=(),
        orders_last_minute=0,
    )
    return replace(calm, **changes)


def quote(
    side: Side = Side.BUY,
    price: Ticks | None = None,
    lots: Lots = 1,
    *,
    level: int = 0,
    cycle: int = 1,
    **changes: Any,
) -> NewOrder:
    slot = Slot(side, level)
    identity = OrderIdentity(tag=TAG, epoch=1, cycle=cycle, slot=slot)
    order = NewOrder(
        client_order_id=identity.encode(),
        slot=slot,
        side=side,
        price=MID - side.sign if price is None else price,
        lots=lots,
    )
    return replace(order, **changes)


def leave(
    side: Side = Side.SELL, price: Ticks = MID, lots: Lots = 1, *, level: int = 0, cycle: int = 1
) -> NewOrder:
    """A flatten order: reduce-only, immediate, with an exit id."""
    slot = Slot(side, level)
    identity = OrderIdentity(tag=TAG, epoch=1, cycle=cycle, slot=slot, exit=True)
    return quote(
        side,
        price,
        lots,
        level=level,
        client_order_id=identity.encode(),
        time_in_force=TimeInForce.IOC,
        post_only=False,
        reduce_only=True,
    )


def batch(*orders: NewOrder, **changes: Any) -> Batch:
    return replace(Batch(batch_id="b1", symbol=INSTRUMENT.symbol, orders=orders), **changes)


def rests(
    order: NewOrder, state: WorkingState = WorkingState.RESTING, remaining: Lots | None = None
) -> WorkingOrder:
    left = order.lots if remaining is None else remaining
    return WorkingOrder(order=order, state=state, remaining=left)


def approved(sent: Batch, given: GateContext) -> bool:
    answer = review(sent, given)
    if isinstance(answer, Approved):
        assert answer.value is sent
        return True
    return False


def denial(sent: Batch, given: GateContext) -> Denied:
    answer = review(sent, given)
    assert isinstance(answer, Denied), answer
    assert answer.message
    return answer
