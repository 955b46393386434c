"""The order path's rate limit: so many requests per user in a fixed window.

Reads are free, a bulk call costs one, and every answer tells where the user stands.
"""

from desk.units import NS_PER_MS, NS_PER_S
from venues.ocx.simulator.answers import ApiError
from venues.ocx.simulator.settings import ResetUnit, SimulatorSettings
from venues.simulation.clock import VenueClock
from venues.simulation.ratelimit import FixedWindow


class RateLimiter:
    """Counts by user id, or by remote address for anonymous clients."""

    def __init__(self, settings: SimulatorSettings, clock: VenueClock) -> None:
        self._settings = settings
        self._clock = clock
        self._spent = FixedWindow(settings.rate_window_ns, clock.now_ns)

    def take(self, who: str, limit: int | None) -> None:
        """Spend one request; ApiError 429 when the window is used up."""
        wait_ns = self._spent.take(who, self._limit(limit))
        if wait_ns is not None:
            raise rate_limited(max(1, -(-wait_ns // NS_PER_MS)))

    def headers(self, who: str, limit: int | None) -> dict[str, str]:
        """The three headers that stand on every answer."""
        allowed = self._limit(limit)
        return {
            "X-RateLimit-Limit": str(allowed),
            "X-RateLimit-Remaining": str(max(0, allowed - self._spent.used(who))),
            "X-RateLimit-Reset": self._reset(self._spent.ends_ns(who)),
        }

    def _limit(self, limit: int | None) -> int:
        return self._settings.rate_per_minute if limit is None else limit

    def _reset(self, ends_ns: int) -> str:
        match self._settings.reset_unit:
            case ResetUnit.DELTA_SECONDS:
                return str(-(-(ends_ns - self._clock.now_ns()) // NS_PER_S))
            case ResetUnit.EPOCH_SECONDS:
                return str(-(-ends_ns // NS_PER_S))
            case ResetUnit.EPOCH_MILLISECONDS:
                return str(ends_ns // NS_PER_MS)


def rate_limited(retry_after_ms: int) -> ApiError:
    """The refusal of a client that sent too much."""
    return ApiError(
        429, "ORDER_RATE_LIMIT", "order rate limit reached", retry_after_ms=retry_after_ms
    )
