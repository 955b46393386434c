"""The quote model: from a view of the market to the ladder we would like to show. Pure.

The production card, exactly: bid = mid - spread/2 - skew, ask = mid + spread/2 - skew, with
skew = k * inventory / cap * spread. Bids round down, asks up, sizes down; no quote ever takes.
"""

from dataclasses import dataclass
from decimal import Decimal

from desk.instrument import Instrument
from desk.quoting.inventory import InventoryRule, Notional
from desk.quoting.ladder import SideRule, TargetLevel
from desk.quoting.parameters import QuoteParameters
from desk.quoting.spread import MICRO, SpreadRule, bps, micro_bps
from desk.quoting.view import View
from desk.units import BPS, Side, Ticks

__all__ = ["QuoteModel", "QuoteTarget", "TargetLevel", "decide"]

# Prices are computed in integers of 1 / _FINE tick: a half spread of s micro-bps around a mid of
# m half ticks is then m * s, and the mid itself m * _FINE / 2, both without a remainder.
_FINE = 4 * int(BPS) * MICRO


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteTarget:
    """The ladder wanted now, bids then asks, each innermost first.

    `spread_bps` is the distance from bid to ask before rounding (None when not known), `skew_bps`
    how far both sides were moved: down when above zero. `reason` is empty for a full ladder, else
    it says what was left out and why.
    """

    levels: tuple[TargetLevel, ...]
    spread_bps: Decimal | None
    skew_bps: Decimal
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteModel:
    """Parameters and instrument, reduced to integers once, for many views."""

    active: bool
    spread: SpreadRule
    inventory: InventoryRule
    size: Notional
    spacing: int
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
            spread=SpreadRule.prepare(parameters, instrument),
            inventory=InventoryRule.prepare(parameters, instrument),
            size=Notional.of(parameters.level_notional, instrument),
            spacing=micro_bps(parameters.level_spacing_bps),
            bids=SideRule.prepare(Side.BUY, parameters.levels, instrument),
            asks=SideRule.prepare(Side.SELL, parameters.levels, instrument),
        )

    def target(self, view: View) -> QuoteTarget:
        """The ladder wanted at this moment.

        Neither side may carry the position past the cap if all of it fills: the side that adds
        shrinks from the outside, the side that reduces keeps its full size (short of passing the
        opposite cap).
        """
        if not self.active:
            return _nothing("the market is not active")
        width = self.spread.width(view.sigma_bps)
        if width is None:
            return _nothing("volatility is not known yet")
        lean = self.inventory.lean(view.inventory, view.mid_x2)
        bids, asks = self.prices(view, width, lean)
        full = self.size.lots(view.mid_x2)
        to_buy, to_sell = self.inventory.room(view.inventory, view.mid_x2)
        dropped: list[str] = []
        levels = self.bids.place(bids, full, to_buy, dropped)
        levels += self.asks.place(asks, full, to_sell, dropped)
        return QuoteTarget(
            levels=tuple(levels),
            spread_bps=bps(width),
            skew_bps=bps(width * lean // self.inventory.whole),
            reason="; ".join(dropped),
        )

    def prices(self, view: View, width: int, lean: int) -> tuple[list[Ticks], list[Ticks]]:
        """Bids and asks for a spread of `width` micro-bps leaning by `lean`, innermost first.

        Level i is `level_spacing_bps` times i further from the skewed fair value than level 0.
        Bids end a tick under the best ask, asks begin a tick over the best bid.
        """
        mid_x2, whole = view.mid_x2, self.inventory.whole
        tick = _FINE * whole
        half = mid_x2 * width * whole
        step = 2 * mid_x2 * self.spacing * whole
        fair = mid_x2 * (tick // 2) - 2 * mid_x2 * width * lean
        places = range(len(self.bids.slots))
        bids = [min((fair - half - i * step) // tick, view.best_ask - 1) for i in places]
        # A spread of nothing around a fair value on the grid would meet itself: hence bids[0] + 1.
        lowest_ask = max(view.best_bid, bids[0]) + 1
        asks = [max(-((-fair - half - i * step) // tick), lowest_ask) for i in places]
        return bids, asks


def decide(view: View, parameters: QuoteParameters, instrument: Instrument) -> QuoteTarget:
    """The ladder wanted at this moment; callers with many views keep a `QuoteModel` instead."""
    return QuoteModel.prepare(parameters, instrument).target(view)


def _nothing(reason: str) -> QuoteTarget:
    return QuoteTarget(levels=(), spread_bps=None, skew_bps=Decimal(0), reason=reason)
