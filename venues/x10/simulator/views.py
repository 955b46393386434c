"""What the book streams tell: a whole book first, then the changes since the last look.

In a change `q` is signed and `c` the size after it (x10.md section 12.3).
"""

from typing import Any

from desk.units import Level
from venues.simulation.faults import FaultKind, Site
from venues.x10.simulator import shapes
from venues.x10.simulator.world import World


class BookView:
    """One market's book as one connection knows it; `depth` None is all of it."""

    def __init__(self, world: World, symbol: str, depth: int | None, site: Site) -> None:
        self._world = world
        self._symbol = symbol
        self._depth = depth
        self._site = site
        self._instrument = world.instrument(symbol)
        self._sequence = -1
        self._known: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def snapshot(self) -> dict[str, Any]:
        """The whole book; later changes count from here."""
        bids, asks = self._look()
        self._known = (dict(bids), dict(asks))
        fault = self._world.faults.take(self._site, FaultKind.DEEP_SNAPSHOT)
        if fault is not None and self._depth is None:
            each = fault.levels // 2
            bids, asks = _deepen(bids, each, -1), _deepen(asks, each, 1)
        return self._told([self._level(*one) for one in bids], [self._level(*one) for one in asks])

    def changes(self) -> dict[str, Any] | None:
        """Changed levels of both sides, None when there are none."""
        if self._world.engine.book_sequence(self._symbol) == self._sequence:
            return None
        bids, asks = self._look()
        before, now = self._known, (dict(bids), dict(asks))
        self._known = now
        changed = [self._difference(old, new) for old, new in zip(before, now, strict=True)]
        return self._told(*changed) if any(changed) else None

    def fresh(self) -> dict[str, Any] | None:
        """The whole book again if it changed, None otherwise."""
        before = self._known
        if self._world.engine.book_sequence(self._symbol) == self._sequence:
            return None
        shown = self.snapshot()
        return None if before == self._known else shown

    def _look(self) -> tuple[list[Level], list[Level]]:
        self._sequence = self._world.engine.book_sequence(self._symbol)
        return self._world.engine.book(self._symbol, self._depth)

    def _told(self, bids: list[dict[str, str]], asks: list[dict[str, str]]) -> dict[str, Any]:
        return {
            "m": self._symbol,
            "b": bids,
            "a": asks,
            "d": "f" if self._depth is None else str(self._depth),
        }

    def _level(self, ticks: int, lots: int) -> dict[str, str]:
        instrument = self._instrument
        return {"p": shapes.price(instrument, ticks), "q": shapes.size(instrument, lots)}

    def _difference(self, old: dict[int, int], new: dict[int, int]) -> list[dict[str, str]]:
        changed = []
        for ticks in {**old, **new}:
            before, after = old.get(ticks, 0), new.get(ticks, 0)
            if before != after:
                level = self._level(ticks, after - before)
                changed.append(level | {"c": shapes.size(self._instrument, after)})
        return changed


def _deepen(side: list[Level], levels: int, direction: int) -> list[Level]:
    """The side with far levels behind it, so many in all; prices stay above zero."""
    ticks = side[-1][0] if side else 0
    padded = list(side)
    while side and len(padded) < levels:
        ticks += direction
        if ticks <= 0:
            break
        padded.append((ticks, 1))
    return padded
