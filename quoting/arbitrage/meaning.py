"""How much a trade meant to trade on each leg, told from what some of its orders filled: pure."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final, TypeAlias

from desk.arbitrage.sets import OutcomeSet, Triangle
from desk.arbitrage.values import values_in_start
from desk.arbitrage.weights import Steps
from desk.identity import MarketId
from desk.units import Lots, Side
from quoting.arbitrage.books import SetBooks

Lotted: TypeAlias = Mapping[MarketId, tuple[Side, Lots]]
"""Side and unsigned lots of each leg's order."""

_ALIKE: Final = Fraction(95, 100)
"""Prices fired at and prices now are taken for the same within this share: then a leg of a round
whose fills are worth as much as another's was filled whole."""


def meant(sets: Sequence[OutcomeSet | Triangle], filled: Lotted, books: SetBooks) -> Lotted | None:
    """The least that every leg must have been meant to trade; None when it cannot be told now.

    `filled` has the legs that were filled, at least one.
    """
    first = sets[0]
    if isinstance(first, OutcomeSet):
        return _outcomes(first, filled)
    for one in sets:
        if isinstance(one, Triangle) and all(
            filled[leg.market][0] is leg.side for leg in one.legs if leg.market in filled
        ):
            return _round(one, filled, books)
    return None


def _outcomes(outcomes: OutcomeSet, filled: Lotted) -> Lotted:
    """As many complete sets on every leg as the fullest one has; all legs go the same way."""
    (side, _), *_ = filled.values()
    lots = {market: had for market, (_, had) in filled.items()}
    steps = dict(zip((leg.market for leg in outcomes.legs), Steps.of(outcomes).lots, strict=True))
    sets = max(1, *(had // steps[market] for market, had in lots.items()))
    return {market: (side, max(lots.get(market, 0), sets * step)) for market, step in steps.items()}


def _round(triangle: Triangle, filled: Lotted, books: SetBooks) -> Lotted | None:
    """As much on every leg as the fullest one's fills are worth, at the prices of now."""
    worths = values_in_start(triangle, [books.at(leg.market).leg.seen for leg in triangle.legs])
    if len(worths) < len(triangle.currencies):
        return None
    each = {
        leg.market: Fraction(leg.instrument.lot_size) * worths[leg.instrument.base].middle
        for leg in triangle.legs
    }
    most = max(lots * each[market] for market, (_, lots) in filled.items())
    found = {}
    for leg in triangle.legs:
        _, lots = filled.get(leg.market, (leg.side, 0))
        if lots * each[leg.market] < _ALIKE * most:
            lots = max(1, lots, int(most / each[leg.market]))
        found[leg.market] = (leg.side, lots)
    return found
