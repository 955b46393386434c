"""Whether the book others made is fit to quote by: deep enough, narrow enough, not crossed.

A book that fails shows why in one phrase, and nothing is quoted on it.
"""

from dataclasses import dataclass

from desk.quoting.micro import MICRO_IN_ONE, bps, micro_bps
from desk.quoting.parameters import QuoteParameters
from desk.quoting.view import Depth, View


@dataclass(frozen=True, slots=True, kw_only=True)
class BookFitness:
    """Least number of price levels a side and widest spread (micro-bps of the mid) to quote by."""

    min_levels: int
    max_spread: int

    @classmethod
    def prepare(cls, parameters: QuoteParameters) -> "BookFitness":
        """Limits of the parameters; one level a side is asked for at least."""
        return cls(
            min_levels=parameters.min_book_levels,
            max_spread=micro_bps(parameters.max_book_spread_bps),
        )

    def problem(self, view: View, depth: Depth) -> str:
        """The first check that fails, with its figures; empty when the book is fit.

        A spread of exactly the limit is not too wide.
        """
        for side, levels in (("bid", depth.bid_levels), ("ask", depth.ask_levels)):
            if levels < self.min_levels:
                return (
                    f"book: {levels} {side} levels of others, under min_book_levels "
                    f"{self.min_levels}"
                )
        spread = view.best_ask - view.best_bid
        if spread <= 0:
            return "book: crossed"
        if 2 * spread * MICRO_IN_ONE > self.max_spread * view.mid_x2:
            limit = bps(self.max_spread).normalize()
            wide = bps(2 * spread * MICRO_IN_ONE // view.mid_x2)
            return f"book: {wide:.1f} bps wide, over max_book_spread_bps {limit:f}"
        return ""
