"""A clock that tells the machine's time; ages in these tests are only compared with zero."""

import time


class RunningClock:
    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        return time.time_ns()
