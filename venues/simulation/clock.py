"""The venue's clock as clients see it: wall time plus a skew that a fault may set.

Matching itself never uses the skew.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

from desk.units import NS_PER_MS, NS_PER_S


def iso_ms(unix_ms: int) -> str:
    """ISO-8601 in UTC with milliseconds."""
    whole, part = divmod(unix_ms, 1000)
    moment = datetime.fromtimestamp(whole, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{part:03d}Z"


class VenueClock:
    """Wall nanoseconds from outside, and what is told to clients."""

    def __init__(self, now_ns: Callable[[], int], skew_s: Callable[[], float]) -> None:
        self._now_ns = now_ns
        self._skew_s = skew_s

    def now_ns(self) -> int:
        """True wall time, unix nanoseconds."""
        return self._now_ns()

    def now_s(self) -> int:
        """True wall time, unix seconds."""
        return self._now_ns() // NS_PER_S

    def told_ms(self) -> int:
        """Unix milliseconds as told to clients."""
        return self._now_ns() // NS_PER_MS + int(self._skew_s() * 1000)

    def date_header(self) -> str:
        """The `Date` header, with the skew."""
        moment = datetime.fromtimestamp(self.told_ms() // 1000, UTC)
        return format_datetime(moment, usegmt=True)
