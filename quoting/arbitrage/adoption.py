"""Trades that were sent and never recorded: what a run may have sent follows from its epochs: pure.

The rule: an earlier run's set epoch is on record with its legs' epochs before anything leaves, and
at most one trade leaves in a run, as the first cycle of each leg's epoch. So the ids of what it may
have sent are known, whether or not a fill or a claim tells of it, and what is sent to make up for
it has the same ids. Fills under epochs that were never this set's are somebody else's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeAlias

from desk.arbitrage.sets import OutcomeSet, Triangle
from desk.arbitrage_ports import ClaimStage, StandingClaim
from desk.arbitrage_records import (
    ArbitrageTrade,
    FiredLeg,
    HeldCapital,
    SetEpoch,
    SetLeg,
    TradeFired,
    TradeKey,
)
from desk.identity import MarketId, OrderIdentity, Slot
from desk.units import Side
from quoting.arbitrage.books import SetBooks, decoded, epochs_of
from quoting.arbitrage.meaning import Lotted, meant
from quoting.arbitrage.report import RunOrder, SetKind
from quoting.arbitrage.shot import FIRED_CYCLE

AnySet: TypeAlias = OutcomeSet | Triangle

ADOPTED: Final = 1
"""Number of a trade that no claim names, within the epoch of its run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What is looked through: the set, its books, and its trades on record. `epoch` is the run's.

    `sets` is the set, or a triangle in both directions.
    """

    order: RunOrder
    epoch: int
    sets: Sequence[AnySet]
    books: SetBooks
    trades: Sequence[ArbitrageTrade]

    def strays(self, claims: Iterable[StandingClaim]) -> list[StandingClaim]:
        """Claims of earlier runs whose trade may have left and is not on record.

        Where another trade of the run is on record, that is all that left.
        """
        recorded = {trade.fired.key.epoch for trade in self.trades}
        return [
            claim
            for claim in claims
            if claim.key.set_name == self.order.name
            and claim.key.epoch < self.epoch
            and claim.key.epoch not in recorded
            and claim.stage is not ClaimStage.HELD
        ]

    def claimed(
        self, strays: Iterable[StandingClaim], earlier: Iterable[SetEpoch]
    ) -> list[TradeFired]:
        """The trades of such claims, as large as claimed, filled or not.

        A claim whose run is not on record, or had other legs, is left for a person to look at.
        """
        runs = {run.epoch: run for run in self._alike(earlier)}
        found: dict[int, TradeFired] = {}
        for claim in strays:
            lotted = {size.market: (size.side, size.lots) for size in claim.sizes}
            run = runs.get(claim.key.epoch)
            if run is not None and set(lotted) == set(self.order.legs):
                trade = self._trade(claim.key, run, lotted, by=claim.owner, capital=claim.capital)
                found.setdefault(run.epoch, trade)
        return list(found.values())

    def filled(
        self, earlier: Iterable[SetEpoch], besides: Iterable[TradeFired]
    ) -> tuple[list[TradeFired], list[int]]:
        """Trades known by their fills alone, for an emptied Redis forgot their claims as well.

        They lock nothing before their fills are weighed. The other answer are epochs of which it
        cannot be told now how much was meant. `besides` are found already.
        """
        known = [*(trade.fired for trade in self.trades), *besides]
        runs = {trade.key.epoch for trade in known}
        orders = {item for trade in known for item in epochs_of(trade).items()}
        found, unclear = [], []
        for run in self._alike(earlier):
            fired = self._fired(leg for leg in run.legs if (leg.market, leg.epoch) not in orders)
            if not fired or run.epoch in runs:
                continue
            lotted = meant(self.sets, fired, self.books)
            if lotted is None:
                unclear.append(run.epoch)
                continue
            key = TradeKey(self.order.name, run.epoch, ADOPTED)
            found.append(self._trade(key, run, lotted, by=run.owner))
        return found, unclear

    def unexplained(self, now_ms: int) -> TradeFired:
        """A debt of an outcome set that no run of it made, as a trade of this run's that ends it.

        Positions are only traded back. This run fires nothing else, and its legs' epochs are its
        own, so nobody else's orders can have these ids.
        """
        legs, lotted = [], {}
        for one in self.books.legs:
            side = Side.BUY if one.position < 0 else Side.SELL
            legs.append(SetLeg(market=one.leg.market, side=side, epoch=one.leg.epoch))
            lotted[one.leg.market] = (side, max(1, abs(one.position)))
        run = SetEpoch(
            epoch=self.epoch, owner=self.order.owner, opened_at_ms=now_ms, legs=tuple(legs)
        )
        key = TradeKey(self.order.name, self.epoch, ADOPTED)
        return self._trade(key, run, lotted, by=self.order.owner)

    def _alike(self, earlier: Iterable[SetEpoch]) -> list[SetEpoch]:
        """Earlier runs over the same legs; a set of that name may have had others."""
        legs = set(self.order.legs)
        return [run for run in earlier if {leg.market for leg in run.legs} == legs]

    def _fired(self, legs: Iterable[SetLeg]) -> Lotted:
        """What the orders that a run fired were filled by, of the fills that were read."""
        found = {}
        for leg in legs:
            fills = [
                fill
                for fill in self.books.at(leg.market).of_epoch(leg.epoch)
                if (identity := decoded(leg.market, fill)) and identity.cycle == FIRED_CYCLE
            ]
            if fills:
                found[leg.market] = (fills[0].side, sum(fill.lots for fill in fills))
        return found

    def _trade(
        self,
        key: TradeKey,
        run: SetEpoch,
        lotted: Lotted,
        *,
        by: str,
        capital: tuple[HeldCapital, ...] = (),
    ) -> TradeFired:
        """Nothing is expected of it. Its time is the earliest it can have, so no fill is missed."""
        epochs = {leg.market: leg.epoch for leg in run.legs}
        first = self.sets[0]
        leading = self.books.legs[0].leg
        return TradeFired(
            key=key,
            quote=first.quote if isinstance(first, OutcomeSet) else first.start,
            units=leading.instrument.quantity(lotted[leading.market][1]),
            legs=tuple(self._leg(market, epochs[market], lotted) for market in self.order.legs),
            capital=capital,
            edge_expected=Decimal(0),
            payout_expected=Decimal(0),
            by=by,
            fired_at_ms=run.opened_at_ms,
        )

    def _leg(self, market: MarketId, epoch: int, lotted: Lotted) -> FiredLeg:
        """Its id as `shot.batch_of` makes it: held sets are sold, and a round never holds any."""
        side, lots = lotted[market]
        identity = OrderIdentity(
            tag=market.tag,
            epoch=epoch,
            cycle=FIRED_CYCLE,
            slot=Slot(side, 0),
            exit=self.order.kind is SetKind.OUTCOME_SET and side is Side.SELL,
        )
        return FiredLeg(
            market=market,
            side=side,
            lots=lots,
            limit=0,
            client_order_id=identity.encode(),
        )
