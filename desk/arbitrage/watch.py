"""Many sets watched at once: a changed book wakes only the sets it is in, and mostly none.

What the best prices of a set come to is kept as one integer and moved by what a change makes of
it, so that a change that leaves no edge costs a subtraction. Only an edge is looked at whole.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TypeAlias

from desk.arbitrage.circles import TriangleModel
from desk.arbitrage.freshness import LegBook
from desk.arbitrage.outcomes import OutcomeModel
from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage.sets import OutcomeSet, Triangle
from desk.arbitrage.verdicts import Verdict
from desk.arbitrage.watched import Watched, WatchedOutcomes, WatchedTriangle
from desk.book import Book
from desk.flattening import Regime
from desk.identity import MarketId
from desk.units import Lots

AnySet: TypeAlias = OutcomeSet | Triangle
_NO_OFFSETS: Mapping[str, int] = {}


class SetWatch:
    """Sets over shared books; the books are changed by others, who say so with `changed`.

    `offsets_ns` of a venue is how much later than the event its books are stamped
    (`desk.arbitrage.freshness.moment`). Watch a triangle in both directions by giving both.
    """

    def __init__(
        self, books: Mapping[MarketId, Book], offsets_ns: Mapping[str, int] = _NO_OFFSETS
    ) -> None:
        self._books = books
        self._offsets_ns = offsets_ns
        self._heard_ns: dict[MarketId, int] = {}
        self._at: dict[MarketId, list[tuple[Watched, int]]] = {}
        self._named: dict[str, list[Watched]] = {}
        self._legs: dict[Watched, tuple[MarketId, ...]] = {}

    def add(self, one: AnySet, rules: ArbitrageRules) -> None:
        """Watch a set from now on, by the books as they are. ValueError for unsound rules."""
        if problems := rules.problems():
            raise ValueError(f"{one.name}: {'; '.join(problems)}")
        markets = tuple(leg.market for leg in one.legs)
        books = [self._books[market] for market in markets]
        watched: Watched
        if isinstance(one, OutcomeSet):
            watched = WatchedOutcomes(OutcomeModel.prepare(one, rules), books)
        else:
            watched = WatchedTriangle(TriangleModel(triangle=one, rules=rules), books)
        self._named.setdefault(one.name, []).append(watched)
        self._legs[watched] = markets
        for index, market in enumerate(markets):
            self._at.setdefault(market, []).append((watched, index))
            watched.moved(index)

    def hold(self, name: str, lots: Sequence[Lots] | None) -> None:
        """What is held of each leg of an outcome set, to be sold early; None for nothing."""
        for watched in self._named[name]:
            watched.held = lots

    def regime(self, name: str, regime: Regime) -> None:
        """How a set's markets are; in a fast one the larger slippage budget counts."""
        for watched in self._named[name]:
            watched.regime = regime

    def confirmed(self, market: MarketId, heard_ns: int) -> None:
        """The market's own stream spoke without a change: its book stood as it is until then."""
        self._heard_ns[market] = heard_ns

    def changed(self, market: MarketId, now_ns: int) -> list[Verdict]:
        """Take a change of this book: a verdict for each set that shows an edge at best prices.

        Sets without one say nothing. A verdict may still be a pass: the edge did not hold.
        """
        found: list[Verdict] = []
        for watched, index in self._at.get(market, ()):
            if watched.moved(index):
                found.extend(self._verdicts(watched, now_ns, always=False))
        return found

    def look(self, name: str, now_ns: int) -> list[Verdict]:
        """Verdicts on one set now, edge or not, by the prices last told: for people."""
        return [
            verdict
            for watched in self._named[name]
            for verdict in self._verdicts(watched, now_ns, always=True)
        ]

    def edges(self, name: str) -> list[tuple[Fraction | None, Fraction | None]]:
        """Edge of one unit at the best prices after costs, to take and to unwind it.

        One pair for each direction watched. None where a leg has no price, and for the unwinding
        of a triangle: there is nothing to unwind.
        """
        return [watched.edges() for watched in self._named[name]]

    def _verdicts(self, watched: Watched, now_ns: int, *, always: bool) -> list[Verdict]:
        legs = []
        for market in self._legs[watched]:
            book = self._books[market]
            legs.append(LegBook(book=book, heard_ns=self._heard_ns.get(market, book.updated_ns)))
        return watched.verdicts(legs, now_ns, self._offsets_ns, always=always)
