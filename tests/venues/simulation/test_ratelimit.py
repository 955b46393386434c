"""No window ever holds more requests than allowed, and whoever waits as told gets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venues.simulation.ratelimit import Budget, FixedWindow, SlidingWindow

_WINDOW = 1_000


@given(st.lists(st.integers(0, 700), max_size=60), st.integers(1, 6))
def test_a_sliding_window_never_holds_too_many(gaps: list[int], limit: int) -> None:
    now = [0]
    window = SlidingWindow(_WINDOW, lambda: now[0])
    taken = []
    for gap in gaps:
        now[0] += gap
        if window.take("a", limit) is None:
            taken.append(now[0])
    for index, start in enumerate(taken):
        assert sum(1 for each in taken[index:] if each < start + _WINDOW) <= limit


@pytest.mark.parametrize("kind", [FixedWindow, SlidingWindow])
@given(gaps=st.lists(st.integers(0, 300), max_size=40), limit=st.integers(1, 4))
def test_waiting_as_told_is_enough(
    kind: type[FixedWindow | SlidingWindow], gaps: list[int], limit: int
) -> None:
    now = [0]
    window: Budget = kind(_WINDOW, lambda: now[0])
    for gap in gaps:
        now[0] += gap
        wait = window.take("a", limit)
        if wait is not None:
            assert 0 < wait <= _WINDOW
            now[0] += wait
            assert window.take("a", limit) is None


def test_each_client_has_its_own_window() -> None:
    window = FixedWindow(_WINDOW, lambda: 0)
    assert window.take("a", 1) is None
    assert window.take("a", 1) == _WINDOW
    assert window.take("b", 1) is None
    assert (window.used("a"), window.used("c")) == (1, 0)
