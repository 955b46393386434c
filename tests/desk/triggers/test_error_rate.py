"""The error-rate breaker counts requests in an exact sliding window."""

from hypothesis import given
from hypothesis import strategies as st

from desk.triggers.error_rate import ErrorRate

WINDOW = 1_000

STEPS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 30)), max_size=60)


@given(STEPS, st.integers(1, 6))
def test_it_trips_exactly_when_a_list_says_so(steps: list[tuple[int, int]], most: int) -> None:
    rate, told, now = ErrorRate(most=most, window_ns=WINDOW), dict[int, int](), 0
    for wait, request in steps:
        now += wait
        told = {one: at for one, at in told.items() if now - at < WINDOW}
        rate.count(now)
        told.setdefault(request, now)
        rate.failed(now, request)
        assert rate.count(now) == len(told)
        assert rate.tripped(now) == (len(told) >= most)


def test_a_request_that_failed_counts_once_however_often_it_is_told() -> None:
    rate = ErrorRate(most=2, window_ns=WINDOW)
    for _ in range(5):
        rate.failed(0, "one")
    assert not rate.tripped(0)
    rate.failed(0, "other")
    assert rate.tripped(0)


def test_failures_need_not_come_in_a_row_but_within_the_window() -> None:
    rate = ErrorRate(most=3, window_ns=WINDOW)
    for number in range(3):
        rate.failed(number * WINDOW // 2, number)
    assert not rate.tripped(WINDOW)
    rate.failed(WINDOW + 1, 3)
    assert rate.tripped(WINDOW + 1)
    assert not rate.tripped(2 * WINDOW)
