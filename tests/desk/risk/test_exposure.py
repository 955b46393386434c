"""Worst cases bound every position that any order of fills can reach."""

from hypothesis import given
from hypothesis import strategies as st

from desk.orders import NewOrder
from desk.risk.exposure import exposure_of
from desk.units import Side
from desk.working import WorkingState
from tests.desk.risk.samples import quote, rests

ORDERS = st.builds(
    lambda side, lots, reduce: quote(side, lots=lots, reduce_only=reduce),
    st.sampled_from(Side),
    st.integers(1, 20),
    st.booleans(),
)


def filled(position: int, order: NewOrder, lots: int) -> int:
    """Position after a fill, with reduce-only as a venue enforces it."""
    lots = min(lots, order.lots)
    if order.reduce_only:
        lots = min(lots, max(-position * order.side.sign, 0))
    return position + order.side.sign * lots


@given(st.integers(-30, 30), st.lists(ORDERS, max_size=6), st.integers(0, 6), st.data())
def test_no_fill_schedule_leaves_the_bounds(
    position: int, orders: list[NewOrder], cut: int, data: st.DataObject
) -> None:
    state = st.sampled_from([s for s in WorkingState if s is not WorkingState.CLOSED])
    working = [rests(order, data.draw(state)) for order in orders[:cut]]
    exposure = exposure_of(position, working, orders[cut:])
    now = position
    for order in data.draw(st.permutations(orders)):
        now = filled(now, order, data.draw(st.integers(0, 20)))
        assert exposure.worst_short <= now <= exposure.worst_long


@given(st.integers(-30, 30), st.lists(ORDERS, max_size=6))
def test_the_worst_case_is_reached_by_filling_one_side(
    position: int, orders: list[NewOrder]
) -> None:
    exposure = exposure_of(position, (), orders)
    for side, worst in ((Side.BUY, exposure.worst_long), (Side.SELL, exposure.worst_short)):
        now = position
        one_side = [order for order in orders if order.side is side]
        for order in sorted(one_side, key=lambda order: not order.reduce_only):
            now = filled(now, order, order.lots)
        assert now == worst


def test_closed_orders_are_no_exposure() -> None:
    closed = rests(quote(lots=9), WorkingState.CLOSED)
    assert exposure_of(3, (closed,)).worst_long == 3
