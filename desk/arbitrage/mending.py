"""One leg's order towards where all legs meet: limit, expected cost, and whether it can be sent."""

from dataclasses import dataclass
from decimal import Decimal

from desk.arbitrage.depth import ladder, limit_price, take
from desk.arbitrage.freshness import LegBook
from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage.sets import Leg
from desk.flattening import Regime
from desk.hedging import least_lots
from desk.units import BPS, NS_PER_MS, Lots, Side, Ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class Mend:
    """Signed lots to trade on one leg.

    `limit` is None while the leg shows no price. `paid` is the quote currency they are expected to
    cost (negative: to bring), fee included; None when that is not known: the book is stale, or
    too thin within the limit. `dust`: the venue takes no order so small.
    """

    leg: Leg
    lots: Lots
    limit: Ticks | None
    paid: Decimal | None
    dust: bool

    @property
    def side(self) -> Side:
        """Of the order."""
        return Side.BUY if self.lots > 0 else Side.SELL


def mend(
    leg: Leg, lots: Lots, seen: LegBook, rules: ArbitrageRules, *, regime: Regime, now_ns: int
) -> Mend:
    """The order for so many signed lots, not zero, on a leg's book of now.

    Its limit is the budget away from the best price taken. Without a price, the order's size is
    judged by lots alone.
    """
    side = Side.BUY if lots > 0 else Side.SELL
    instrument = leg.instrument
    levels = ladder(seen.book, instrument, side, rules.depth)
    if not levels:
        small = abs(lots) < max(1, instrument.min_lots)
        return Mend(leg=leg, lots=lots, limit=None, paid=None, dust=small)
    limit = limit_price(levels[0][0], side, rules.slippage(regime), instrument)
    within = [one for one in levels if (one[0] - limit) * side.sign <= 0]
    taken = take(within, abs(lots))
    age_ns = seen.book.age_ns(now_ns)
    known = age_ns is not None and age_ns <= rules.max_age_ms * NS_PER_MS
    paid = None
    if known and taken.lots == abs(lots):
        worth = instrument.notional(taken.worth, 1)
        paid = side.sign * worth + worth * instrument.taker_fee_bps / BPS
    small = abs(lots) < least_lots(instrument, limit)
    return Mend(leg=leg, lots=lots, limit=limit, paid=paid, dust=small)
