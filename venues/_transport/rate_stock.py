"""Tokens of a shared rate bucket held by this process, drawn a little ahead of their use.

The rule: a token is used at most once, and never after its life; what is given back is gone.
"""

from collections import deque
from dataclasses import dataclass

from desk.units import NS_PER_S


@dataclass(slots=True)
class _Lot:
    """Tokens of one draw: the bucket's name for it, when it was asked for, and how many."""

    stamp: int
    asked_ns: int
    tokens: int


class RateStock:
    """Tokens of one kind, oldest first. Times are monotonic nanoseconds, given by the caller.

    Past half its life a token is old: still good to use, and due to be replaced.
    """

    def __init__(self, *, life_ns: int) -> None:
        self._life_ns = life_ns
        self._lots: deque[_Lot] = deque()
        self._leaving: list[tuple[int, int]] = []
        self.held = 0

    def add(self, tokens: int, *, stamp: int, asked_ns: int) -> None:
        """Hold tokens drawn by a call that began at `asked_ns`."""
        if tokens > 0:
            self._lots.append(_Lot(stamp=stamp, asked_ns=asked_ns, tokens=tokens))
            self.held += tokens

    def ready(self, now_ns: int) -> bool:
        """Whether a token could be used now."""
        lots = self._lots
        if lots and now_ns - lots[0].asked_ns >= self._life_ns:
            self._expire(now_ns)
        return self.held > 0

    def use(self, now_ns: int) -> bool:
        """Use the oldest token; False when there is none."""
        if not self.ready(now_ns):
            return False
        self._take_oldest(1)
        return True

    def young(self, now_ns: int) -> int:
        """Tokens held that are not old yet."""
        half_ns = self._life_ns // 2
        return sum(lot.tokens for lot in self._lots if now_ns - lot.asked_ns < half_ns)

    def trim(self, most: int) -> None:
        """Set all but `most` aside to be given back, the oldest first."""
        while self.held > most:
            stamp = self._lots[0].stamp
            self._leaving.append((stamp, self._take_oldest(self.held - most)))

    def leaving(self, now_ns: int) -> list[tuple[int, int]]:
        """(stamp, tokens) to give back: expired or set aside, told once."""
        self._expire(now_ns)
        leaving, self._leaving = self._leaving, []
        return leaving

    def _expire(self, now_ns: int) -> None:
        while self._lots and now_ns - self._lots[0].asked_ns >= self._life_ns:
            lot = self._lots.popleft()
            self.held -= lot.tokens
            self._leaving.append((lot.stamp, lot.tokens))

    def _take_oldest(self, most: int) -> int:
        lot = self._lots[0]
        taken = min(most, lot.tokens)
        lot.tokens -= taken
        self.held -= taken
        if not lot.tokens:
            self._lots.popleft()
        return taken


class Pace:
    """How many tokens were wanted within the last second."""

    def __init__(self) -> None:
        self._wanted_ns: deque[int] = deque()

    def note(self, now_ns: int) -> None:
        """One more."""
        self._wanted_ns.append(now_ns)
        while self._wanted_ns[0] <= now_ns - NS_PER_S:
            self._wanted_ns.popleft()

    def recent(self, now_ns: int) -> int:
        """Wanted since a second ago."""
        wanted = self._wanted_ns
        while wanted and wanted[0] <= now_ns - NS_PER_S:
            wanted.popleft()
        return len(wanted)
