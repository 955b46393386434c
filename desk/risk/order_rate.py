"""Counts the orders sent in the last minute, exactly: the window slides and never resets."""

from collections import deque

from desk.units import NS_PER_S

WINDOW_NS = 60 * NS_PER_S


class OrderRate:
    """Orders of one market sent within the last 60 seconds of monotonic time.

    An order sent exactly 60 s ago no longer counts. Times must not go back.
    """

    def __init__(self) -> None:
        self._sent: deque[tuple[int, int]] = deque()
        self._total = 0

    def record(self, now_ns: int, orders: int) -> None:
        """Note that so many orders go out now; call it before the send, not after the answer."""
        if orders > 0:
            self._sent.append((now_ns, orders))
            self._total += orders

    def last_minute(self, now_ns: int) -> int:
        """Orders sent in the minute that ends now."""
        horizon = now_ns - WINDOW_NS
        sent = self._sent
        while sent and sent[0][0] <= horizon:
            self._total -= sent.popleft()[1]
        return self._total
