"""The product promises two clocks: one that never goes back, one that tells the date."""

import time

from desk.ports import Clock
from infra.clock import SystemClock


def test_the_system_clock_is_the_desks_clock() -> None:
    clock: Clock = SystemClock()
    first = clock.monotonic_ns()
    assert clock.monotonic_ns() >= first
    assert abs(clock.wall_ns() - time.time_ns()) < 10**9
