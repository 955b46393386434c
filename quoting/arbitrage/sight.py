"""What a run sees of its set: an edge as a book changes, and the same looked at again.

The rule: before anything is sent it is looked at anew, with the books of that moment, and never
comes out larger than what was claimed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TypeAlias

from desk.arbitrage.circles import TriangleModel
from desk.arbitrage.freshness import WHOLE, Moment, moment
from desk.arbitrage.outcomes import OutcomeModel
from desk.arbitrage.sets import Member, OutcomeSet, Triangle, outcome_set, triangles
from desk.arbitrage.verdicts import Aim, Opportunity, Verdict
from desk.arbitrage.watch import SetWatch
from desk.identity import MarketId
from desk.units import Lots
from quoting.arbitrage.leg import LiveLeg
from quoting.arbitrage.report import RunOrder, SetKind

AnySet: TypeAlias = OutcomeSet | Triangle


def sets_of(order: RunOrder, legs: Sequence[LiveLeg]) -> tuple[AnySet, ...]:
    """The set, or a triangle in both directions; NotASet for what is none.

    A leg that trades no more is taken as if it did: what is held of it is still told apart.
    """
    members: list[Member] = [(leg.market, replace(leg.instrument, active=True)) for leg in legs]
    if order.kind is SetKind.OUTCOME_SET:
        return (outcome_set(order.name, members),)
    return triangles(order.name, members)


class SetSight:
    """One set over its legs' books. ValueError for unsound rules."""

    def __init__(self, order: RunOrder, sets: Sequence[AnySet], legs: Sequence[LiveLeg]) -> None:
        self._name = order.name
        self._rules = order.rules
        self._sets = sets
        self._legs: Mapping[MarketId, LiveLeg] = {leg.market: leg for leg in legs}
        self._outcomes = tuple(
            OutcomeModel.prepare(one, order.rules) for one in sets if isinstance(one, OutcomeSet)
        )
        self._watch = SetWatch({leg.market: leg.book for leg in legs})
        for one in sets:
            self._watch.add(one, order.rules)

    def hold(self, lots: Sequence[Lots] | None) -> None:
        """What complete sets hold of each leg, in the set's order, to be sold early."""
        self._watch.hold(self._name, lots)

    def confirmed(self, market: MarketId, heard_ns: int) -> None:
        """The stream of this book spoke without a change."""
        self._watch.confirmed(market, heard_ns)

    def changed(self, market: MarketId, now_ns: int) -> list[Verdict]:
        """Take a change of this book; verdicts where there is an edge at best prices."""
        return self._watch.changed(market, now_ns)

    def look(self, now_ns: int) -> list[Verdict]:
        """Verdicts now, edge or not."""
        return self._watch.look(self._name, now_ns)

    @property
    def changes(self) -> tuple[int, ...]:
        """How often each leg's book was told about; the same again: the same books."""
        return tuple(leg.changes for leg in self._legs.values())

    def again(self, chance: Opportunity, now_ns: int, changes: tuple[int, ...]) -> Verdict:
        """The same chance with the books of now, for as much as it was at most.

        `changes` are those it was seen at. Where no book was told about since, and all of them are
        of one moment still, it is what it was.
        """
        if changes == self.changes and self._whole(chance, now_ns):
            return chance
        rules = replace(self._rules, max_units=chance.units)
        if self._outcomes:
            (model,) = self._outcomes
            books = [self._legs[leg.market].seen for leg in model.outcomes.legs]
            held = [leg.lots for leg in chance.legs] if chance.aim is Aim.UNWIND else None
            return replace(model, rules=rules).evaluate(books, now_ns=now_ns, held=held)
        triangle = triangle_of(self._sets, chance)
        books = [self._legs[leg.market].seen for leg in triangle.legs]
        return TriangleModel(triangle=triangle, rules=rules).evaluate(books, now_ns=now_ns)

    def _whole(self, chance: Opportunity, now_ns: int) -> bool:
        """Whether ages and skew of the books take nothing off a size."""
        one = self._sets[0] if self._outcomes else triangle_of(self._sets, chance)
        books = [self._legs[leg.market].seen for leg in one.legs]
        seen = moment(one.legs, books, self._rules, now_ns, {})
        return isinstance(seen, Moment) and seen.share == WHOLE

    @property
    def best_edge(self) -> Fraction | None:
        """The best edge of a unit at the best prices after costs, None while a leg has none."""
        pairs = self._watch.edges(self._name)
        return max((one for pair in pairs for one in pair if one is not None), default=None)


def triangle_of(sets: Sequence[AnySet], chance: Opportunity) -> Triangle:
    """The direction a chance is about."""
    (found,) = (one for one in sets if isinstance(one, Triangle) and one.way == chance.way)
    return found
