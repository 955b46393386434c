"""The latency trigger: round trips of orders against what is usual for this market.

Twice the usual at the 95th percentile halves the order rate; if it lasts, the session must end.
The usual moves slowly and never while it is exceeded: what is judged does not move the measure.
"""

from collections import deque
from statistics import median_low

from desk.units import NS_PER_S

WINDOW = 20
"""Round trips that are judged together; none older than five minutes."""

_FRESH_NS = 300 * NS_PER_S
_LEARNING = 5
_WEIGHT = 16


class LatencyTrend:
    """Round trips of one session, in nanoseconds; times are monotonic and must not go back.

    `floor_ns` is what nobody calls slow, however fast the usual is. `usual_ns` continues what an
    earlier session learned; without it the first five windows are only learned from.
    """

    def __init__(self, *, floor_ns: int, patience_ns: int, usual_ns: int | None = None) -> None:
        self._floor_ns = floor_ns
        self._patience_ns = patience_ns
        self._window: deque[tuple[int, int]] = deque(maxlen=WINDOW)
        self._heard = 0
        self._learned: list[int] = []
        self._slow_since_ns: int | None = None
        self.usual_ns = usual_ns
        self.p95_ns: int | None = None
        self.lasting = False

    @property
    def slow(self) -> bool:
        """Whether orders should go out at half the rate."""
        return self._slow_since_ns is not None

    def answered(self, now_ns: int, round_trip_ns: int) -> None:
        """Take one round trip; `slow` and `lasting` (longer than the patience) follow from it."""
        window = self._window
        window.append((now_ns, round_trip_ns))
        while window[0][0] < now_ns - _FRESH_NS:
            window.popleft()
        self._heard += 1
        if len(window) < WINDOW:
            return
        self.p95_ns = _p95([taken for _, taken in window])
        self._judge(now_ns, self.p95_ns)
        if self._heard >= WINDOW and not self.slow:
            self._heard = 0
            self._learn(self.p95_ns)

    def _judge(self, now_ns: int, p95_ns: int) -> None:
        if self.usual_ns is None:
            return
        if self._slow_since_ns is None:
            if p95_ns >= 2 * self.usual_ns and p95_ns > self._floor_ns:
                self._slow_since_ns = now_ns
        elif 2 * p95_ns <= 3 * self.usual_ns or p95_ns <= self._floor_ns:
            # Well under the double, so that the rate does not flutter.
            self._slow_since_ns, self.lasting = None, False
        else:
            self.lasting = now_ns - self._slow_since_ns > self._patience_ns

    def _learn(self, p95_ns: int) -> None:
        if self.usual_ns is not None:
            self.usual_ns += (p95_ns - self.usual_ns) // _WEIGHT
            return
        self._learned.append(p95_ns)
        if len(self._learned) == _LEARNING:
            self.usual_ns = median_low(self._learned)


def _p95(taken: list[int]) -> int:
    """Nearest rank: one outlier in a window of twenty is none."""
    rank = -(-95 * len(taken) // 100)
    return sorted(taken)[rank - 1]
