"""Kills told directly to this process: every session of it hears them in the same moment.

The one rule: a kill stays here until the durable record knows it, for a board alone can be emptied;
from then on board and record decide.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from desk.identity import MarketId
from desk.records import Kill, kill_scopes


class Gates:
    """One per process, shared by all of its sessions."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, int], Kill] = {}
        self._hearers: dict[object, Callable[[], None]] = {}

    def close(self, kill: Kill) -> None:
        """Stop what the kill covers, at once; telling it again changes nothing."""
        if (kill.scope, kill.at_ms) in self._told:
            return
        self._told[kill.scope, kill.at_ms] = kill
        self._tell()

    def forget(self, kill: Kill) -> None:
        """The record knows it: it is on the board as well, or it is over."""
        if self._told.pop((kill.scope, kill.at_ms), None) is not None:
            self._tell()

    def told(self) -> tuple[Kill, ...]:
        """What is kept here now, oldest first."""
        return tuple(self._told.values())

    def merged(self, market: MarketId, on_board: tuple[Kill, ...]) -> tuple[Kill, ...]:
        """Kills that cover a market, from the board and from here, widest first.

        Of one scope the latest holds.
        """
        newest = {kill.scope: kill.at_ms for kill in on_board}
        mine = [kill for kill in self._told.values() if kill.covers(market)]
        waiting = [kill for kill in mine if kill.at_ms > newest.get(kill.scope, -1)]
        if not waiting:
            return on_board
        order = kill_scopes(market)
        return tuple(sorted((*on_board, *waiting), key=lambda kill: order.index(kill.scope)))

    @contextmanager
    def heard_by(self, hearer: Callable[[], None]) -> Iterator[None]:
        """Call `hearer` whenever something here changed, while the block runs."""
        key = object()
        self._hearers[key] = hearer
        try:
            yield
        finally:
            del self._hearers[key]

    def _tell(self) -> None:
        for hearer in tuple(self._hearers.values()):
            hearer()
