"""The machine's clock behind the desk's port; the only place from which decisions get time."""

import time


class SystemClock:
    """Implements `desk.ports.Clock`."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back; for ages and deadlines."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """Unix nanoseconds; for records and for the venue's clock."""
        return time.time_ns()
