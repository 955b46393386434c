"""What is known of orders that were sent and are not seen in the books yet; one for a discharge.

The rule: where an order may still arrive, the next one has its id, and goes the same way.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from desk.arbitrage.discharge import Discharge, Way
from desk.arbitrage_records import ArbitrageTrade, LegProgress, TradeFired, TradeKey
from desk.hedging import HedgeReceipt
from desk.identity import MarketId
from desk.ports import LedgerReader
from quoting.arbitrage.answers import Answer
from quoting.arbitrage.books import LegBooks, SetBooks, decoded, epochs_of
from quoting.arbitrage.ids import TAKEN, Ids, last_recorded
from quoting.arbitrage.leg import LiveLeg
from quoting.arbitrage.owing import Debt
from quoting.arbitrage.round import RoundReport
from quoting.arbitrage.shot import FIRED_CYCLE

Debtor: TypeAlias = TradeKey | None
"""Whose debt it is; None where no trade on record explains it."""


@dataclass(slots=True, kw_only=True)
class Effort:
    """State of one discharge. `record` is of the trade that was just fired, if one was.

    `uncleared` are legs of whose orders nothing certain was heard and that were not cleared since,
    `unused` those whose order the venue need not know. `ways` and `ids` are kept for each trade
    that owed: the way that orders which may still arrive went, and which ids come next. `may_add`
    until something said no to completing. `found`: a trade without a record was found.
    """

    record: TradeFired | None = None
    receipts: Mapping[MarketId, HedgeReceipt] = field(default_factory=dict)
    uncleared: Sequence[LiveLeg] = ()
    unused: frozenset[MarketId] = frozenset()
    ids: dict[Debtor, Ids] = field(default_factory=dict)
    ways: dict[Debtor, Way | None] = field(default_factory=dict)
    may_add: bool = True
    found: bool = False

    @classmethod
    def after(cls, record: TradeFired, answers: Sequence[Answer]) -> "Effort":
        """What the answers to a trade leave open."""
        unknown = [one.leg for one in answers if not one.known]
        return cls(
            record=record,
            receipts={one.leg.market: one.receipt for one in answers if one.receipt is not None},
            uncleared=unknown,
            unused=frozenset(one.leg.market for one in answers if not _has_had(one)),
        )

    def way_of(self, debt: Debt) -> Way | None:
        """The way to keep to. Of a trade not met before, other than ours, it is on record."""
        debtor = _debtor(debt.trade)
        if debtor not in self.ways:
            self.ways[debtor] = None if self._fired(debtor) else _way_on_record(debt)
        return self.ways[debtor]

    async def begin(
        self, trade: ArbitrageTrade | None, books: SetBooks, ledger: LedgerReader
    ) -> Ids:
        """Which ids come next, under the epochs on record of the trade. Raises Unavailable."""
        debtor = _debtor(trade)
        if debtor not in self.ids:
            epochs = {} if trade is None else epochs_of(trade)
            first = self._after_firing if self._fired(debtor) else _after_somebody
            cycles = await asyncio.gather(
                *(
                    first(one, epochs.get(one.leg.market, one.leg.epoch), ledger)
                    for one in books.legs
                )
            )
            begin = {one.leg.market: cycle for one, cycle in zip(books.legs, cycles, strict=True)}
            self.ids[debtor] = Ids(epochs, begin)
        return self.ids[debtor]

    def took(self, report: RoundReport, way: Way, debt: Debt) -> None:
        """Keep what a round leaves open."""
        self.receipts = report.receipts
        self.ways[_debtor(debt.trade)] = None if report.known else way
        self.may_add = self.may_add and not report.refused_adding

    def _fired(self, debtor: Debtor) -> bool:
        """Whether this run has fired that trade itself, and so has sent all there is of it."""
        return self.record is not None and self.record.key == debtor

    async def _after_firing(self, one: LegBooks, epoch: int, ledger: LedgerReader) -> int:
        """The cycle of an order that the venue need not know; else the next one."""
        del ledger  # it may not have it yet, and nobody waits for that
        return max(FIRED_CYCLE + (one.leg.market not in self.unused), _after_fills(one, epoch))


async def _after_somebody(one: LegBooks, epoch: int, ledger: LedgerReader) -> int:
    """The last cycle on record, for its order may be on its way; the one after it if it filled.

    What the record misses of a process that died is met by walking on from here (`ids`).
    """
    last = await last_recorded(ledger, one.leg.market, epoch)
    return max(FIRED_CYCLE, last, _after_fills(one, epoch))


def _has_had(answer: Answer) -> bool:
    """Whether the venue certainly knows the order by its id."""
    order = answer.order
    return order is not None and answer.known and order.reason in TAKEN


def _after_fills(one: LegBooks, epoch: int) -> int:
    fills = one.of_epoch(epoch)
    cycles = [identity.cycle for fill in fills if (identity := decoded(one.leg.market, fill))]
    return max(cycles, default=FIRED_CYCLE - 1) + 1


def _debtor(trade: ArbitrageTrade | None) -> Debtor:
    return None if trade is None else trade.fired.key


def progress_of(debt: Debt, plan: Discharge) -> tuple[LegProgress, ...]:
    """For the record of the trade: what each leg did so far, and is about to be sent."""
    sent = {one.market: one.side.sign * one.lots for one in plan.orders}
    legs = () if debt.trade is None else debt.trade.fired.legs
    return tuple(
        LegProgress(
            client_order_id=leg.client_order_id,
            filled=debt.filled[leg.market],
            owed=sent.get(leg.market, 0),
        )
        for leg in legs
    )


def _way_on_record(debt: Debt) -> Way | None:
    trade = debt.trade
    if trade is None:
        return None
    owed = {one.client_order_id: one.owed for one in trade.progress}
    sides = {leg.market: leg.side for leg in debt.legs}
    for leg in trade.fired.legs:
        if lots := owed.get(leg.client_order_id, 0):
            return Way.FORWARD if lots * sides[leg.market].sign > 0 else Way.BACK
    return None
