"""How what is owed is worked off: trade the excess back, or complete the missing legs instead.

The one rule: no order is larger than what is owed, and each only takes its leg to where all meet;
so, filled in any part, they never leave more owed. What no venue takes is told as dust.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from desk.arbitrage.freshness import LegBook
from desk.arbitrage.mending import Mend, mend
from desk.arbitrage.obligation import Owed
from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage.sets import Leg, OutcomeSet, Triangle
from desk.arbitrage.values import decimal, values_in_start
from desk.flattening import Regime
from desk.identity import MarketId
from desk.units import Lots, Side, Ticks

_ZERO = Decimal(0)


class Way(StrEnum):
    """Trade the excess back, or complete what is missing."""

    BACK = "back"
    FORWARD = "forward"


@dataclass(frozen=True, slots=True, kw_only=True)
class DischargeOrder:
    """One leg's order, immediate-or-cancel: unsigned lots at `limit` or better.

    `limit` is None while the leg shows no price to take: there is nothing to send there yet.
    `reduces`: it only makes the leg's own position smaller.
    """

    market: MarketId
    side: Side
    lots: Lots
    limit: Ticks | None
    reduces: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Dust:
    """Signed lots in excess on a leg whose venue takes no order so small.

    `worth` is their unsigned worth in the currency of the set; None when nothing prices them.
    """

    market: MarketId
    lots: Lots
    worth: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Discharge:
    """The next orders, to be sent all at once; none when nothing but dust is left.

    `cost` is what they are expected to cost on the books of now, in the currency of the set,
    negative for a gain; None when a book is stale or too thin within the slippage budget.
    """

    way: Way
    orders: tuple[DischargeOrder, ...]
    dust: tuple[Dust, ...]
    cost: Decimal | None

    @property
    def residual(self) -> Decimal | None:
        """Exposure that stays: worth of the dust. None when part of it has no price."""
        worths = [one.worth for one in self.dust]
        known = [one for one in worths if one is not None]
        return sum(known, _ZERO) if len(known) == len(worths) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a discharge stands on. `held` are the signed lots the ledger has of each leg."""

    held: Sequence[Lots]
    books: Sequence[LegBook]
    rules: ArbitrageRules
    now_ns: int
    regime: Regime = Regime.CALM


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prices:
    """In the currency of the set: what an order costs, and what lots that stay are worth."""

    cost: Callable[[Mend], Decimal | None]
    worth: Callable[[Mend], Decimal | None]


def discharge_outcomes(
    outcomes: OutcomeSet, owed: Owed, ground: Ground, *, may_add: bool = True
) -> Discharge:
    """The cheaper way to be without excess; back, where the books price neither.

    With `may_add` False (a kill, the last rounds) nothing is completed.
    """
    books = {leg.market: one for leg, one in zip(outcomes.legs, ground.books, strict=True)}

    def worth(one: Mend) -> Decimal:
        return one.leg.instrument.quantity(abs(one.lots)) * _outcome_price(one, books)

    prices = _Prices(cost=lambda one: one.paid, worth=worth)
    payout = owed.further * (1 - ground.rules.settlement_cost)
    return _choose(outcomes.legs, owed, ground, prices, payout if may_add else None)


def discharge_round(
    triangle: Triangle, owed: Owed, ground: Ground, *, may_add: bool = True
) -> Discharge:
    """The same for a triangle; currencies are valued halfway between the prices of its books."""
    worths = values_in_start(triangle, ground.books)
    middles = {name: each.middle for name, each in worths.items()}

    def base(one: Mend) -> Decimal | None:
        value = middles.get(one.leg.instrument.base)
        return None if value is None else one.leg.instrument.quantity(one.lots) * decimal(value)

    def cost(one: Mend) -> Decimal | None:
        value, got = middles.get(one.leg.instrument.quote), base(one)
        if value is None or got is None or one.paid is None:
            return None
        return one.paid * decimal(value) - got

    def worth(one: Mend) -> Decimal | None:
        value = base(one)
        return None if value is None else abs(value)

    prices = _Prices(cost=cost, worth=worth)
    return _choose(triangle.legs, owed, ground, prices, _ZERO if may_add else None)


def _choose(
    legs: Sequence[Leg], owed: Owed, ground: Ground, prices: _Prices, brought: Decimal | None
) -> Discharge:
    """`brought` is what completing brings beyond what its orders cost; None: it may not be."""
    back = _discharge(Way.BACK, legs, owed.back, ground, prices, _ZERO)
    if owed.forward is None or brought is None:
        return back
    forward = _discharge(Way.FORWARD, legs, owed.forward, ground, prices, brought)
    # A leg that cannot be completed would leave the others in excess: then nothing is won.
    if forward.dust or forward.cost is None:
        return back
    left = back.residual
    if back.cost is None or left is None or forward.cost < back.cost + left:
        return forward
    return back


def _discharge(
    way: Way,
    legs: Sequence[Leg],
    trades: Sequence[Lots],
    ground: Ground,
    prices: _Prices,
    brought: Decimal,
) -> Discharge:
    orders, dust, costs = [], [], []
    for leg, lots, held, seen in zip(legs, trades, ground.held, ground.books, strict=True):
        if not lots:
            continue
        one = mend(leg, lots, seen, ground.rules, regime=ground.regime, now_ns=ground.now_ns)
        if one.dust:
            dust.append(Dust(market=leg.market, lots=-lots, worth=prices.worth(one)))
        else:
            orders.append(_order(one, held))
            costs.append(prices.cost(one))
    known = [one for one in costs if one is not None]
    return Discharge(
        way=way,
        orders=tuple(orders),
        dust=tuple(dust),
        cost=sum(known, _ZERO) - brought if len(known) == len(costs) else None,
    )


def _order(one: Mend, held: Lots) -> DischargeOrder:
    return DischargeOrder(
        market=one.leg.market,
        side=one.side,
        lots=abs(one.lots),
        limit=one.limit,
        reduces=held * one.lots < 0 and abs(one.lots) <= abs(held),
    )


def _outcome_price(one: Mend, books: Mapping[MarketId, LegBook]) -> Decimal:
    """Where lots in excess could be traded back; else where they could be got; else the payout."""
    book, instrument = books[one.leg.market].book, one.leg.instrument
    first, second = book.best_bid, book.best_ask
    price = first if first is not None else second
    return Decimal(1) if price is None else instrument.price(price)
