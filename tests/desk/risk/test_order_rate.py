"""The order rate is an exact sliding minute."""

from hypothesis import given
from hypothesis import strategies as st

from desk.risk.order_rate import OrderRate
from desk.units import NS_PER_S

MINUTE = 60 * NS_PER_S


def test_orders_leave_the_window_after_exactly_a_minute() -> None:
    rate = OrderRate()
    rate.record(0, 6)
    rate.record(10, 0)
    rate.record(NS_PER_S, 2)
    assert rate.last_minute(MINUTE - 1) == 8
    assert rate.last_minute(MINUTE) == 2
    assert rate.last_minute(MINUTE + NS_PER_S) == 0


@given(st.lists(st.tuples(st.integers(0, 20 * NS_PER_S), st.integers(0, 20)), max_size=40))
def test_it_counts_what_a_list_would(steps: list[tuple[int, int]]) -> None:
    rate, sent, now = OrderRate(), list[tuple[int, int]](), 0
    for wait, orders in steps:
        now += wait
        rate.record(now, orders)
        sent.append((now, orders))
        assert rate.last_minute(now) == sum(n for at, n in sent if now - at < MINUTE)
