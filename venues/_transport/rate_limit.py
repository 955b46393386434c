"""Request budget of one account: so many per minute, a share kept for cancels.

A token returns exactly one window after it was taken, so no window of the venue, whether fixed or
sliding, ever sees more than the capacity; the venue's own headers can only lower what is left.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from math import isfinite
from typing import Protocol

from desk.ports import Clock
from desk.units import NS_PER_S

_EPOCH_SECONDS_FROM = 1e8
_EPOCH_MILLISECONDS_FROM = 1e11


class RequestKind(StrEnum):
    """What a request is for; cancels may use the reserved share."""

    ORDER = "order"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateNews:
    """What an answer says about the budget; None where it says nothing. Delays are seconds."""

    remaining: int | None = None
    reset_s: float | None = None
    retry_after_s: float | None = None
    too_many: bool = False
    """The answer was a 429, whether or not it says how long to wait."""


def read_rate_headers(headers: Mapping[str, str], *, wall_ns: int) -> RateNews:
    """Read `x-ratelimit-remaining`, `x-ratelimit-reset` and `retry-after` (names lower-case).

    The unit of the reset is told by its size: seconds from now, unix seconds, unix milliseconds.
    Values that cannot be read count as absent.
    """
    remaining = _number(headers.get("x-ratelimit-remaining"))
    reset = _number(headers.get("x-ratelimit-reset"))
    return RateNews(
        remaining=None if remaining is None else max(0, int(remaining)),
        reset_s=None if reset is None else _delay_s(reset, wall_ns),
        retry_after_s=_retry_after_s(headers.get("retry-after"), wall_ns),
    )


class Budget(Protocol):
    """Who is asked before a request: this process alone, or a share of the whole fleet's."""

    def take(self, kind: RequestKind) -> float:
        """Take one token: 0.0 when taken; else nothing was taken and so many seconds to wait."""

    def overdraw(self) -> None:
        """Count a cancel that goes out although `take` said to wait."""

    def heard(self, news: RateNews) -> None:
        """Take in what an answer said."""


class RateBudget:
    """Tokens of one account. `reserved` of `capacity` tokens a window are for cancels alone."""

    def __init__(
        self, *, clock: Clock, capacity: int, reserved: int, window_s: float = 60.0
    ) -> None:
        self._clock = clock
        self._capacity = capacity
        self._reserved = reserved
        self._window_ns = int(window_s * NS_PER_S)
        self._taken: deque[int] = deque()
        self._told: int | None = None
        self._told_until_ns = 0
        self._blocked_until_ns = 0

    def take(self, kind: RequestKind) -> float:
        """Take one token: 0.0 when taken; else nothing was taken and so many seconds to wait."""
        now_ns = self._clock.monotonic_ns()
        self._forget(now_ns)
        kept = 0 if kind is RequestKind.CANCEL else self._reserved
        wait_ns = max(
            self._blocked_until_ns - now_ns,
            self._own_wait_ns(now_ns, kept),
            self._told_wait_ns(now_ns, kept),
        )
        if wait_ns > 0:
            return wait_ns / NS_PER_S
        self._count(now_ns)
        return 0.0

    def overdraw(self) -> None:
        """Count a cancel that goes out although `take` said to wait."""
        self._count(self._clock.monotonic_ns())

    def heard(self, news: RateNews) -> None:
        """Take in what an answer said. It can lower the budget, never raise it over our own."""
        now_ns = self._clock.monotonic_ns()
        self._forget(now_ns)
        if news.retry_after_s is not None:
            until_ns = now_ns + int(news.retry_after_s * NS_PER_S)
            self._blocked_until_ns = max(self._blocked_until_ns, until_ns)
        if news.remaining is None:
            return
        if news.reset_s is None:
            self._told, self._told_until_ns = news.remaining, now_ns + self._window_ns
            return
        # Requests still under way are missing from `remaining`, so inside one window only less
        # is believed.
        self._told = news.remaining if self._told is None else min(self._told, news.remaining)
        self._told_until_ns = now_ns + int(news.reset_s * NS_PER_S)

    def left(self, kind: RequestKind) -> int:
        """Tokens this kind could take at once."""
        now_ns = self._clock.monotonic_ns()
        self._forget(now_ns)
        if self._blocked_until_ns > now_ns:
            return 0
        own = self._capacity - len(self._taken)
        free = own if self._told is None else min(own, self._told)
        return max(0, free - (0 if kind is RequestKind.CANCEL else self._reserved))

    def spent(self) -> int:
        """Requests of this process within the last window."""
        self._forget(self._clock.monotonic_ns())
        return len(self._taken)

    def _count(self, now_ns: int) -> None:
        self._taken.append(now_ns)
        if self._told is not None:
            self._told = max(0, self._told - 1)

    def _forget(self, now_ns: int) -> None:
        while self._taken and self._taken[0] + self._window_ns <= now_ns:
            self._taken.popleft()
        if self._told is not None and self._told_until_ns <= now_ns:
            self._told = None

    def _own_wait_ns(self, now_ns: int, kept: int) -> int:
        missing = len(self._taken) + 1 + kept - self._capacity
        if missing <= 0:
            return 0
        if missing > len(self._taken):
            return self._window_ns
        return self._taken[missing - 1] + self._window_ns - now_ns

    def _told_wait_ns(self, now_ns: int, kept: int) -> int:
        if self._told is None or self._told > kept:
            return 0
        return self._told_until_ns - now_ns


def _number(text: str | None) -> float | None:
    try:
        value = None if text is None else float(text)
    except ValueError:
        return None
    return value if value is not None and isfinite(value) else None


def _delay_s(value: float, wall_ns: int) -> float:
    if value >= _EPOCH_MILLISECONDS_FROM:
        return max(0.0, value / 1_000 - wall_ns / NS_PER_S)
    if value >= _EPOCH_SECONDS_FROM:
        return max(0.0, value - wall_ns / NS_PER_S)
    return max(0.0, value)


def _retry_after_s(text: str | None, wall_ns: int) -> float | None:
    seconds = _number(text)
    if seconds is not None:
        return max(0.0, seconds)
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - wall_ns / NS_PER_S)
