"""Looking at one direction of a triangle: take it when the product of the rates pays all costs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from desk.arbitrage.depth import ladder, largest, limit_price, take
from desk.arbitrage.exposure import Filled, loss, worst_of
from desk.arbitrage.freshness import LegBook, Moment, Unfit, moment
from desk.arbitrage.pairs import (
    Circle,
    Exchange,
    Lots3,
    absorbed_start,
    chained,
    rate_of_a_tick,
    round_trip,
)
from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage.sets import Triangle
from desk.arbitrage.values import decimal, values_in_start
from desk.arbitrage.verdicts import Aim, Opportunity, Passed, PassReason, PlannedLeg, Verdict
from desk.flattening import Regime
from desk.hedging import least_lots
from desk.units import BPS

_ONE = Decimal(1)
_ZERO = Decimal(0)
_PARTS = 1_024
_NO_OFFSETS: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class TriangleModel:
    """One direction of a triangle, and its rules."""

    triangle: Triangle
    rules: ArbitrageRules

    def evaluate(
        self,
        books: Sequence[LegBook],
        *,
        now_ns: int,
        regime: Regime = Regime.CALM,
        offsets_ns: Mapping[str, int] = _NO_OFFSETS,
    ) -> Verdict:
        """What to do now, on the books of the legs (in their order)."""
        legs, rules = self.triangle.legs, self.rules
        seen = moment(legs, books, rules, now_ns, offsets_ns)
        if isinstance(seen, Unfit):
            return self._passed(seen)
        levels = [
            ladder(one.book, leg.instrument, leg.side, rules.depth)
            for one, leg in zip(books, legs, strict=True)
        ]
        for leg, found in zip(legs, levels, strict=True):
            if not found:
                what = "shows nothing to take"
                return self._unfit(PassReason.NO_SIDE, f"{leg.market.path} {what}")
        first, second, third = (
            Exchange.of(leg, found) for leg, found in zip(legs, levels, strict=True)
        )
        around = Around(
            exchanges=(first, second, third),
            books=books,
            rules=rules,
            slippage=rules.slippage(regime),
            triangle=self.triangle,
        )
        if around.product < 1 + Fraction(rules.min_edge):
            return self._unfit(
                PassReason.NO_EDGE,
                f"{self.triangle.way} brings {decimal(around.product - 1):.6f} after costs, "
                f"below {rules.min_edge}",
            )
        lots = around.most(seen)
        return self._passed(lots) if isinstance(lots, Unfit) else around.opportunity(lots, seen)

    def of_ticks(self, regime: Regime) -> Fraction:
        """Product of the rates after costs, were every price one tick."""
        slippage = self.rules.slippage(regime)
        first, second, third = (rate_of_a_tick(leg, slippage) for leg in self.triangle.legs)
        return first * second * third

    def _unfit(self, reason: PassReason, sentence: str) -> Passed:
        return self._passed(Unfit(reason=reason, sentence=sentence))

    def _passed(self, why: Unfit) -> Passed:
        return Passed(
            name=self.triangle.name,
            aim=Aim.TAKE,
            way=self.triangle.way,
            reason=why.reason,
            sentence=f"{self.triangle.name}: {why.sentence}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """A direction on the books of one moment, and how much of it may go round."""

    exchanges: Circle
    books: Sequence[LegBook]
    rules: ArbitrageRules
    slippage: Decimal
    triangle: Triangle

    @property
    def product(self) -> Fraction:
        """Of the rates after costs, at the best prices."""
        return round_trip(self.exchanges, self.slippage)

    def most(self, seen: Moment) -> Lots3 | Unfit:
        """Lots of each leg; or what leaves too little of them."""
        lots: Lots3 = (0, 0, 0)
        last = None
        for reason, amount, what in self._bounds(seen):
            if amount == last:
                continue
            last, lots = amount, chained(self.exchanges, amount)
            if short := self._trouble(lots):
                return Unfit(reason=reason, sentence=f"{what}; {short}")
        return lots

    def _bounds(self, seen: Moment) -> Iterator[tuple[PassReason, Fraction, str]]:
        rules, start = self.rules, self.triangle.start
        least, enough = 1 + Fraction(rules.min_edge), Fraction(rules.max_units) / seen.share
        amount = absorbed_start(self.exchanges, self.slippage, least, enough)
        if amount < enough:
            take = f"all legs take {_short(amount)} {start} with an edge"
            yield PassReason.TOO_SMALL, amount, take
        if (amount := amount * seen.share) < rules.max_units:
            left = f"the skew of the legs leaves {_short(amount)} {start}"
            yield PassReason.SKEWED, amount, left
        amount = self._largest(min(amount, Fraction(rules.max_units)), self._within_capital)
        yield PassReason.CAPPED, amount, f"the caps leave {_short(amount)} {start}"
        amount = self._largest(amount, self._within_exposure)
        allowed = rules.max_exposure
        yield PassReason.EXPOSURE, amount, f"max_exposure is {allowed} for a half-filled round"

    def _trouble(self, lots: Lots3) -> str:
        """Why the venues would not take so little, or why it would not pay; empty when fine."""
        for one, count in zip(self.exchanges, lots, strict=True):
            instrument = one.leg.instrument
            least = least_lots(instrument, self._limit(one, count)) if count else 1
            if count < least:
                return f"{one.leg.market.path} takes {least} lots at least, {count} are left"
        spent, gain = self._gain(lots)
        if gain < spent * Fraction(self.rules.min_edge):
            return f"rounded to whole lots a round brings {_short(gain)} of {_short(spent)}"
        return ""

    def _largest(self, amount: Fraction, fits: Callable[[Lots3], bool]) -> Fraction:
        def some(parts: int) -> Fraction:
            return amount * parts / _PARTS

        return some(largest(_PARTS, lambda parts: fits(chained(self.exchanges, some(parts)))))

    def _within_capital(self, lots: Lots3) -> bool:
        return self._planned(self.exchanges[0], lots[0]).locks <= self.rules.max_capital

    def _within_exposure(self, lots: Lots3) -> bool:
        lost = self.exposure(lots)
        return lost is not None and lost <= self.rules.max_exposure

    def exposure(self, lots: Lots3) -> Decimal | None:
        """The most a half-filled round loses, start currency; None when nothing bounds it."""
        worth = values_in_start(self.triangle, self.books)
        losses = []
        for one, count, back in zip(self.exchanges, lots, self.books, strict=True):
            leg = one.leg
            if not count:
                losses.append(_ZERO)
                continue
            filled = Filled(
                leg=leg,
                lots=count,
                limit=self._limit(one, count),
                back=ladder(back.book, leg.instrument, leg.side.opposite, self.rules.depth),
            )
            lost = loss(filled, self.rules.worst_bps / BPS)
            value = worth.get(leg.instrument.quote)
            if lost is None or value is None:
                return None
            losses.append(lost * decimal(value.high))
        return worst_of(losses)

    def opportunity(self, lots: Lots3, seen: Moment) -> Opportunity:
        """All that an execution needs."""
        legs = tuple(
            self._planned(one, count) for one, count in zip(self.exchanges, lots, strict=True)
        )
        spent, gain = self._gain(lots)
        edge = Fraction(1)
        for one, leg in zip(self.exchanges, legs, strict=True):
            edge *= one.rate(leg.limit, _ZERO)
        return Opportunity(
            name=self.triangle.name,
            aim=Aim.TAKE,
            way=self.triangle.way,
            units=decimal(spent),
            edge=decimal(edge - 1),
            gain=decimal(gain),
            capital=legs[0].locks,
            exposure=self.exposure(lots) or _ZERO,
            currency=self.triangle.start,
            skew_ns=seen.skew_ns,
            legs=legs,
        )

    def _gain(self, lots: Lots3) -> tuple[Fraction, Fraction]:
        """Start currency spent, and what comes back beyond it; what is left on the way is zero."""
        spent = self.exchanges[0].given(lots[0])
        return spent, self.exchanges[2].got(lots[2]) - spent

    def _limit(self, one: Exchange, lots: int) -> int:
        worst = take(one.levels, lots).worst
        return limit_price(worst, one.leg.side, self.slippage, one.leg.instrument)

    def _planned(self, one: Exchange, lots: int) -> PlannedLeg:
        instrument = one.leg.instrument
        taken, limit = take(one.levels, lots), self._limit(one, lots)
        cost = instrument.notional(taken.worth, 1)
        fee = instrument.taker_fee_bps / BPS
        locks = instrument.quantity(lots)
        if one.buys:
            locks = instrument.notional(limit, lots) * (_ONE + max(fee, _ZERO))
        return PlannedLeg(
            market=one.leg.market,
            side=one.leg.side,
            lots=lots,
            limit=limit,
            shown=taken.shown,
            cost=cost,
            fee=cost * fee,
            locks=locks,
            currency=instrument.quote if one.buys else instrument.base,
        )


def _short(value: Fraction) -> str:
    return f"{decimal(value):.8g}"
