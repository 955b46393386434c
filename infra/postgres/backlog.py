"""What is recorded and not yet in PostgreSQL, in order.

The rule: orders, answers, endings, fills and decisions are never dropped. Past the bound, equity
marks of one market replace each other: the newest carries the peak of all, so no fact is lost.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from desk.identity import MarketId
from desk.records import EquityMark, LedgerRecord, OrderSent


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record, its place in line, and when it came (monotonic nanoseconds)."""

    number: int
    since_ns: int
    record: LedgerRecord


_SPOOLED: Final = 0


def _number(entry: Entry) -> int:
    return entry.number


class Backlog:
    """Queue of one process; `bound` is how many records it takes before marks are merged."""

    def __init__(self, *, bound: int) -> None:
        self._bound = bound
        self._queue: deque[Entry] = deque()
        self._marks: dict[MarketId, Entry] = {}
        self._numbers = 0
        self._intents: dict[MarketId, int] = {}

    def __len__(self) -> int:
        return len(self._queue) + len(self._marks)

    @property
    def newest(self) -> int:
        """Number of the record taken in last; 0 before the first."""
        return self._numbers

    def add(self, record: LedgerRecord, now_ns: int) -> None:
        """Take a record in, last."""
        self._numbers += 1
        entry = Entry(number=self._numbers, since_ns=now_ns, record=record)
        if isinstance(record, EquityMark) and self._merges(record.market):
            self._merge(entry, record)
        else:
            self._queue.append(entry)
            self._count(entry, 1)

    def intents(self, market: MarketId) -> int:
        """Orders of a market whose sending is in no database and in no spool file."""
        return self._intents.get(market, 0)

    def add_spooled(self, records: Iterable[LedgerRecord], now_ns: int) -> None:
        """Take in what the spool holds, before all else; its files keep it until it is written."""
        entries = [Entry(number=_SPOOLED, since_ns=now_ns, record=record) for record in records]
        self._queue.extendleft(reversed(entries))

    def oldest(self) -> Entry | None:
        """The entry that has waited longest; None when all is written."""
        heads = [*islice(self._queue, 1), *self._marks.values()]
        return min(heads, key=_number, default=None)

    def holds_spooled(self) -> bool:
        """Whether something of the spool is not written yet."""
        return bool(self._queue) and self._queue[0].number == _SPOOLED

    def head(self, size: int) -> list[LedgerRecord]:
        """The next records to write, oldest first; they stay until `drop`."""
        if len(self._queue) < size:
            self._unmerge()
        return [entry.record for entry in islice(self._queue, size)]

    def drop(self, size: int) -> None:
        """Forget the first records of the queue: they are safe elsewhere."""
        for _ in range(size):
            self._count(self._queue.popleft(), -1)

    def unsaved(self) -> list[LedgerRecord]:
        """All records that no spool file holds, oldest first."""
        self._unmerge()
        return [entry.record for entry in self._queue if entry.number != _SPOOLED]

    def clear(self) -> None:
        """Forget everything: it is safe elsewhere."""
        self._queue.clear()
        self._marks.clear()
        self._intents.clear()

    def _count(self, entry: Entry, change: int) -> None:
        record = entry.record
        if type(record) is OrderSent and entry.number != _SPOOLED:
            self._intents[record.market] = self._intents.get(record.market, 0) + change

    def _unmerge(self) -> None:
        if self._marks:
            self._queue = deque(sorted([*self._queue, *self._marks.values()], key=_number))
            self._marks.clear()

    def _merges(self, market: MarketId) -> bool:
        return len(self._queue) >= self._bound or market in self._marks

    def _merge(self, entry: Entry, record: EquityMark) -> None:
        held = self._marks.get(record.market)
        since_ns = held.since_ns if held else entry.since_ns
        number = held.number if held else entry.number
        self._marks[record.market] = Entry(number=number, since_ns=since_ns, record=record)
