"""A thousand outcome sets watched in one process: a book change applied and its sets looked at.

Changes are made before the clock starts; parsing a venue's message is no part of this.
"""

import gc
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from benchmarks.results import Row, Table, microseconds
from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage.sets import OutcomeSet, outcome_set
from desk.arbitrage.verdicts import Opportunity
from desk.arbitrage.watch import SetWatch
from desk.book import Book
from desk.identity import MarketId
from desk.instrument import Instrument, Settlement
from desk.market import BookDelta, BookSnapshot
from desk.units import NS_PER_S

_SETS, _FEWEST, _MOST = 1_000, 3, 30
_PER_S = 5_000
_PAYS = 10_000
_DEPTH, _TOUCHED = 20, 18
_EDGE_EVERY = 100
_RULES = ArbitrageRules(
    max_units=Decimal(500),
    max_capital=Decimal(500),
    max_exposure=Decimal(500),
    min_edge=Decimal("0.005"),
    slippage_bps=Decimal(5),
    # A market changes every three seconds here; what is measured is a look that goes to its end.
    max_age_ms=600_000,
    max_skew_ms=600_000,
)


@dataclass(frozen=True, slots=True)
class Change:
    """One book's change, ready to be applied."""

    market: MarketId
    delta: BookDelta


def run(*, quick: bool) -> Table:
    """Flat out first, then paced."""
    seconds = 5 if quick else 20
    fleet = Fleet(random.Random(1))
    warm, flat = list(fleet.changes(_PER_S)), list(fleet.changes(5 * _PER_S))
    paced = list(fleet.changes(seconds * _PER_S))
    gc.collect()
    gc.freeze()
    fleet.flat_out(warm)
    rows = [fleet.flat_out(flat), fleet.paced(paced)]
    legs = len(fleet.books)
    return Table(
        name=f"arbitrage_watch: {_SETS:,} sets of {_FEWEST} to {_MOST} outcomes, {legs:,} books",
        rows=tuple(rows),
        notes=("target: at most 50 % of a core at 5,000 updates/s",),
    )


class Fleet:
    """Sets whose asks sum above 1, but for a leg that becomes too cheap now and then."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._sets = [_made(number, rng.randint(_FEWEST, _MOST)) for number in range(_SETS)]
        self._fair: dict[MarketId, int] = {}
        self._ladders: dict[MarketId, tuple[dict[int, int], dict[int, int]]] = {}
        self._cheap: MarketId | None = None
        self._at_ns = 0
        self.books: dict[MarketId, Book] = {}
        for one in self._sets:
            self._open(one)
        self._watch = SetWatch(self.books)
        for one in self._sets:
            self._watch.add(one, _RULES)

    def changes(self, count: int) -> Iterator[Change]:
        """The next changes, in the order they have to be applied."""
        for number in range(count):
            self._at_ns += NS_PER_S // _PER_S
            if self._cheap is not None:
                market, self._cheap = self._cheap, None
                yield self._move(market, *self._usual(market))
            elif number % _EDGE_EVERY == 0:
                one = self._rng.choice(self._sets)
                market = self._cheap = self._dearest(one)
                low = self._fair[market] - 80 - 6 * len(one.legs)
                yield self._move(market, low - 1, low)
            else:
                one = self._rng.choice(self._sets)
                market = self._rng.choice(one.legs).market
                yield self._move(market, *self._usual(market))

    def flat_out(self, changes: list[Change]) -> Row:
        """One change after the other."""
        took, seen = [], []
        begun, cpu = time.perf_counter(), time.process_time()
        for change in changes:
            before = time.perf_counter_ns()
            seen.append(self._take(change))
            took.append(time.perf_counter_ns() - before)
        return self._row("flat out", took, seen, begun, cpu)

    def paced(self, changes: list[Change]) -> Row:
        """Each change at its time, asleep in between: with cold caches and a wake-up each."""
        took, seen, step = [], [], NS_PER_S // _PER_S
        begun, cpu = time.perf_counter(), time.process_time()
        due = time.perf_counter_ns()
        for change in changes:
            due += step
            ahead = due - time.perf_counter_ns()
            if ahead > 0:
                time.sleep(ahead / NS_PER_S)
            before = time.perf_counter_ns()
            seen.append(self._take(change))
            took.append(time.perf_counter_ns() - before)
        return self._row(f"paced, {_PER_S:,} a second", took, seen, begun, cpu)

    def _take(self, change: Change) -> int:
        self.books[change.market].apply(change.delta)
        found = self._watch.changed(change.market, change.delta.received_ns)
        return sum(isinstance(verdict, Opportunity) for verdict in found)

    def _row(self, what: str, took: list[int], seen: list[int], begun: float, cpu: float) -> Row:
        wall, spent = time.perf_counter() - begun, time.process_time() - cpu
        edges = [ns for ns, found in zip(took, seen, strict=True) if found]
        assert len(edges) > len(took) // _EDGE_EVERY // 2
        figures = microseconds(what, took).figures
        return Row(
            what=what,
            figures={
                "updates/s": len(took) / wall,
                "CPU %": spent / wall * 100,
                "CPU us each": spent / len(took) * 1_000_000,
                "p50 us": figures["p50 us"],
                "p99 us": figures["p99 us"],
                "edge p50 us": microseconds(what, edges).figures["p50 us"],
                "edges": len(edges),
                "n": len(took),
            },
        )

    def _open(self, one: OutcomeSet) -> None:
        weights = [self._rng.random() + 0.02 for _ in one.legs]
        for leg, weight in zip(one.legs, weights, strict=True):
            fair = self._fair[leg.market] = int(weight / sum(weights) * _PAYS) + 1
            asks = {fair + place: self._lots() for place in range(1, _DEPTH + 1)}
            bids = {fair - place: self._lots() for place in range(1, min(_DEPTH, fair))}
            self._ladders[leg.market] = bids, asks
            self.books[leg.market] = book = Book()
            book.apply(
                BookSnapshot(
                    bids=tuple(bids.items()),
                    asks=tuple(asks.items()),
                    sequence=None,
                    received_ns=0,
                )
            )

    def _usual(self, market: MarketId) -> tuple[int, int]:
        fair = self._fair[market]
        return fair - self._rng.randint(1, 5), fair + self._rng.randint(1, 5)

    def _dearest(self, one: OutcomeSet) -> MarketId:
        return max((leg.market for leg in one.legs), key=self._fair.__getitem__)

    def _lots(self) -> int:
        return self._rng.randint(10, 500)

    def _move(self, market: MarketId, bid: int, ask: int) -> Change:
        """New best prices, and other sizes somewhere behind them."""
        bids, asks = self._ladders[market]
        changed = self._side(bids, bid, -1), self._side(asks, ask, 1)
        for ladder, levels in zip((bids, asks), changed, strict=True):
            ladder.update(levels)
            for price in [price for price, lots in levels.items() if not lots]:
                del ladder[price]
        delta = BookDelta(
            bids=tuple(changed[0].items()),
            asks=tuple(changed[1].items()),
            sequence=None,
            previous=None,
            received_ns=self._at_ns,
        )
        return Change(market, delta)

    def _side(self, ladder: dict[int, int], best: int, step: int) -> dict[int, int]:
        changed = dict.fromkeys((price for price in ladder if (price - best) * step < 0), 0)
        if best > 0:
            changed[best] = self._lots()
        for price in self._rng.sample(sorted(ladder), min(_TOUCHED // 2, len(ladder))):
            changed.setdefault(price, self._lots())
        missing = _DEPTH // 2 - len(ladder)
        far = max(ladder, key=lambda price: price * step, default=best)
        changed.update(
            {far + step * more: self._lots() for more in range(1, missing) if far + step * more > 0}
        )
        return changed


def _made(number: int, outcomes: int) -> OutcomeSet:
    members = []
    for place in range(outcomes):
        symbol = f"E{number}-{place}"
        members.append(
            (
                MarketId("ocx", "main", symbol),
                Instrument(
                    venue="ocx",
                    symbol=symbol,
                    tick_size=Decimal(1) / _PAYS,
                    lot_size=Decimal(1),
                    taker_fee_bps=Decimal(5),
                    quote="USDC",
                    settlement=Settlement(
                        event=f"E{number}", outcome=str(place), outcomes=outcomes
                    ),
                ),
            )
        )
    return outcome_set(f"E{number}", members)
