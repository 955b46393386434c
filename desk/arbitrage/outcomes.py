"""Looking at one outcome set: take it when the asks sum below 1, unwind it when the bids sum above.

Whether there is an edge is decided in integers, exactly; money is told in Decimal afterwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from desk.arbitrage.depth import Taken, ladder
from desk.arbitrage.freshness import LegBook, Moment, Unfit, moment
from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage.sets import Leg, OutcomeSet
from desk.arbitrage.sizing import Sizing
from desk.arbitrage.verdicts import Aim, Opportunity, Passed, PassReason, PlannedLeg, Verdict
from desk.arbitrage.weights import Steps, Weights
from desk.flattening import Regime
from desk.units import BPS, Lots, Side, Ticks

_ONE = Decimal(1)
_ZERO = Decimal(0)
_NO_OFFSETS: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeModel:
    """A set and its rules, with all that does not change from one book to the next."""

    outcomes: OutcomeSet
    rules: ArbitrageRules
    steps: Steps
    weights: Mapping[tuple[Side, Regime], Weights]
    selling: tuple[Leg, ...]

    @classmethod
    def prepare(cls, outcomes: OutcomeSet, rules: ArbitrageRules) -> "OutcomeModel":
        """Compile; do it whenever the set, a fee or a rule changes."""
        return cls(
            outcomes=outcomes,
            rules=rules,
            steps=Steps.of(outcomes),
            weights={
                (side, regime): Weights.of(outcomes, rules, regime, side)
                for side in Side
                for regime in Regime
            },
            selling=tuple(replace(leg, side=Side.SELL) for leg in outcomes.legs),
        )

    def evaluate(
        self,
        books: Sequence[LegBook],
        *,
        now_ns: int,
        regime: Regime = Regime.CALM,
        offsets_ns: Mapping[str, int] = _NO_OFFSETS,
        held: Sequence[Lots] | None = None,
    ) -> Verdict:
        """What to do with the set now, on the books of its legs (in their order).

        Without `held` the set is bought. With it (lots held of each leg) complete sets are sold,
        never more than are held.
        """
        side = Side.BUY if held is None else Side.SELL
        legs = self.outcomes.legs if held is None else self.selling
        seen = moment(legs, books, self.rules, now_ns, offsets_ns)
        if isinstance(seen, Unfit):
            return self._passed(side, seen)
        sizing = self._sizing(legs, books, side, regime)
        if missing := [leg for leg, levels in zip(legs, sizing.ladders, strict=True) if not levels]:
            return self._passed(side, _no_side(missing[0]))
        steps = self._edge_trouble(sizing) or sizing.most(seen, held)
        if isinstance(steps, Unfit):
            return self._passed(side, steps)
        return self._opportunity(sizing, steps, seen, side)

    def _sizing(
        self, legs: Sequence[Leg], books: Sequence[LegBook], side: Side, regime: Regime
    ) -> Sizing:
        depth = self.rules.depth
        pairs = [(one.book, leg.instrument) for one, leg in zip(books, legs, strict=True)]
        return Sizing(
            legs=legs,
            ladders=[ladder(book, instrument, side, depth) for book, instrument in pairs],
            backs=[ladder(book, instrument, side.opposite, depth) for book, instrument in pairs],
            steps=self.steps,
            weights=self.weights[side, regime],
            rules=self.rules,
            slippage=self.rules.slippage(regime),
            adds=side is Side.BUY,
        )

    def _edge_trouble(self, sizing: Sizing) -> Unfit | None:
        weights = sizing.weights
        edge = weights.worth - sum(
            weight * levels[0][0]
            for weight, levels in zip(weights.per_tick, sizing.ladders, strict=True)
        )
        if edge >= weights.least:
            return None
        return Unfit(
            reason=PassReason.NO_EDGE,
            sentence=f"a unit brings {Decimal(edge) / weights.scale:.6f} after costs, "
            f"below {self.rules.min_edge}",
        )

    def _opportunity(self, sizing: Sizing, steps: int, seen: Moment, side: Side) -> Opportunity:
        locks = sizing.locks(steps)
        parts = sizing.parts(steps)
        legs = tuple(
            _planned(leg, taken, limit, lock, self.outcomes.quote)
            for leg, (taken, limit), lock in zip(sizing.legs, parts, locks, strict=True)
        )
        payout = _ONE - self.rules.settlement_cost
        units = self.steps.quantity(steps)
        limits = zip(sizing.legs, (limit for _, limit in parts), strict=True)
        worst = sum((_at_limit(leg, limit) for leg, limit in limits), _ZERO)
        paid = sum((side.sign * leg.cost + leg.fee for leg in legs), _ZERO)
        return Opportunity(
            name=self.outcomes.name,
            aim=_aim(side),
            way="",
            units=units,
            edge=side.sign * (payout - worst),
            gain=side.sign * units * payout - paid,
            capital=sum(locks, _ZERO),
            exposure=sizing.exposure(steps),
            currency=self.outcomes.quote,
            skew_ns=seen.skew_ns,
            legs=legs,
        )

    def _passed(self, side: Side, why: Unfit) -> Passed:
        return Passed(
            name=self.outcomes.name,
            aim=_aim(side),
            way="",
            reason=why.reason,
            sentence=f"{self.outcomes.name}: {why.sentence}",
        )


def _aim(side: Side) -> Aim:
    return Aim.TAKE if side is Side.BUY else Aim.UNWIND


def _no_side(leg: Leg) -> Unfit:
    what = "asks" if leg.side is Side.BUY else "bids"
    return Unfit(reason=PassReason.NO_SIDE, sentence=f"{leg.market.path} shows no {what}")


def _planned(leg: Leg, taken: Taken, limit: Ticks, locks: Decimal, currency: str) -> PlannedLeg:
    cost = leg.instrument.notional(taken.worth, 1)
    return PlannedLeg(
        market=leg.market,
        side=leg.side,
        lots=taken.lots,
        limit=limit,
        shown=taken.shown,
        cost=cost,
        fee=cost * leg.instrument.taker_fee_bps / BPS,
        locks=locks,
        currency=currency,
    )


def _at_limit(leg: Leg, limit: Ticks) -> Decimal:
    """What one unit of a leg costs, or earns, at its limit; fee included."""
    fee = leg.instrument.taker_fee_bps / BPS
    return leg.instrument.price(limit) * (_ONE + leg.side.sign * fee)
