"""No position gate stands in the way of a reducing order, however wrong the position is."""

from hypothesis import given
from hypothesis import strategies as st

from desk.orders import NewOrder
from desk.risk.gates.max_position import max_position
from desk.units import Side
from desk.working import WorkingOrder, WorkingState
from tests.desk.risk.samples import batch, context, leave, quote, rests

LIMIT_LOTS = 100
WORKING = st.lists(
    st.builds(
        lambda side, lots, state: rests(quote(side, lots=lots), state),
        st.sampled_from(Side),
        st.integers(1, 500),
        st.sampled_from(WorkingState),
    ),
    max_size=5,
)
POSITIONS = st.integers(-1_000, 1_000)


@given(POSITIONS, WORKING, st.lists(st.builds(leave, st.sampled_from(Side)), max_size=4))
def test_reduce_only_is_never_refused(
    position: int, working: list[WorkingOrder], exits: list[NewOrder]
) -> None:
    assert max_position(batch(*exits), context(position=position, working=working)) is None


@given(POSITIONS, WORKING, st.sampled_from(Side), st.integers(1, 1_000))
def test_a_quote_is_refused_exactly_when_its_worst_case_is_beyond_the_limit(
    position: int, working: list[WorkingOrder], side: Side, lots: int
) -> None:
    beside = sum(
        w.remaining for w in working if w.order.side is side and w.state is not WorkingState.CLOSED
    )
    worst = position * side.sign + beside + lots
    denied = max_position(
        batch(quote(side, lots=lots)), context(position=position, working=working)
    )
    assert (denied is None) == (worst <= LIMIT_LOTS)
