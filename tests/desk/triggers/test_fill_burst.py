"""Fills are added up by when they happened, in a window that rolls, and never forgiven."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from desk.triggers.fill_burst import FillBurst

WINDOW_MS, MOST = 1_000, Decimal(100)

FILLS = st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 40)), max_size=40)


def burst(*fills: tuple[int, int]) -> FillBurst:
    found = FillBurst(most=MOST, window_ms=WINDOW_MS)
    for at_ms, notional in fills:
        found.filled(at_ms, Decimal(notional))
    return found


def test_more_than_the_limit_trips_and_exactly_the_limit_does_not() -> None:
    assert not burst((0, 60), (1, 40)).tripped
    assert burst((0, 60), (1, 40), (2, 1)).tripped


def test_the_window_rolls() -> None:
    assert burst((0, 60), (WINDOW_MS - 1, 60)).tripped
    assert not burst((0, 60), (WINDOW_MS, 60)).tripped


def test_it_stays_tripped() -> None:
    assert burst((0, 101), (60_000, 1)).tripped


def test_fills_told_late_are_judged_by_when_they_happened() -> None:
    """A minute of ordinary fills, all told at once after a reconnect, is no burst."""
    assert not burst(*((second * 1_000, 60) for second in range(60))).tripped


@given(FILLS)
def test_no_order_of_telling_hides_a_burst_in_fills_told_in_time(
    fills: list[tuple[int, int]],
) -> None:
    """Told in order of trade, it trips exactly when any window holds more than the limit."""
    in_order = sorted(fills)
    heaviest = max(
        (
            sum(worth for at, worth in in_order if end - WINDOW_MS < at <= end)
            for end, _ in in_order
        ),
        default=0,
    )
    found = burst(*in_order)
    assert found.largest == heaviest
    assert found.tripped == (heaviest > MOST)


@given(FILLS)
def test_it_never_trips_on_less_than_a_window_holds(fills: list[tuple[int, int]]) -> None:
    heaviest = max(
        (sum(worth for at, worth in fills if end - WINDOW_MS < at <= end) for end, _ in fills),
        default=0,
    )
    assert burst(*fills).largest <= heaviest
