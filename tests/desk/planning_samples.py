"""Ladders and rules for the planner's tests."""

from collections.abc import Iterable
from decimal import Decimal

from desk.identity import OrderIdentity, Slot
from desk.orders import NewOrder
from desk.planning import PlanRules
from desk.quoting.decide import TargetLevel
from desk.units import Lots, Side, Ticks
from desk.working import WorkingOrder, WorkingState

TAG = "abcdefg"
ATOMIC = PlanRules(
    symbol="BTC-PERP",
    tolerance_bps=Decimal("0.5"),
    debounce_ns=100,
    atomic_ladder=True,
    replaces_orders=False,
    max_batch_orders=20,
)
STEPS = PlanRules(
    symbol="BTC-PERP",
    tolerance_bps=Decimal("0.5"),
    debounce_ns=100,
    atomic_ladder=False,
    replaces_orders=True,
    max_batch_orders=20,
)


def level(side: Side, depth: int, price: Ticks, lots: Lots = 10) -> TargetLevel:
    return TargetLevel(slot=Slot(side, depth), price=price, lots=lots)


def shown(ladder: Iterable[TargetLevel], *, cycle: int = 1) -> tuple[WorkingOrder, ...]:
    """The ladder as resting orders."""
    return tuple(
        WorkingOrder(
            order=NewOrder(
                client_order_id=OrderIdentity(
                    tag=TAG, epoch=1, cycle=cycle, slot=wanted.slot
                ).encode(),
                slot=wanted.slot,
                side=wanted.slot.side,
                price=wanted.price,
                lots=wanted.lots,
            ),
            state=WorkingState.RESTING,
            remaining=wanted.lots,
        )
        for wanted in ladder
    )
