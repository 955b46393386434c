"""A recording of outcome sets through the watch that trades them: what it would have seen."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from desk.units import NS_PER_MS
from flotilla.arbitrage_recorded import Glance, RecordedSets, ScanTerms
from venues.simulation.recorded_sets import (
    Quote,
    book_changes,
    holds_polls,
    outcomes_of,
    polls,
    sets_of,
    steps_of,
)

_ONE = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How often something was seen, in how many sets, and the best edge of one unit."""

    times: int
    sets: int
    best: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """What so many looks at sets showed.

    `asked` saw an ask for every outcome, `bid` a bid; `hidden` had a book that is not used, for it
    was told with its bid at or above its ask. `below`: the asks sum below 1, before costs;
    `refused` of these by a guard, by its name; `kept` by none; `below_net` kept and above zero
    after costs. `above`: the bids sum above 1; `above_net` the same after costs.
    """

    looks: int
    asked: int
    bid: int
    hidden: int
    below: Found
    refused: Mapping[str, int]
    kept: Found
    below_net: Found
    above: Found
    above_net: Found


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    """What a recording shows.

    `whole` are looks after everything that was told of a set at one time. `each` are looks after
    every single change of a book, as a watch takes them; None for polls, which come whole.
    """

    sets: int
    whole: Looks
    each: Looks | None


def scan_recording(path: Path, terms: ScanTerms) -> ScanReport:
    """Replay a recording. ConfigurationFault when it cannot be read."""
    return _polls(path, terms) if holds_polls(path) else _books(path, terms)


def _polls(path: Path, terms: ScanTerms) -> ScanReport:
    sets = outcomes_of(path)
    seen = RecordedSets(sets, steps_of(path, "bid", "ask"), _ONE, terms)
    whole = _Tally()
    last: dict[str, tuple[tuple[Quote, ...], Glance]] = {}
    for poll in polls(path):
        quotes, glance = last.get(poll.name, (None, None))
        # Most polls repeat the one before, whole and at one time: nothing to look at anew.
        if glance is None or quotes != poll.quotes:
            seen.poll(poll)
            glance = seen.glance(poll.name, poll.at_ms * NS_PER_MS)
            last[poll.name] = poll.quotes, glance
        whole.add(poll.name, glance)
    return ScanReport(sets=len(sets), whole=whole.looks(), each=None)


def _books(path: Path, terms: ScanTerms) -> ScanReport:
    sets = sets_of(path)
    seen = RecordedSets(sets, steps_of(path, "price"), steps_of(path, "size"), terms)
    whole, each = _Tally(), _Tally()
    for (at_ns, name), changes in groupby(book_changes(path), key=attrgetter("at_ns", "name")):
        if name not in sets:
            continue
        for change in changes:
            seen.change(change)
            glance = seen.glance(name, at_ns)
            each.add(name, glance)
        whole.add(name, glance)
    return ScanReport(sets=len(sets), whole=whole.looks(), each=each.looks())


class _Tally:
    """Looks added up."""

    def __init__(self) -> None:
        self._looks = self._asked = self._bid = self._hidden = 0
        self._refused: Counter[str] = Counter()
        self._below, self._kept, self._below_net = _Seen(), _Seen(), _Seen()
        self._above, self._above_net = _Seen(), _Seen()

    def add(self, name: str, glance: Glance) -> None:
        """One look at a set."""
        self._looks += 1
        self._asked += glance.buying is not None
        self._bid += glance.selling is not None
        self._hidden += glance.hidden
        self._above.add(name, glance.selling)
        self._above_net.add(name, glance.selling_net)
        if not self._below.add(name, glance.buying):
            return
        if glance.passed is not None:
            self._refused[glance.passed.value] += 1
            return
        self._kept.add(name, glance.buying)
        self._below_net.add(name, glance.buying_net)

    def looks(self) -> Looks:
        """All of them."""
        return Looks(
            looks=self._looks,
            asked=self._asked,
            bid=self._bid,
            hidden=self._hidden,
            below=self._below.found(),
            refused=dict(self._refused),
            kept=self._kept.found(),
            below_net=self._below_net.found(),
            above=self._above.found(),
            above_net=self._above_net.found(),
        )


class _Seen:
    """Edges above zero of one kind."""

    def __init__(self) -> None:
        self._times = 0
        self._sets: set[str] = set()
        self._best: Fraction | None = None

    def add(self, name: str, edge: Fraction | None) -> bool:
        """Whether it was one."""
        if edge is None or edge.numerator <= 0:
            return False
        self._times += 1
        self._sets.add(name)
        self._best = edge if self._best is None else max(self._best, edge)
        return True

    def found(self) -> Found:
        best = self._best
        told = None if best is None else Decimal(best.numerator) / best.denominator
        return Found(times=self._times, sets=len(self._sets), best=told)
