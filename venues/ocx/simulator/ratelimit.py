"""The order path's rate limit: so many requests per user in a fixed window.

Reads are free, a bulk call costs one, and every answer tells where the user stands.
"""

from dataclasses import dataclass

from desk.units import NS_PER_MS, NS_PER_S
from venues.ocx.simulator.answers import ApiError
from venues.ocx.simulator.clock import VenueClock
from venues.ocx.simulator.settings import ResetUnit, SimulatorSettings


@dataclass(slots=True)
class _Window:
    ends_ns: int = 0
    used: int = 0


class RateLimiter:
    """Counts by user id, or by remote address for anonymous clients."""

    def __init__(self, settings: SimulatorSettings, clock: VenueClock) -> None:
        self._settings = settings
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    def take(self, who: str, limit: int | None) -> None:
        """Spend one request; ApiError 429 when the window is used up."""
        window = self._window(who)
        if window.used >= self._limit(limit):
            wait_ms = -(-(window.ends_ns - self._clock.now_ns()) // NS_PER_MS)
            raise rate_limited(max(1, wait_ms))
        window.used += 1

    def headers(self, who: str, limit: int | None) -> dict[str, str]:
        """The three headers that stand on every answer."""
        window, allowed = self._window(who), self._limit(limit)
        return {
            "X-RateLimit-Limit": str(allowed),
            "X-RateLimit-Remaining": str(max(0, allowed - window.used)),
            "X-RateLimit-Reset": self._reset(window),
        }

    def _limit(self, limit: int | None) -> int:
        return self._settings.rate_per_minute if limit is None else limit

    def _window(self, who: str) -> _Window:
        window = self._windows.setdefault(who, _Window())
        now = self._clock.now_ns()
        if now >= window.ends_ns:
            window.ends_ns, window.used = now + self._settings.rate_window_ns, 0
        return window

    def _reset(self, window: _Window) -> str:
        match self._settings.reset_unit:
            case ResetUnit.DELTA_SECONDS:
                return str(-(-(window.ends_ns - self._clock.now_ns()) // NS_PER_S))
            case ResetUnit.EPOCH_SECONDS:
                return str(-(-window.ends_ns // NS_PER_S))
            case ResetUnit.EPOCH_MILLISECONDS:
                return str(window.ends_ns // NS_PER_MS)


def rate_limited(retry_after_ms: int) -> ApiError:
    """The refusal of a client that sent too much."""
    return ApiError(
        429, "ORDER_RATE_LIMIT", "order rate limit reached", retry_after_ms=retry_after_ms
    )
