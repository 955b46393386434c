"""Works off what a set owes: read the books, fold, send a round, and again, so many times at most.

The rule: only the fill ledger decides. What is owed is on record before the first order goes out,
and is over only when the ledger, in step with every venue, says so.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from desk.arbitrage.discharge import Discharge, DischargeOrder
from desk.arbitrage.sets import OutcomeSet
from desk.arbitrage_records import UNDER_WAY, ArbitrageTrade, TradeStage
from desk.errors import Unavailable, VenueError
from desk.units import NS_PER_MS, Lots
from quoting.arbitrage.adoption import Adoption
from quoting.arbitrage.books import SetBooks, read_set
from quoting.arbitrage.closing import close_trades, tidy_claims, trades_of
from quoting.arbitrage.effort import Effort, progress_of
from quoting.arbitrage.leg import LiveLeg
from quoting.arbitrage.owing import (
    AnySet,
    Debt,
    debts_of,
    first_to_do,
    plan_of,
    standing_of,
)
from quoting.arbitrage.permission import why_not_add
from quoting.arbitrage.ports import SetPorts
from quoting.arbitrage.report import DischargePhase, RunOrder, SetStanding
from quoting.arbitrage.round import RoundReport, send_round
from quoting.arbitrage.settling import settle_outcomes
from quoting.arbitrage.waiver import waiver_left
from quoting.clearing import clear
from quoting.journal import record_ended

_LATE_MS: Final = 3_600_000
"""A trade that is over is looked at again for so long: a fill of it may come late."""
_FILLS_BACK_MS: Final = 2 * _LATE_MS
"""Fills are read from so long before the oldest trade; venues' clocks differ from ours."""
_RUNS_BACK_MS: Final = 3 * _FILLS_BACK_MS
"""Runs that may have sent what was filled then: they began at most an hour's watch earlier, and a
worker that stood still meanwhile gets the rest."""
LEASE_LOST: Final = "a leg's lease is not ours any more"
"""Then nothing can be sent: only a run with leases of its own goes on."""
_FIRST_REST_S: Final = 0.1
_LONGEST_REST_S: Final = 2.0
_MOST_FREE: Final = 30
_CLEAR_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Discharged:
    """How the set stands. `blocked`: why nothing can be done by orders now, empty when it can.

    `settled`: the venue paid it out. `found`: a trade was found that nobody had recorded.
    """

    standing: SetStanding
    reason: str
    blocked: str = ""
    settled: bool = False
    found: bool = False


class Discharging:
    """Discharges one set; `legs` are in the order of the run."""

    def __init__(
        self,
        order: RunOrder,
        *,
        epoch: int,
        legs: Sequence[LiveLeg],
        sets: Sequence[AnySet],
        ports: SetPorts,
    ) -> None:
        self._order = order
        self._epoch = epoch
        self._legs = legs
        self._sets = sets
        self._ports = ports

    @property
    def waived(self) -> tuple[Lots, ...]:
        """What is left of the waiver by the last look: it never grows again."""
        return self._order.waived

    async def work_off(self, effort: Effort | None = None) -> Discharged:
        """Until nothing is owed, or the rounds are used up.

        Raises Unavailable when it is not known how the set stands.
        """
        effort = effort or Effort()
        left, free, rest_s, reason = self._order.rounds, 0, _FIRST_REST_S, ""
        while True:
            try:
                now = await self._look(effort, may_send=left > 0)
            except (VenueError, Unavailable) as error:
                now = str(error) or type(error).__name__
            if isinstance(now, Discharged):
                tried = left <= 0 and now.standing.owes
                return replace(now, reason=reason) if tried and reason else now
            if isinstance(now, RoundReport):
                reason = now.sentence
                if now.free and free < _MOST_FREE:
                    free += 1
                    await asyncio.sleep(_FIRST_REST_S)
                    continue
                rest_s = _FIRST_REST_S if now.moved else rest_s
            else:
                reason = now
                if left <= 0:
                    raise Unavailable(f"{self._order.name}: {reason}")
            left -= 1
            await asyncio.sleep(rest_s)
            rest_s = min(_LONGEST_REST_S, rest_s * 2)

    async def _look(self, effort: Effort, *, may_send: bool) -> Discharged | RoundReport | str:
        """One look, and a round where something is owed; a sentence when nothing is concluded."""
        ports, order = self._ports, self._order
        if effort.record is not None:
            await ports.trades.opened(effort.record)
        if why := await self._cleared(effort):
            return why
        under_way = tuple(await ports.trades.open_for(order.name))
        # Right after a trade it is known which one; only then is every moment dear.
        trades = await trades_of(order, ports) if effort.record is None else ()
        lately = self._lately(trades)
        books = await self._read((*under_way, *lately), effort)
        if books.difference:
            return books.difference
        effort.receipts = {}
        await self._relisted()
        alone = effort.record is None and not under_way
        if alone and (why := await self._adopts(books, trades, effort)):
            return why
        order = await self._waived(books, under_way)
        debts = debts_of(order, self._sets, books, under_way, lately)
        debt, plan = first_to_do(debts, [self._plan(one, books, effort) for one in debts])
        if ended := [leg for leg in self._legs if not leg.instrument.active]:
            plan = replace(plan, orders=self._around(ended, debt, plan, books))
            if not plan.orders:
                return await self._after_the_end(ended, debts[0], books, effort)
        standing = standing_of(order, debt, books, plan)
        if not plan.orders:
            return await self._finish(books, plan, standing, effort)
        if order.phase is DischargePhase.WAIT or not may_send:
            return Discharged(standing=standing, reason="something is owed", found=effort.found)
        if any(leg.dispossessed for leg in self._legs):
            return Discharged(standing=standing, reason=LEASE_LOST, blocked=LEASE_LOST)
        return await self._round(debt, books, plan, effort, trades)

    # --- what may be concluded -----------------------------------------------------------------

    async def _cleared(self, effort: Effort) -> str:
        """Take away whatever may still trade of orders that nothing certain was heard of."""
        clock, legs = self._ports.clock, tuple(effort.uncleared)
        reports = await asyncio.gather(
            *(clear(leg.venue, leg.instrument, clock, give_up_s=_CLEAR_S) for leg in legs)
        )
        ids = (
            {}
            if effort.record is None
            else {leg.market: leg.client_order_id for leg in effort.record.legs}
        )
        left, said = [], []
        for leg, report in zip(legs, reports, strict=True):
            if not report.verified:
                left.append(leg)
                said.append(f"{leg.market.path}: not cleared: {report.message}")
            elif name := ids.get(leg.market):
                record_ended(self._ports.writer, clock, leg.market, name, "cleared, never answered")
        effort.uncleared = left
        return "; ".join(said)

    async def _read(self, trades: Sequence[ArbitrageTrade], effort: Effort) -> SetBooks:
        """With all fills of these trades, at least."""
        now_ms = self._ports.clock.wall_ns() // NS_PER_MS
        oldest_ms = min((trade.fired.fired_at_ms for trade in trades), default=now_ms)
        since_ms = max(0, oldest_ms - _FILLS_BACK_MS)
        return await read_set(self._legs, self._ports, since_ms=since_ms, receipts=effort.receipts)

    async def _waived(self, books: SetBooks, under_way: Sequence[ArbitrageTrade]) -> RunOrder:
        """The run's order with what is left of its waiver; on record before anything is sent."""
        order, left = self._order, waiver_left(self._order, self._sets, books, under_way)
        if left == order.waived:
            return order
        lots = dict(zip(order.legs, left or (0,) * len(order.legs), strict=True))
        await self._ports.waivers.shrink(order.name, lots, epoch=self._epoch)
        self._order = replace(order, waived=left)
        return self._order

    async def _relisted(self) -> None:
        """Where somebody other than us moved our position, see whether the market has ended."""
        strange = [leg for leg in self._legs if leg.strange]
        places = {(leg.market.venue, leg.market.account): leg.venue for leg in strange}
        listed = {place: await venue.instruments() for place, venue in places.items()}
        for leg in strange:
            for instrument in listed[leg.market.venue, leg.market.account]:
                if instrument.symbol == leg.market.symbol:
                    leg.relist(instrument)

    async def _adopts(
        self, books: SetBooks, trades: Sequence[ArbitrageTrade], effort: Effort
    ) -> str:
        """Put on record what earlier runs may have sent and nobody recorded; empty for nothing.

        A claim is reason enough, filled or not: its orders may still arrive. So are fills under
        epochs that were an earlier run's of this set. Raises Unavailable.
        """
        order, ports, now_ms = self._order, self._ports, self._ports.clock.wall_ns() // NS_PER_MS
        adoption = Adoption(
            order=order, epoch=self._epoch, sets=self._sets, books=books, trades=trades
        )
        strays = adoption.strays(await ports.claims.open())
        earlier = await ports.trades.earlier(
            order.name,
            below=self._epoch,
            since_ms=max(0, now_ms - _RUNS_BACK_MS),
            also=[claim.key.epoch for claim in strays],
        )
        found = adoption.claimed(strays, earlier)
        filled, unclear = adoption.filled(earlier, found)
        found += filled
        alone = not (found or unclear or trades) and isinstance(self._sets[0], OutcomeSet)
        left = replace(order, waived=waiver_left(order, self._sets, books, ()))
        if alone and debts_of(left, self._sets, books, (), ())[0].owed.owes:
            found.append(adoption.unexplained(now_ms))
        stages = [await ports.trades.opened(fired) for fired in found]
        if any(stage in UNDER_WAY for stage in stages):
            effort.found = True
            return "a trade was found that nobody had recorded"
        if unclear:
            return f"a trade of run {unclear[0]} was found; without prices nobody knows its size"
        return ""

    def _lately(self, trades: Sequence[ArbitrageTrade]) -> Sequence[ArbitrageTrade]:
        """Trades that were over lately, whenever they were fired; what a person has is left out."""
        since_ms = self._ports.clock.wall_ns() // NS_PER_MS - _LATE_MS
        over = (TradeStage.BALANCED, TradeStage.SETTLED)
        return [
            one
            for one in trades
            if one.stage in over and not one.a_persons and one.steps[-1].at_ms >= since_ms
        ]

    # --- what is done about it -----------------------------------------------------------------

    def _plan(self, debt: Debt, books: SetBooks, effort: Effort) -> Discharge:
        now_ns, hedging = self._ports.clock.monotonic_ns(), DischargePhase.HEDGE
        may_add = effort.may_add and self._order.phase is hedging
        if may_add:
            traded = all(leg.instrument.active for leg in self._legs)
            may_add = traded and not why_not_add(self._legs, self._ports, now_ns)
        return plan_of(
            debt,
            books,
            self._order.rules,
            phase=self._order.phase,
            may_add=may_add,
            stay=effort.way_of(debt),
            now_ns=now_ns,
        )

    def _around(
        self, ended: Sequence[LiveLeg], debt: Debt, plan: Discharge, books: SetBooks
    ) -> tuple[DischargeOrder, ...]:
        """Orders back on the legs that are traded, while those that are not just stand still.

        Each takes off what one leg has in excess. None where the venue itself may have closed a leg
        since the trade: then what looks like excess may be sets that still pay. Nor of a round,
        whose legs are worked back together.
        """
        trade = debt.trade
        apart = isinstance(debt.of, OutcomeSet) and trade is not None and trade.stage in UNDER_WAY
        if not apart or any(books.at(leg.market).others for leg in ended):
            return ()
        still = {leg.market for leg in ended}
        return tuple(one for one in plan.orders if one.market not in still)

    async def _round(
        self,
        debt: Debt,
        books: SetBooks,
        plan: Discharge,
        effort: Effort,
        trades: Sequence[ArbitrageTrade],
    ) -> RoundReport | str:
        """One round. A debt without a trade under way is on record by its fills alone."""
        trade = debt.trade
        if trade is not None and trade.stage in UNDER_WAY:
            looked = progress_of(debt, plan)
            stage = await self._ports.trades.progress(trade.fired.key, trade.rounds + 1, looked)
            if stage not in UNDER_WAY:
                return f"{trade.fired.key.text} is {stage.value if stage else 'lost'} by now"
        newest = trades[-1] if trades else None
        ids = await effort.begin(trade or newest, books, self._ports.ledger)
        report = await send_round(self._order, plan, books, ids, self._ports)
        effort.took(report, plan.way, debt)
        return report

    async def _finish(
        self, books: SetBooks, plan: Discharge, standing: SetStanding, effort: Effort
    ) -> Discharged:
        """Nothing can be owed any more: say so on record, and have the claims follow."""
        reason = "every leg is complete or traded back"
        if plan.dust:
            dust = ", ".join(f"{one.lots:+d} lots of {one.market.path}" for one in plan.dust)
            reason = f"{reason}, but for what no venue takes: {dust}"
        await close_trades(self._order, self._sets, books, self._ports, reason)
        await tidy_claims(self._order, self._epoch, self._ports)
        return Discharged(standing=standing, reason=reason, found=effort.found)

    async def _after_the_end(
        self, ended: Sequence[LiveLeg], debt: Debt, books: SetBooks, effort: Effort
    ) -> Discharged:
        """A leg is traded no more: the set is paid out, or waits for that; no order goes out."""
        order, ports, first = self._order, self._ports, self._sets[0]
        standing = standing_of(order, debt, books, None)
        gone = not any(one.position for one in books.legs)
        if gone and len(ended) == len(self._legs) and isinstance(first, OutcomeSet):
            if paid := await settle_outcomes(order, first, books, ports):
                await tidy_claims(order, self._epoch, ports)
                return Discharged(standing=standing, reason=paid, settled=True)
            reason = f"{first.event} was decided"
            await close_trades(order, self._sets, books, ports, reason)
        paths = ", ".join(leg.market.path for leg in ended)
        text = f"{paths} is not traded now; nothing is sent before it is, or was paid out"
        return Discharged(standing=standing, reason=text, blocked=text, found=effort.found)
