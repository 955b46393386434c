"""Actions the engine executed: numbered, kept for reading, and not executed twice.

An error consumes no number (zo.md section 4.3); only executed actions count as duplicates.
"""

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from desk.units import NS_PER_S
from venues.zo.simulator.codes import Refusal

_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """One action; `raw` is length prefix and payload, `at_ns` wall time."""

    action_id: int
    at_ns: int
    raw: bytes


class Journal:
    """Numbers and memory of executed actions."""

    def __init__(self, first_id: int, window_s: int, now_ns: Callable[[], int]) -> None:
        self.last_id = first_id - 1
        self._window_ns = window_s * NS_PER_S
        self._now_ns = now_ns
        self._executed: deque[Executed] = deque(maxlen=_KEPT)
        self._recent: dict[bytes, int] = {}

    @property
    def next_id(self) -> int:
        """The number the next executed action gets."""
        return self.last_id + 1

    def check(self, raw: bytes) -> None:
        """Refusal DUPLICATE when these very bytes were executed within the window."""
        now = self._now_ns()
        while self._recent:
            oldest = next(iter(self._recent))
            if self._recent[oldest] + self._window_ns > now:
                break
            del self._recent[oldest]
        if _digest(raw) in self._recent:
            raise Refusal("DUPLICATE", "these bytes were executed already")

    def record(self, raw: bytes) -> int:
        """Count an executed action; its number."""
        self.last_id += 1
        now = self._now_ns()
        self._recent[_digest(raw)] = now
        self._executed.append(Executed(action_id=self.last_id, at_ns=now, raw=raw))
        return self.last_id

    def bridged(self) -> int:
        """Count an action of the bridge, which nobody sent us; its number."""
        self.last_id += 1
        return self.last_id

    def between(self, first: int, last: int) -> list[Executed]:
        """Executed actions with these numbers, both included."""
        return [one for one in self._executed if first <= one.action_id <= last]


def _digest(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()
