from hypothesis import given
from hypothesis import strategies as st

from venues._transport.backoff import Backoff


def highest(_low: float, high: float) -> float:
    return high


def test_waits_double_up_to_the_cap() -> None:
    backoff = Backoff(uniform=highest, base_s=1.0, cap_s=5.0, healthy_s=30.0)
    assert [backoff.failed() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_only_a_healthy_period_resets() -> None:
    backoff = Backoff(uniform=highest, base_s=1.0, cap_s=60.0, healthy_s=30.0)
    assert [backoff.failed(lived_s=29.0) for _ in range(3)] == [1.0, 2.0, 4.0]
    assert backoff.failed(lived_s=30.0) == 1.0
    assert backoff.failures == 1


@given(
    lives=st.lists(st.floats(0, 100), max_size=200),
    fraction=st.floats(0, 1),
    base=st.floats(0.001, 10),
    cap=st.floats(0.001, 100),
)
def test_waits_stay_within_zero_and_the_cap(
    lives: list[float], fraction: float, base: float, cap: float
) -> None:
    backoff = Backoff(
        uniform=lambda low, high: low + (high - low) * fraction, base_s=base, cap_s=cap
    )
    for lived_s in lives:
        assert 0.0 <= backoff.failed(lived_s=lived_s) <= cap
