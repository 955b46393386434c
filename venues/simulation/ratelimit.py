"""Counting requests: so many per window, whether the window is fixed or slides.

Reading the count spends nothing.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Budget(Protocol):
    """Requests counted by who sent them."""

    def take(self, who: str, limit: int) -> int | None:
        """Spend one request; nanoseconds to wait when the window is used up, else None."""
        ...


@dataclass(slots=True)
class _Window:
    ends_ns: int = 0
    used: int = 0


class FixedWindow:
    """A window begins with the first request after the last one ended."""

    def __init__(self, window_ns: int, now_ns: Callable[[], int]) -> None:
        self._window_ns = window_ns
        self._now_ns = now_ns
        self._windows: dict[str, _Window] = {}

    def take(self, who: str, limit: int) -> int | None:
        """Spend one request; nanoseconds to wait when the window is used up, else None."""
        window = self._window(who)
        if window.used >= limit:
            return window.ends_ns - self._now_ns()
        window.used += 1
        return None

    def used(self, who: str) -> int:
        """Requests spent in the current window."""
        return self._window(who).used

    def ends_ns(self, who: str) -> int:
        """Wall time at which the current window ends."""
        return self._window(who).ends_ns

    def _window(self, who: str) -> _Window:
        window = self._windows.setdefault(who, _Window())
        now = self._now_ns()
        if now >= window.ends_ns:
            window.ends_ns, window.used = now + self._window_ns, 0
        return window


class SlidingWindow:
    """Any window of this length holds at most the limit."""

    def __init__(self, window_ns: int, now_ns: Callable[[], int]) -> None:
        self._window_ns = window_ns
        self._now_ns = now_ns
        self._sent: dict[str, deque[int]] = {}

    def take(self, who: str, limit: int) -> int | None:
        """Spend one request; nanoseconds to wait when the window is used up, else None."""
        sent, now = self._sent.setdefault(who, deque()), self._now_ns()
        while sent and sent[0] + self._window_ns <= now:
            sent.popleft()
        if len(sent) >= limit:
            return sent[0] + self._window_ns - now if sent else self._window_ns
        sent.append(now)
        return None
