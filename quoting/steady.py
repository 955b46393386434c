"""The mid that stood: what a position is worth when it decides over a day or a drawdown.

The rule: one update of a thin book moves nothing; a mid counts once it held most of two seconds.
"""

from collections import deque
from typing import Final

from desk.units import NS_PER_S

_WINDOW_NS: Final = 2 * NS_PER_S
_LEAST_NS: Final = NS_PER_S
_EVERY_NS: Final = NS_PER_S // 10
_LEAST_LOOKS: Final = 3


class SteadyMid:
    """Median by time of the mids seen in the last two seconds, in half ticks.

    `mid_x2` is None until they were seen for a second, in three looks at least.
    """

    def __init__(self) -> None:
        self._looks: deque[tuple[int, int]] = deque()
        self.mid_x2: int | None = None

    def look(self, mid_x2: int | None, now_ns: int) -> None:
        """Take the mid of this moment; looks closer than a tenth of a second count as one."""
        looks = self._looks
        if mid_x2 is None or (looks and now_ns - looks[-1][0] < _EVERY_NS):
            return
        looks.append((now_ns, mid_x2))
        while looks[0][0] < now_ns - _WINDOW_NS:
            looks.popleft()
        seen = len(looks) >= _LEAST_LOOKS and now_ns - looks[0][0] >= _LEAST_NS
        self.mid_x2 = self._median(now_ns) if seen else None

    def _median(self, now_ns: int) -> int:
        ends = [*[at_ns for at_ns, _ in self._looks][1:], now_ns]
        stood = sorted(
            (mid, end - at_ns) for (at_ns, mid), end in zip(self._looks, ends, strict=True)
        )
        left_ns = (now_ns - self._looks[0][0]) / 2
        for mid, lasted_ns in stood:
            left_ns -= lasted_ns
            if left_ns <= 0:
                return mid
        return stood[-1][0]
