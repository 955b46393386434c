"""The error-rate breaker: too many failed requests within a sliding window, in a row or not.

A request counts once, however many of its orders failed and however often that is told.
"""

from collections.abc import Hashable


class ErrorRate:
    """Failed requests of one session; trips at `most` of them within `window_ns`.

    Times are monotonic nanoseconds and must not go back. A failure exactly one window ago counts
    no longer. `most` and `window_ns` are above zero.
    """

    def __init__(self, *, most: int, window_ns: int) -> None:
        self._most = most
        self._window_ns = window_ns
        self._failed: dict[Hashable, int] = {}

    def failed(self, now_ns: int, request: Hashable) -> None:
        """One request failed; `request` tells it from others."""
        self._failed.setdefault(request, now_ns)

    def count(self, now_ns: int) -> int:
        """Requests that failed in the window that ends now."""
        horizon = now_ns - self._window_ns
        while self._failed:
            oldest = next(iter(self._failed))
            if self._failed[oldest] > horizon:
                break
            del self._failed[oldest]
        return len(self._failed)

    def tripped(self, now_ns: int) -> bool:
        """Whether the session must end."""
        return self.count(now_ns) >= self._most
