"""One pair of a triangle as an exchange: how much of the next currency so many lots give.

Fees are in the quote currency. A buy gives away quote and gets base; a sale the other way round.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

from desk.arbitrage.depth import Ladder, take
from desk.arbitrage.sets import Leg
from desk.units import BPS, Lots, Side, Ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A leg on the depth it takes from, best first, not empty. Amounts are exact fractions.

    `tick_lot` is the quote currency one lot moves at a price of one tick, fee included; `lot` its
    base units.
    """

    leg: Leg
    levels: Ladder
    buys: bool
    tick_lot: Fraction
    lot: Fraction

    @classmethod
    def of(cls, leg: Leg, levels: Ladder) -> "Exchange":
        """Compile."""
        instrument = leg.instrument
        lot = Fraction(instrument.lot_size)
        fee = 1 + leg.side.sign * Fraction(instrument.taker_fee_bps / BPS)
        return cls(
            leg=leg,
            levels=levels,
            buys=leg.side is Side.BUY,
            tick_lot=Fraction(instrument.tick_size) * lot * fee,
            lot=lot,
        )

    def given(self, lots: Lots) -> Fraction:
        """What so many lots take of the currency before, at the displayed prices."""
        return self._quote(lots) if self.buys else lots * self.lot

    def got(self, lots: Lots) -> Fraction:
        """What they give of the currency after."""
        return lots * self.lot if self.buys else self._quote(lots)

    def affordable(self, amount: Fraction) -> Lots:
        """The most lots that take no more than an amount of the currency before."""
        if not self.buys:
            return min(amount // self.lot, sum(lots for _, lots in self.levels))
        return _lots_worth(self.levels, amount // self.tick_lot)

    def needed(self, amount: Fraction) -> Lots:
        """The fewest lots that give at least an amount of the currency after; all, if too few."""
        if self.buys:
            return min(-(-amount // self.lot), sum(lots for _, lots in self.levels))
        worth = -(-amount // self.tick_lot)
        return take(self.levels, _lots_worth(self.levels, worth - 1) + 1).lots if worth > 0 else 0

    def rate(self, ticks: Ticks, slippage: Decimal) -> Fraction:
        """Currency after for one unit of the currency before, at a price moved by the slippage."""
        one = rate_of_a_tick(self.leg, slippage)
        return one / ticks if self.buys else one * ticks

    def _quote(self, lots: Lots) -> Fraction:
        return take(self.levels, lots).worth * self.tick_lot


Circle: TypeAlias = tuple[Exchange, Exchange, Exchange]
Lots3: TypeAlias = tuple[Lots, Lots, Lots]


def rate_of_a_tick(leg: Leg, slippage: Decimal) -> Fraction:
    """Currency after for one unit of the currency before, at a price of one tick, all costs in."""
    sign = leg.side.sign
    fee = Fraction(leg.instrument.taker_fee_bps / BPS)
    price = Fraction(leg.instrument.tick_size) * (1 + sign * Fraction(slippage)) * (1 + sign * fee)
    return 1 / price if leg.side is Side.BUY else price


def round_trip(exchanges: Circle, slippage: Decimal) -> Fraction:
    """Product of the rates at the best prices."""
    first, second, third = (one.rate(one.levels[0][0], slippage) for one in exchanges)
    return first * second * third


def chained(exchanges: Circle, amount: Fraction) -> Lots3:
    """Lots of each leg when so much start currency goes round, at the displayed prices.

    What one leg gives pays for the next. The legs before a coarse lot are cut to what it uses, so
    that less than one lot of theirs is left on the way.
    """
    first, second, third = exchanges
    one = first.affordable(amount)
    two = second.affordable(first.got(one))
    three = third.affordable(second.got(two))
    two = min(two, second.needed(third.given(three)))
    one = min(one, first.needed(second.given(two)))
    return one, two, three


def absorbed_start(
    exchanges: Circle, slippage: Decimal, least: Fraction, enough: Fraction
) -> Fraction:
    """Start currency all three take at once while the product of the rates is at least `least`.

    The product is at the prices walked to, slippage included; amounts flow at displayed prices. It
    need not be walked to the end once it is `enough`.
    """
    places = [0, 0, 0]
    left = [one.levels[0][1] * one.lot for one in exchanges]
    first, second, third = (rate_of_a_tick(one.leg, slippage) for one in exchanges)
    worst = first * second * third
    shown = [rate_of_a_tick(one.leg, Decimal(0)) for one in exchanges]
    total = Fraction(0)
    while total < enough:
        prices = [one.levels[place][0] for one, place in zip(exchanges, places, strict=True)]
        if not _pays(exchanges, prices, worst / least):
            break
        moved = _moved(exchanges, prices, shown)
        rooms = [have / need for have, need in zip(left, moved, strict=True)]
        part = min(rooms)
        total += part
        for index, one in enumerate(exchanges):
            if rooms[index] > part:
                left[index] -= part * moved[index]
                continue
            places[index] += 1
            if places[index] == len(one.levels):
                return total
            left[index] = one.levels[places[index]][1] * one.lot
    return total


def _pays(exchanges: Circle, prices: list[Ticks], ratio: Fraction) -> bool:
    """Whether `ratio` times what is sold, in ticks, is at least what is bought; in integers."""
    sold, bought = ratio.as_integer_ratio()
    for one, price in zip(exchanges, prices, strict=True):
        if one.buys:
            bought *= price
        else:
            sold *= price
    return sold >= bought


def _moved(exchanges: Circle, prices: list[Ticks], shown: list[Fraction]) -> list[Fraction]:
    """Base units each leg moves for one unit of the start currency, at the displayed prices."""
    found, passing = [], Fraction(1)
    for one, price, tick in zip(exchanges, prices, shown, strict=True):
        after = passing * (tick / price if one.buys else tick * price)
        found.append(after if one.buys else passing)
        passing = after
    return found


def _lots_worth(levels: Ladder, worth: int) -> Lots:
    """The most lots from the best on whose ticks times lots are no more than `worth`."""
    found = 0
    for price, lots in levels:
        part = min(lots, worth // price)
        found += part
        worth -= part * price
        if part < lots:
            break
    return found
