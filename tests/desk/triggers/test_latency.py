"""Slow is said against what is usual, on enough samples, and never of what is fast anyway."""

from hypothesis import given
from hypothesis import strategies as st

from desk.triggers.latency import WINDOW, LatencyTrend
from desk.units import NS_PER_MS, NS_PER_S

FLOOR_MS, PATIENCE_S, USUAL_MS = 50, 30, 100
LEARNED = 5 * WINDOW


class Venue:
    """Answers, one a second, of a latency that the test chooses."""

    def __init__(self, usual_ms: int | None = USUAL_MS) -> None:
        self.trend = LatencyTrend(
            floor_ns=FLOOR_MS * NS_PER_MS,
            patience_ns=PATIENCE_S * NS_PER_S,
            usual_ns=None if usual_ms is None else usual_ms * NS_PER_MS,
        )
        self.second = 0

    def answers(self, milliseconds: int, times: int) -> None:
        for _ in range(times):
            self.second += 1
            self.trend.answered(self.second * NS_PER_S, milliseconds * NS_PER_MS)

    def verdict(self) -> tuple[bool, bool]:
        """Slow, and lasting."""
        return self.trend.slow, self.trend.lasting


def test_the_double_is_slow_and_a_little_less_is_not() -> None:
    for milliseconds, slow in ((199, False), (200, True)):
        venue = Venue()
        venue.answers(milliseconds, WINDOW)
        assert venue.trend.slow is slow


def test_nothing_is_slow_before_there_are_enough_samples() -> None:
    venue = Venue()
    venue.answers(5_000, WINDOW - 1)
    assert not venue.trend.slow
    venue.answers(5_000, 1)
    assert venue.trend.slow


def test_nothing_is_slow_before_it_is_known_what_is_usual() -> None:
    venue = Venue(usual_ms=None)
    venue.answers(5_000, LEARNED - 1)
    assert venue.trend.usual_ns is None
    assert not venue.trend.slow
    venue.answers(5_000, WINDOW)
    assert venue.trend.usual_ns == 5_000 * NS_PER_MS


def test_a_single_outlier_in_a_window_is_none() -> None:
    venue = Venue()
    venue.answers(100, WINDOW)
    venue.answers(10_000, 1)
    assert not venue.trend.slow
    venue.answers(10_000, 1)
    assert venue.trend.slow


@given(st.lists(st.integers(0, FLOOR_MS), min_size=WINDOW, max_size=60))
def test_what_is_under_the_floor_is_never_slow(taken: list[int]) -> None:
    venue = Venue(usual_ms=1)
    for milliseconds in taken:
        venue.answers(milliseconds, 1)
        assert not venue.trend.slow


def test_it_lasts_when_it_was_slow_for_longer_than_the_patience() -> None:
    venue = Venue()
    venue.answers(300, WINDOW + PATIENCE_S)
    assert venue.verdict() == (True, False)
    venue.answers(300, 1)
    assert venue.verdict() == (True, True)


def test_a_recovery_ends_it_and_the_patience_begins_anew() -> None:
    venue = Venue()
    venue.answers(300, WINDOW + PATIENCE_S)
    venue.answers(100, WINDOW)
    assert venue.verdict() == (False, False)
    venue.answers(300, PATIENCE_S)
    assert venue.verdict() == (True, False)


def test_between_half_again_and_double_the_rate_does_not_flutter() -> None:
    venue = Venue()
    venue.answers(200, WINDOW)
    venue.answers(160, WINDOW)
    assert venue.verdict() == (True, False)
    venue.answers(150, WINDOW)
    assert venue.verdict() == (False, False)
    venue.answers(190, WINDOW)
    assert venue.verdict() == (False, False)


def test_the_usual_follows_slowly_and_not_while_it_is_exceeded() -> None:
    venue = Venue()
    venue.answers(300, 20 * WINDOW)
    assert venue.trend.usual_ns == USUAL_MS * NS_PER_MS
    follows = Venue()
    follows.answers(180, WINDOW)
    assert follows.trend.usual_ns == (USUAL_MS + 5) * NS_PER_MS
    follows.answers(180, 100 * WINDOW)
    assert follows.trend.usual_ns is not None
    assert follows.trend.usual_ns > 175 * NS_PER_MS


def test_answers_of_long_ago_are_not_judged_with_those_of_now() -> None:
    venue = Venue()
    venue.answers(300, WINDOW - 1)
    venue.second += 1_000
    venue.answers(300, 1)
    assert not venue.trend.slow


@given(st.lists(st.tuples(st.integers(1, 2_000), st.integers(1, 40)), max_size=20))
def test_lasting_is_slow_too_and_the_usual_stays_within_what_was_seen(
    stretches: list[tuple[int, int]],
) -> None:
    venue = Venue()
    seen = [USUAL_MS]
    for milliseconds, times in stretches:
        seen.append(milliseconds)
        for _ in range(times):
            venue.answers(milliseconds, 1)
            assert venue.trend.slow or not venue.trend.lasting
        assert venue.trend.usual_ns is not None
        assert min(seen) * NS_PER_MS <= venue.trend.usual_ns <= max(seen) * NS_PER_MS
