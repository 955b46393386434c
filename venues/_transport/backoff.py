"""How long to wait before the next attempt: exponential, full jitter, capped.

A run of failures is forgotten only after a healthy period, not after a mere connect.
"""

from collections.abc import Callable

_MAX_DOUBLINGS = 30


class Backoff:
    """Waits of one thing that is tried again and again (a stream, a connection).

    `uniform(low, high)` is the source of randomness, as `random.Random.uniform`.
    """

    def __init__(
        self,
        *,
        uniform: Callable[[float, float], float],
        base_s: float = 0.25,
        cap_s: float = 20.0,
        healthy_s: float = 30.0,
    ) -> None:
        self._uniform = uniform
        self._base_s = base_s
        self._cap_s = cap_s
        self._healthy_s = healthy_s
        self._failures = 0

    @property
    def failures(self) -> int:
        """Failures in a row, without a healthy period between."""
        return self._failures

    def failed(self, *, lived_s: float = 0.0) -> float:
        """Seconds to wait now, after something that worked for `lived_s` seconds ended."""
        if lived_s >= self._healthy_s:
            self._failures = 0
        ceiling = min(self._cap_s, self._base_s * 2 ** min(self._failures, _MAX_DOUBLINGS))
        self._failures += 1
        return self._uniform(0.0, ceiling)
