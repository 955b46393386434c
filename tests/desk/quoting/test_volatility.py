"""The volatility estimate is the realised deviation of one-minute returns over its window."""

from decimal import Decimal
from itertools import pairwise
from math import log, sqrt

from hypothesis import given, settings
from hypothesis import strategies as st

from desk.quoting.volatility import MinuteReturns
from desk.units import NS_PER_S

FIVE_S = 5 * NS_PER_S


def fed(mids: list[int], step_ns: int = FIVE_S) -> MinuteReturns:
    estimate = MinuteReturns()
    for index, mid in enumerate(mids):
        estimate.observe(mid, index * step_ns)
    return estimate


def test_unknown_before_five_returns() -> None:
    assert fed([200_000] * 5).sigma_bps() is None
    assert fed([200_000] * 6).sigma_bps() == 0


def test_ten_basis_points_every_five_seconds_are_root_twelve_times_as_much_a_minute() -> None:
    sigma = fed([1_000_000, 1_001_000] * 30).sigma_bps()
    assert sigma is not None
    expected = log(1.001) * 10_000 * sqrt(12)
    assert abs(sigma - Decimal(expected)) <= Decimal("0.0001")


@given(st.lists(st.tuples(st.integers(100, 10**7), st.integers(5, 300)), min_size=7, max_size=60))
@settings(deadline=None, max_examples=100)
def test_equals_the_realised_variance_of_the_samples_in_the_window(
    steps: list[tuple[int, int]],
) -> None:
    estimate = MinuteReturns(window_s=600, min_samples=1)
    at, samples = 0, []
    for mid, wait in steps:
        at += wait
        estimate.observe(mid, at * NS_PER_S)
        samples.append((at, mid))
    returns = [
        (later_at - earlier_at, log(later / earlier))
        for (earlier_at, earlier), (later_at, later) in pairwise(samples)
        if later_at > at - 600
    ]
    variance = sum(r * r for _, r in returns) / sum(t for t, _ in returns) * 60
    sigma = estimate.sigma_bps()
    assert sigma is not None
    assert abs(float(sigma) - sqrt(variance) * 10_000) <= 1e-3


def test_updates_between_samples_change_nothing() -> None:
    calm, busy = fed([200_000, 200_100] * 10), MinuteReturns()
    for index, mid in enumerate([200_000, 200_100] * 10):
        busy.observe(mid, index * FIVE_S)
        busy.observe(300_000, index * FIVE_S + NS_PER_S)
    assert busy.sigma_bps() == calm.sigma_bps()


def test_what_left_the_window_is_forgotten_without_a_trace() -> None:
    assert fed([200_000, 240_000] * 100 + [200_000] * 721).sigma_bps() == 0


def test_a_silence_longer_than_the_window_starts_over() -> None:
    estimate = fed([200_000, 200_100] * 10)
    estimate.observe(400_000, 10_000 * NS_PER_S)
    assert estimate.sigma_bps() is None
    for second in range(5, 30, 5):
        estimate.observe(400_000, (10_000 + second) * NS_PER_S)
    assert estimate.sigma_bps() == 0
