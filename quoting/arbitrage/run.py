"""One run over a set: discharge what is owed, watch, take at most one trade, discharge, return.

The rule: a trade that was fired is worked off before anything else, a cancellation included. What
a run leaves undone, however it ends, the next one finds in the ledger.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Final

from desk.arbitrage.sets import OutcomeSet
from desk.arbitrage.values import decimal
from desk.arbitrage_records import SetTotals
from desk.errors import Unavailable
from desk.units import NS_PER_MS, NS_PER_S
from quoting.arbitrage.answers import Answer, Fired, heard, words
from quoting.arbitrage.discharge import LEASE_LOST, Discharged, Discharging
from quoting.arbitrage.effort import Effort
from quoting.arbitrage.firing import Firing
from quoting.arbitrage.keeping import finished, kept
from quoting.arbitrage.leg import LiveLeg
from quoting.arbitrage.permission import why_not_fire
from quoting.arbitrage.ports import LegMarket, LegPorts, SetPorts
from quoting.arbitrage.report import (
    RunEnd,
    RunLook,
    RunOrder,
    RunReport,
    TradeReport,
)
from quoting.arbitrage.sight import SetSight, sets_of
from quoting.arbitrage.vigil import Turn, Vigil
from quoting.watch import Watch

_READY_S: Final = 5.0
_READY_LOOK_S: Final = 0.02
_FLUSH_S: Final = 3.0
_EDGE: Final = Decimal("0.000001")
_NS_PER_US: Final = NS_PER_MS // 1_000


class SetRun:
    """One run. `epoch` is the set's; `legs` are in the order of the order's legs.

    NotASet for legs that are none.
    """

    def __init__(
        self, order: RunOrder, *, epoch: int, legs: Sequence[LegMarket], ports: SetPorts
    ) -> None:
        self._order = order
        self._epoch = epoch
        self._ports = ports
        self._legs = [LiveLeg(leg, order.limits, ports) for leg in legs]
        sets = sets_of(order, self._legs)
        self._holds = isinstance(sets[0], OutcomeSet)
        self._sight = SetSight(order, sets, self._legs)
        firing = Firing(order, epoch=epoch, legs=self._legs, sight=self._sight, ports=ports)
        self._vigil = Vigil(legs=self._legs, sight=self._sight, firing=firing, ports=ports)
        self._discharging = Discharging(order, epoch=epoch, legs=self._legs, sets=sets, ports=ports)
        self._watches = [self._watch_of(leg) for leg in legs]
        self._state, self._reason = "starting", ""
        self._money = SetTotals()

    @property
    def look(self) -> RunLook:
        """Picture of this moment."""
        edge, vigil = self._sight.best_edge, self._vigil
        now_ns = self._ports.clock.monotonic_ns()
        return RunLook(
            epoch=self._epoch,
            state=self._state,
            reason=self._reason or vigil.missed,
            looks=vigil.looks,
            passed=tuple(sorted(vigil.passed.items())),
            best_edge=None if edge is None else decimal(edge).quantize(_EDGE),
            gate=why_not_fire(self._legs, self._ports, now_ns),
        )

    async def run(self) -> RunReport:
        """Run to the end. Raises Unavailable when it is not known how the set stands."""
        try:
            async with asyncio.TaskGroup() as tasks:
                background = [tasks.create_task(job) for job in self._jobs()]
                try:
                    ended: RunReport | Unavailable = await self._life()
                except Unavailable as error:
                    ended = error
                finally:
                    for job in background:
                        job.cancel()
        finally:
            await asyncio.shield(self._ports.writer.flush(_FLUSH_S))
        if isinstance(ended, Unavailable):
            raise ended
        return ended

    # --- its life ----------------------------------------------------------------------------

    async def _life(self) -> RunReport:
        await self._ready()
        self._state = "discharging"
        first = await self._discharging.work_off()
        end = _end_of(first)
        if end is None and not (first.found or not self._order.watch):
            self._hold(first)
            return await self._watch(first)
        return await self._report(end or RunEnd.BALANCED, first)

    async def _watch(self, before: Discharged) -> RunReport:
        self._state, self._reason = "watching", ""
        window_ns = int(self._order.window_s * NS_PER_S)
        watched = await self._vigil.until(self._ports.clock.monotonic_ns() + window_ns)
        if isinstance(watched, Fired):
            return await finished(self._traded(watched))
        if watched is Turn.WINDOW:
            return await self._report(RunEnd.WINDOW, before)
        if watched is Turn.LEASE:
            return await self._report(RunEnd.BLOCKED, replace(before, reason=LEASE_LOST))
        self._state = "discharging"
        after = await finished(self._discharging.work_off())
        return await self._report(_end_of(after) or RunEnd.BALANCED, after)

    async def _traded(self, fired: Fired) -> RunReport:
        """Hear what became of a trade, and work off what it left owed."""
        self._state, self._reason = "trading", fired.record.key.text
        async with kept(fired.shot.claim, self._ports):
            answers = await heard(fired, self._ports)
            self._state = "discharging"
            after = await self._discharging.work_off(Effort.after(fired.record, answers))
        report = await self._report(_end_of(after) or RunEnd.TRADED, after)
        return replace(report, trade=_trade(fired, answers))

    async def _report(self, end: RunEnd, now: Discharged) -> RunReport:
        self._state, self._reason = "leaving", now.reason
        with suppress(Unavailable):  # what was read before is told again
            self._money = await self._ports.trades.totals(self._order.name)
        return RunReport(
            end=end,
            reason=now.reason,
            epoch=self._epoch,
            standing=now.standing,
            locked=self._money.locked,
            payout=self._money.payout,
            look=self.look,
            waived=self._discharging.waived,
        )

    def _hold(self, now: Discharged) -> None:
        """Complete sets that are held may be sold early, where every leg really has them."""
        complete = now.standing.complete
        if not self._holds or not complete:
            return
        lots = [leg.instrument.lots(complete) for leg in self._legs]
        if all(leg.position >= some for leg, some in zip(self._legs, lots, strict=True)):
            self._sight.hold(lots)

    async def _ready(self) -> None:
        """Wait a moment until books and permits are known; what stays unknown counts as no."""
        for _ in range(int(_READY_S / _READY_LOOK_S)):
            if all(_known(leg) for leg in self._legs):
                return
            await asyncio.sleep(_READY_LOOK_S)

    # --- what goes on meanwhile --------------------------------------------------------------

    def _jobs(self) -> Sequence["asyncio._CoroutineLike[None]"]:
        jobs: list[asyncio._CoroutineLike[None]] = []
        for leg, watch in zip(self._legs, self._watches, strict=True):
            hear = partial(self._vigil.hear_account, leg)
            jobs += [
                self._leased(leg, watch),
                watch.board(),
                watch.board_changes(),
                watch.gates(),
                watch.clock(),
                watch.ledger(),
                leg.venue.account.run(leg.instrument, hear),
            ]
            if leg.instrument.active:
                see = partial(self._vigil.hear_feed, leg)
                jobs.append(leg.venue.feed.run(leg.instrument, see))
        return jobs

    async def _leased(self, leg: LiveLeg, watch: Watch) -> None:
        """Keep the lease; it ends only when it is certainly not ours."""
        await watch.lease()
        leg.dispossessed = True
        self._vigil.wake()

    def _watch_of(self, market: LegMarket) -> Watch:
        order = self._order
        return Watch(
            market=market.market,
            epoch=market.epoch,
            owner=order.owner,
            lease_ttl_ms=order.lease_ttl_ms,
            permit=market.permit,
            ports=LegPorts.of(market, self._ports),
            may_hold=lambda: True,
            may_renew=lambda: True,
            wake=self._vigil.wake,
        )


def _known(leg: LiveLeg) -> bool:
    permit = leg.permit
    told = bool(permit.lease_until_ns and permit.board_until_ns) and leg.heard
    return told and permit.clock_offset_ms is not None


def _end_of(now: Discharged) -> RunEnd | None:
    """Why the run must end now; None when it may go on."""
    if now.settled:
        return RunEnd.SETTLED
    if now.blocked:
        return RunEnd.BLOCKED
    return RunEnd.OWED if now.standing.owes else None


def _trade(fired: Fired, answers: Sequence[Answer]) -> TradeReport:
    chance, record = fired.shot.chance, fired.record
    return TradeReport(
        key=record.key,
        aim=chance.aim.value,
        units=record.units,
        edge_expected=record.edge_expected,
        outcome=words(answers),
        fired_at_ms=record.fired_at_ms,
        sent_us=fired.sent_ns // _NS_PER_US,
    )
