"""How much a market's mid moves in one minute, estimated from samples a few seconds apart.

Floats stay inside: mids come in as integers, the answer leaves as a Decimal.
"""

from collections import deque
from decimal import Decimal
from math import fsum, log, sqrt

from desk.units import NS_PER_S

_MINUTE_NS = 60 * NS_PER_S
_BPS = 10_000
_PLACES = 4


class MinuteReturns:
    """Standard deviation of one-minute log returns, in basis points.

    The mid is sampled at the first observation at least `sample_s` after the last sample. With r
    the log return between neighbouring samples and t the time between them, over the samples of
    the last `window_s`,

        sigma = sqrt(sum r^2 / sum t * 60 s) * 10,000

    the root of the realised variance per minute. For samples exactly `sample_s` apart this is
    their standard deviation about zero times sqrt(60 / sample_s). The mean is taken as zero: over
    seconds drift is not measurable, and a trend then widens the estimate instead of hiding in it.
    Silence longer than the window starts the estimate over.
    """

    __slots__ = (
        "_last_mid_x2",
        "_last_ns",
        "_min_samples",
        "_sample_ns",
        "_samples",
        "_sigma",
        "_since_exact",
        "_squares",
        "_time_ns",
        "_window_ns",
    )

    def __init__(self, *, sample_s: int = 5, window_s: int = 3_600, min_samples: int = 5) -> None:
        self._sample_ns = sample_s * NS_PER_S
        self._window_ns = window_s * NS_PER_S
        self._min_samples = min_samples
        self._samples: deque[tuple[int, int, float]] = deque()
        self._squares = 0.0
        self._time_ns = 0
        self._since_exact = 0
        self._last_mid_x2: int | None = None
        self._last_ns = 0
        self._sigma: Decimal | None = None

    def observe(self, mid_x2: int, at_ns: int) -> None:
        """Take notice of a mid (half ticks, above zero) at a monotonic time; amortised O(1)."""
        if self._last_mid_x2 is None:
            self._last_mid_x2, self._last_ns = mid_x2, at_ns
            return
        elapsed = at_ns - self._last_ns
        if elapsed < self._sample_ns:
            return
        if elapsed > self._window_ns:
            self._restart()
        else:
            change = log(mid_x2 / self._last_mid_x2)
            self._add(at_ns, elapsed, change * change)
        self._last_mid_x2, self._last_ns = mid_x2, at_ns

    def sigma_bps(self) -> Decimal | None:
        """The estimate to four places; None before `min_samples` returns were sampled."""
        if self._sigma is None and len(self._samples) >= self._min_samples:
            variance = max(self._squares, 0.0) / self._time_ns * _MINUTE_NS
            scaled = round(sqrt(variance) * _BPS * 10**_PLACES)
            self._sigma = Decimal(scaled).scaleb(-_PLACES)
        return self._sigma

    def _add(self, at_ns: int, elapsed: int, square: float) -> None:
        samples = self._samples
        samples.append((at_ns, elapsed, square))
        self._squares += square
        self._time_ns += elapsed
        horizon = at_ns - self._window_ns
        while samples[0][0] <= horizon:
            _, old_elapsed, old_square = samples.popleft()
            self._squares -= old_square
            self._time_ns -= old_elapsed
        self._since_exact += 1
        if self._since_exact >= len(samples):
            # Adding and subtracting floats drifts; one exact sum per turn of the window ends it.
            self._squares = fsum(sample[2] for sample in samples)
            self._since_exact = 0
        self._sigma = None

    def _restart(self) -> None:
        self._samples.clear()
        self._squares = 0.0
        self._time_ns = 0
        self._since_exact = 0
        self._sigma = None
