"""How much of an outcome set: what depth, minimums, caps and the worst half-filled case allow.

Each bound can only make the size smaller; the one that leaves nothing tradable names the reason.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

from desk.arbitrage.depth import Ladder, Taken, absorbed, largest, limit_price, take
from desk.arbitrage.exposure import Filled, loss, worst_of
from desk.arbitrage.freshness import Moment, Unfit
from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage.sets import Leg
from desk.arbitrage.verdicts import PassReason
from desk.arbitrage.weights import Steps, Weights
from desk.hedging import least_lots
from desk.units import BPS, Lots, Ticks

Part: TypeAlias = tuple[Taken, Ticks]
_ZERO = Decimal(0)
_ONE = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """One set on the books of one moment.

    `legs` carry the side they trade now; `ladders` are what they take from and `backs` what they
    would be traded back into. `adds` is whether capital gets locked.
    """

    legs: Sequence[Leg]
    ladders: Sequence[Ladder]
    backs: Sequence[Ladder]
    steps: Steps
    weights: Weights
    rules: ArbitrageRules
    slippage: Decimal
    adds: bool
    seen: dict[int, list[Part]] = field(default_factory=dict)
    """What some steps take, once it was asked: every bound asks for nearly the same."""
    risks: dict[int, Decimal] = field(default_factory=dict)
    """The same of what they can lose."""

    def most(self, moment: Moment, held: Sequence[Lots] | None) -> int | Unfit:
        """Steps to take, at least one; or what leaves too little of them."""
        last = None
        for reason, steps, what in self._bounds(moment, held):
            if steps != last and (short := self._below_minimum(steps)):
                return Unfit(reason=reason, sentence=f"{what}; {short}")
            last = steps
        return last or 0

    def parts(self, steps: int) -> list[Part]:
        """Of each leg what so many steps take, and the order's limit."""
        found = self.seen.get(steps)
        if found is None:
            found = self.seen[steps] = self._parts(steps)
        return found

    def locks(self, steps: int) -> list[Decimal]:
        """Quote currency each leg's order needs, if filled at its limit; fees included."""
        if not self.adds:
            return [_ZERO] * len(self.legs)
        return [
            leg.instrument.notional(limit, taken.lots) * _with_fee(leg)
            for leg, (taken, limit) in zip(self.legs, self.parts(steps), strict=True)
        ]

    def exposure(self, steps: int) -> Decimal:
        """The most that a half-filled set of this size loses, quote currency."""
        found = self.risks.get(steps)
        if found is None:
            found = self.risks[steps] = self._exposure(steps)
        return found

    def _exposure(self, steps: int) -> Decimal:
        slippage = self.rules.worst_bps / BPS
        losses = []
        for leg, back, (taken, limit) in zip(self.legs, self.backs, self.parts(steps), strict=True):
            filled = Filled(leg=leg, lots=taken.lots, limit=limit, back=back, ceiling=_ONE)
            lost = loss(filled, slippage)
            assert lost is not None  # noqa: S101 - outcomes have a ceiling
            losses.append(lost)
        return worst_of(losses)

    def _bounds(
        self, moment: Moment, held: Sequence[Lots] | None
    ) -> Iterator[tuple[PassReason, int, str]]:
        shown = self._shown()
        steps = absorbed(
            self.ladders,
            self.steps.lots,
            self.weights.per_tick,
            self.weights.worth - self.weights.least,
            shown,
        )
        units = self.steps.quantity
        yield PassReason.TOO_SMALL, steps, f"all legs take {units(steps)} with an edge"
        if held is not None:
            whole = min(have // lots for have, lots in zip(held, self.steps.lots, strict=True))
            steps = min(steps, max(whole, 0))
            yield PassReason.TOO_SMALL, steps, f"{units(max(whole, 0))} complete units are held"
        steps = int(steps * moment.share)
        yield PassReason.SKEWED, steps, f"the skew of the legs leaves {units(steps)}"
        capped = int(Fraction(self.rules.max_units) / self.steps.units)
        steps = min(steps, capped)
        yield PassReason.CAPPED, steps, f"max_units is {self.rules.max_units}"
        most = self.rules.max_capital
        steps = largest(steps, lambda some: sum(self.locks(some), _ZERO) <= most)
        yield PassReason.CAPPED, steps, f"max_capital is {most}"
        allowed = self.rules.max_exposure
        steps = largest(steps, lambda some: self.exposure(some) <= allowed)
        yield PassReason.EXPOSURE, steps, f"max_exposure is {allowed} for a half-filled set"

    def _parts(self, steps: int) -> list[Part]:
        found = []
        for leg, levels, lots in zip(self.legs, self.ladders, self.steps.lots, strict=True):
            taken = take(levels, lots * steps)
            limit = limit_price(taken.worst, leg.side, self.slippage, leg.instrument)
            found.append((taken, limit))
        return found

    def _shown(self) -> int:
        return min(
            sum(lots for _, lots in levels) // need
            for levels, need in zip(self.ladders, self.steps.lots, strict=True)
        )

    def _below_minimum(self, steps: int) -> str:
        """Why the venues would not take so little; empty when they do."""
        if steps <= 0:
            return f"a whole lot on every leg is {self.steps.quantity(1)}"
        for leg, (taken, limit) in zip(self.legs, self.parts(steps), strict=True):
            least = least_lots(leg.instrument, limit)
            if taken.lots < least:
                return f"{leg.market.path} takes {least} lots at least, {taken.lots} are left"
        return ""


def _with_fee(leg: Leg) -> Decimal:
    # A rebate comes after the fill: until then nothing may count on it.
    return _ONE + max(leg.instrument.taker_fee_bps, _ZERO) / BPS
