"""One market's book as the stream tells it: changed levels with their new absolute sizes.

`update_id` names what was told last, so a REST read and the stream count the same thing.
"""

from dataclasses import dataclass

from desk.units import Level
from venues.simulation.engine import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class BookDelta:
    """Levels (ticks, lots) that changed between two update ids; lots 0 removes."""

    last_update_id: int
    update_id: int
    bids: list[Level]
    asks: list[Level]


class BookFeed:
    """What clients were told of one market. Ids never shrink and need not be consecutive."""

    def __init__(self, engine: Engine, symbol: str) -> None:
        self.symbol = symbol
        self._engine = engine
        self._update_id = 1
        self._seen = -1
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    @property
    def update_id(self) -> int:
        """The id of the book as it stands now."""
        self.refresh()
        return self._update_id

    def refresh(self) -> BookDelta | None:
        """Look at the book; what changed since the last look, None when nothing did."""
        sequence = self._engine.book_sequence(self.symbol)
        if sequence == self._seen:
            return None
        self._seen = sequence
        bids, asks = self._engine.book(self.symbol)
        changed_bids = _changes(self._bids, bids)
        changed_asks = _changes(self._asks, asks)
        if not changed_bids and not changed_asks:
            return None
        self._bids, self._asks = dict(bids), dict(asks)
        last, self._update_id = self._update_id, max(self._update_id + 1, sequence)
        return BookDelta(
            last_update_id=last, update_id=self._update_id, bids=changed_bids, asks=changed_asks
        )


def _changes(old: dict[int, int], new: list[Level]) -> list[Level]:
    changed = [level for level in new if old.get(level[0]) != level[1]]
    shown = {ticks for ticks, _ in new}
    return changed + [(ticks, 0) for ticks in old if ticks not in shown]
