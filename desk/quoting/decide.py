"""The quote model: from a view of the market to the ladder we would like to show. Pure.

A style proposes prices (`spread.py`, the production card; `touch.py`; `imbalance.py`), the
inventory leans them and bounds them. Bids round down, asks up, sizes down; no quote ever takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from desk.book import Book
from desk.instrument import Instrument
from desk.quoting.imbalance import ImbalanceRule
from desk.quoting.inventory import InventoryRule
from desk.quoting.ladder import SideRule, TargetLevel
from desk.quoting.micro import bps
from desk.quoting.parameters import QuoteParameters, QuoteStyle
from desk.quoting.spread import SpreadRule
from desk.quoting.touch import TouchRule
from desk.quoting.view import Depth, View
from desk.units import Lots, Side, Ticks

__all__ = ["QuoteModel", "QuoteTarget", "TargetLevel", "decide"]

StyleRule: TypeAlias = SpreadRule | TouchRule | ImbalanceRule

_RULES: dict[QuoteStyle, type[StyleRule]] = {
    QuoteStyle.SPREAD: SpreadRule,
    QuoteStyle.TOUCH: TouchRule,
    QuoteStyle.IMBALANCE: ImbalanceRule,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteTarget:
    """The ladder wanted now, bids then asks, each innermost first.

    `spread_bps` is the distance from bid to ask before rounding (None when not known), `skew_bps`
    how far both sides were moved: down when above zero. `reason` is empty for a full ladder, else
    it says what was left out, or why there is nothing.
    """

    levels: tuple[TargetLevel, ...]
    spread_bps: Decimal | None
    skew_bps: Decimal
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteModel:
    """Parameters and instrument, reduced to integers once, for many views."""

    active: bool
    style: StyleRule
    inventory: InventoryRule
    bids: SideRule
    asks: SideRule

    @classmethod
    def prepare(cls, parameters: QuoteParameters, instrument: Instrument) -> "QuoteModel":
        """Model of one market; ValueError when the parameters contradict themselves."""
        problems = parameters.problems()
        if problems:
            raise ValueError("; ".join(problems))
        return cls(
            active=instrument.active,
            style=_RULES[parameters.style].prepare(parameters, instrument),
            inventory=InventoryRule.prepare(parameters, instrument),
            bids=SideRule.prepare(Side.BUY, parameters.levels, instrument),
            asks=SideRule.prepare(Side.SELL, parameters.levels, instrument),
        )

    def depth(
        self, book: Book, own_bids: Mapping[Ticks, Lots], own_asks: Mapping[Ticks, Lots]
    ) -> Depth | None:
        """What a view of this book must hold beside its touch; None where the style asks nothing.

        `own_bids` and `own_asks` are our lots in the book by price.
        """
        if not isinstance(self.style, ImbalanceRule):
            return None
        return self.style.depth(book, own_bids, own_asks)

    def target(self, view: View) -> QuoteTarget:
        """The ladder wanted at this moment.

        Neither side may carry the position past the cap if all of it fills: the side that adds
        shrinks from the outside, the side that reduces keeps its full size (short of passing the
        opposite cap).
        """
        if not self.active:
            return _nothing("the market is not active")
        lean = self.inventory.lean(view.inventory, view.mid_x2)
        rungs = self.style.rungs(view, lean, self.inventory.whole)
        if isinstance(rungs, str):
            return _nothing(rungs)
        to_buy, to_sell = self.inventory.room(view.inventory, view.mid_x2)
        dropped: list[str] = []
        levels = self.bids.place(rungs.bids, to_buy, dropped)
        levels += self.asks.place(rungs.asks, to_sell, dropped)
        return QuoteTarget(
            levels=tuple(levels),
            spread_bps=bps(rungs.width),
            skew_bps=bps(rungs.shift),
            reason="; ".join(dropped),
        )


def decide(view: View, parameters: QuoteParameters, instrument: Instrument) -> QuoteTarget:
    """The ladder wanted at this moment; callers with many views keep a `QuoteModel` instead."""
    return QuoteModel.prepare(parameters, instrument).target(view)


def _nothing(reason: str) -> QuoteTarget:
    return QuoteTarget(levels=(), spread_bps=None, skew_bps=Decimal(0), reason=reason)
