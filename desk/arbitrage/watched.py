"""One set under watch: best prices remembered, and whether what they come to may be an edge.

The quick answer is exact for the calm slippage budget, the smallest; so it never misses an edge.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Protocol

from desk.arbitrage.circles import TriangleModel
from desk.arbitrage.freshness import LegBook
from desk.arbitrage.outcomes import OutcomeModel
from desk.arbitrage.verdicts import Verdict
from desk.book import Book
from desk.flattening import Regime
from desk.units import Lots, Side, Ticks


class Watched(Protocol):
    """What a watch asks of a set. `held` are lots of each leg that may be sold early."""

    held: Sequence[Lots] | None
    regime: Regime

    def moved(self, index: int) -> bool:
        """Take the best prices of a leg's book; whether there may be an edge now."""

    def verdicts(
        self, legs: Sequence[LegBook], now_ns: int, offsets_ns: Mapping[str, int], *, always: bool
    ) -> list[Verdict]:
        """What to do now, for each aim that may pay; for all of them with `always`."""

    def edges(self) -> tuple[Fraction | None, Fraction | None]:
        """Edge of one unit at the best prices after costs, to take and to unwind."""


class WatchedOutcomes:
    """An outcome set. Both sums are kept; selling is looked at only while something is held."""

    __slots__ = (
        "_ask_least",
        "_ask_sum",
        "_ask_weights",
        "_asks",
        "_bid_least",
        "_bid_sum",
        "_bid_weights",
        "_bids",
        "_books",
        "_model",
        "_without_ask",
        "_without_bid",
        "held",
        "regime",
    )

    def __init__(self, model: OutcomeModel, books: Sequence[Book]) -> None:
        self.held: Sequence[Lots] | None = None
        self.regime = Regime.CALM
        self._model = model
        self._books = books
        buying = model.weights[Side.BUY, Regime.CALM]
        selling = model.weights[Side.SELL, Regime.CALM]
        self._ask_weights, self._bid_weights = buying.per_tick, selling.per_tick
        self._asks: list[Ticks | None] = [None] * len(books)
        self._bids: list[Ticks | None] = [None] * len(books)
        self._ask_sum, self._bid_sum = buying.worth, selling.worth
        self._ask_least, self._bid_least = buying.least, selling.least
        self._without_ask = self._without_bid = len(books)

    def moved(self, index: int) -> bool:
        """Take the best prices of a leg's book; whether there may be an edge now."""
        book = self._books[index]
        new, old = book.best_ask, self._asks[index]
        if new != old:
            self._asks[index] = new
            self._without_ask += (new is None) - (old is None)
            self._ask_sum -= self._ask_weights[index] * ((new or 0) - (old or 0))
        new, old = book.best_bid, self._bids[index]
        if new != old:
            self._bids[index] = new
            self._without_bid += (new is None) - (old is None)
            self._bid_sum -= self._bid_weights[index] * ((new or 0) - (old or 0))
        if not self._without_ask and self._ask_sum >= self._ask_least:
            return True
        return self.held is not None and self._may_unwind

    def verdicts(
        self, legs: Sequence[LegBook], now_ns: int, offsets_ns: Mapping[str, int], *, always: bool
    ) -> list[Verdict]:
        """What to do now, for each aim that may pay; for all of them with `always`."""
        found = []
        if always or (not self._without_ask and self._ask_sum >= self._ask_least):
            found.append(
                self._model.evaluate(legs, now_ns=now_ns, regime=self.regime, offsets_ns=offsets_ns)
            )
        if self.held is not None and (always or self._may_unwind):
            found.append(
                self._model.evaluate(
                    legs,
                    now_ns=now_ns,
                    regime=self.regime,
                    offsets_ns=offsets_ns,
                    held=self.held,
                )
            )
        return found

    def edges(self) -> tuple[Fraction | None, Fraction | None]:
        """Edge of one unit at the best prices after costs, to take and to unwind."""
        buying = self._model.weights[Side.BUY, Regime.CALM].scale
        selling = self._model.weights[Side.SELL, Regime.CALM].scale
        return (
            None if self._without_ask else Fraction(self._ask_sum, buying),
            None if self._without_bid else Fraction(self._bid_sum, selling),
        )

    @property
    def _may_unwind(self) -> bool:
        return not self._without_bid and self._bid_sum >= self._bid_least


class WatchedTriangle:
    """One direction of a triangle: the product of what is sold against that of what is bought."""

    __slots__ = (
        "_books",
        "_bought",
        "_buying",
        "_model",
        "_prices",
        "_ratio",
        "_sold",
        "held",
        "regime",
    )

    def __init__(self, model: TriangleModel, books: Sequence[Book]) -> None:
        self.held: Sequence[Lots] | None = None
        self.regime = Regime.CALM
        self._model = model
        self._books = books
        self._buying = tuple(leg.side is Side.BUY for leg in model.triangle.legs)
        self._ratio = model.of_ticks(Regime.CALM)
        needed = self._ratio / (1 + Fraction(model.rules.min_edge))
        self._sold, self._bought = needed.as_integer_ratio()
        self._prices: list[Ticks | None] = [None] * len(books)

    def moved(self, index: int) -> bool:
        """Take the best price of a leg's book; whether there may be an edge now."""
        book = self._books[index]
        self._prices[index] = book.best_ask if self._buying[index] else book.best_bid
        return self._may_pay

    def verdicts(
        self, legs: Sequence[LegBook], now_ns: int, offsets_ns: Mapping[str, int], *, always: bool
    ) -> list[Verdict]:
        """What to do now, where it may pay; in any case with `always`."""
        if not (always or self._may_pay):
            return []
        return [
            self._model.evaluate(legs, now_ns=now_ns, regime=self.regime, offsets_ns=offsets_ns)
        ]

    def edges(self) -> tuple[Fraction | None, Fraction | None]:
        """Edge of one unit at the best prices after costs; there is nothing to unwind."""
        found = self._products()
        if found is None:
            return None, None
        sold, bought = found
        return self._ratio * sold / bought - 1, None

    @property
    def _may_pay(self) -> bool:
        found = self._products()
        return found is not None and found[0] * self._sold >= found[1] * self._bought

    def _products(self) -> tuple[int, int] | None:
        """Ticks of what is sold multiplied, and of what is bought; None where a price lacks."""
        sold = bought = 1
        for price, buys in zip(self._prices, self._buying, strict=True):
            if price is None:
                return None
            if buys:
                bought *= price
            else:
                sold *= price
        return sold, bought
