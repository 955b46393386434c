"""What a hedge's workflow may ask the world: open, watch, send one order, release, leave.

Every one may run twice: the obligation is opened once, and an order's id comes from its step.
"""

import asyncio

from temporalio import activity

from activities.beating import beat, beating
from activities.failures import as_application_errors
from activities.hedge_messages import (
    HedgeLook,
    HedgeSliceInput,
    LeaveHedgeInput,
    OpenHedgeInput,
    OpenHedgeReport,
    ReleaseHedgeInput,
    WatchHedgeInput,
)
from activities.hedge_watch import HedgeWatch, cannot_hedge, why_killed, why_not_ours
from activities.held_by_set import why_a_sets
from activities.listing import traded
from activities.ports import ActivityPorts
from activities.recovery import next_epoch
from desk.errors import ConfigurationFault
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.ports import Venue
from desk.records import ControlDecision
from desk.units import NS_PER_MS, Lots
from quoting.hedge import HedgeSliceReport, HedgeStep, hedge_slice, read_books
from quoting.opening import open_books
from quoting.permission import why_too_many_unrecorded

_LEASE_LOOK_S = 0.2
_PATIENCE_S = 2.0


class HedgeActivities:
    """Activities of one worker; ports are shared by all hedges of the process."""

    def __init__(self, ports: ActivityPorts) -> None:
        self._ports = ports

    @activity.defn
    async def open_hedge(self, request: OpenHedgeInput) -> OpenHedgeReport:
        """Check the plan, take the hedge market if nobody has it, and bring its books up to date.

        What rests there is cancelled only once the lease is ours.
        """
        plan = request.plan
        with as_application_errors():
            venue, instrument = await self._market(plan.hedge)
            await self._market(plan.source)
            if not venue.capabilities.ids_refused_for_good:
                raise ConfigurationFault(cannot_hedge(plan.hedge))
            if problems := _problems(request, instrument):
                raise ConfigurationFault("; ".join(problems))
            if why := await why_a_sets(self._ports, plan.hedge):
                raise ConfigurationFault(f"hedge_symbol: {why}")
            epoch = await next_epoch(self._ports, plan.hedge, plan.owner, request.run_id)
            await self._claim(request, epoch)
            try:
                await self._owes_nobody_else(request)
                await open_books(
                    plan.hedge,
                    instrument,
                    venue,
                    self._ports.ledger,
                    self._ports.clock,
                    life_epoch=epoch,
                    beat=beat,
                )
            except BaseException:
                await self._ports.lease.release(plan.hedge, epoch, plan.owner)
                raise
        return OpenHedgeReport(epoch=epoch)

    @activity.defn
    async def watch_hedge(self, request: WatchHedgeInput) -> HedgeLook:
        """Keep the lease and weigh inventory against hedge until there is something to tell.

        An obligation that arises is in the ledger before this returns an order to send.
        """
        with as_application_errors():
            watch = HedgeWatch(self._ports, request)
            async with beating(lambda: watch.look):
                return await watch.run()

    @activity.defn
    async def send_hedge_slice(self, request: HedgeSliceInput) -> HedgeSliceReport:
        """Send one order, if the lease is ours and no kill forbids it, and book what it did.

        Both are asked again when the books have been read, right before it goes out.
        """
        with as_application_errors():
            async with beating():
                found = await traded(self._ports.venues, request.plan.hedge)
                if found is None:
                    return _unsent(request, request.position, "not sent: not traded now")
                if activity.info().attempt > 1:
                    # What an attempt that died has sent must have had time to show.
                    await asyncio.sleep(found[0].capabilities.settling_ms / 1000)
                return await self._slice(request, *found)

    @activity.defn
    async def release_hedge(self, request: ReleaseHedgeInput) -> bool:
        """Close an obligation by a named decision; False when it was not open any more."""
        with as_application_errors():
            released = await self._ports.hedges.release(
                request.obligation, request.by, request.reason
            )
            await self._ports.ledger.record_decision(
                ControlDecision(
                    market=request.plan.source,
                    epoch=request.epoch,
                    kind="hedge released" if released else "hedge release came too late",
                    reason=request.reason,
                    by=request.by,
                    evidence=f"obligation {request.obligation} at {request.plan.hedge.path}",
                    at_ms=self._ports.clock.wall_ns() // NS_PER_MS,
                )
            )
        return released

    @activity.defn
    async def leave_hedge(self, request: LeaveHedgeInput) -> None:
        """Give the hedge market back; what is owed stays recorded as owed."""
        with as_application_errors():
            plan = request.plan
            await self._ports.lease.release(plan.hedge, request.epoch, plan.owner)

    async def _slice(
        self, request: HedgeSliceInput, venue: Venue, instrument: Instrument
    ) -> HedgeSliceReport:
        plan, ports = request.plan, self._ports
        if why := await self._why_not(request):
            books = await read_books(plan.hedge, instrument, venue, ports.ledger, ports.clock)
            return _unsent(request, books.position, f"not sent: {why}")
        step = HedgeStep(
            market=plan.hedge,
            epoch=request.id_epoch or request.epoch,
            step=request.step,
            position=request.position,
            lots=request.lots,
            reduce_only=request.reduce_only,
            max_slippage_bps=plan.max_slippage_bps,
            limits=plan.limits,
        )
        return await hedge_slice(
            step,
            instrument,
            venue,
            ports.ledger,
            ports.writer,
            ports.clock,
            may_send=lambda: self._why_not(request),
        )

    async def _why_not(self, request: HedgeSliceInput) -> str:
        """Why the order may not go out; empty when it may. What is not known counts as no."""
        plan, ports = request.plan, self._ports
        if why := await why_not_ours(ports, plan, request.epoch):
            return why
        if request.reduce_only:
            return ""
        most = ports.max_unrecorded_intents
        if why := why_too_many_unrecorded(ports.writer, plan.hedge, most):
            return why
        return await why_killed(ports, plan)

    async def _owes_nobody_else(self, request: OpenHedgeInput) -> None:
        plan = request.plan
        owed = await self._ports.hedges.open_for(plan.hedge)
        if owed is not None and owed.source != plan.source:
            raise ConfigurationFault(
                f"hedge: {plan.hedge.path} still owes {owed.owed} lots for {owed.source.path}; "
                "start that hedge again and let it finish, or release it"
            )

    async def _claim(self, request: OpenHedgeInput, epoch: int) -> None:
        """Take the lease. ConfigurationFault when somebody holds it and goes on renewing it."""
        plan = request.plan
        retried = activity.info().attempt > 1  # the holder may be our own attempt that died
        patience_s = plan.lease_ttl_ms / 1000 + 1 if retried else _PATIENCE_S
        for _ in range(int(patience_s / _LEASE_LOOK_S)):
            if await self._ports.lease.acquire(plan.hedge, epoch, plan.owner, plan.lease_ttl_ms):
                return
            beat()
            await asyncio.sleep(_LEASE_LOOK_S)
        raise ConfigurationFault(
            f"hedge: {plan.hedge.path} is held by somebody else, who quotes, hedges or trades a "
            "set there; stop that first, or hedge on another market"
        )

    async def _market(self, market: MarketId) -> tuple[Venue, Instrument]:
        found = await traded(self._ports.venues, market)
        if found is None:
            raise ConfigurationFault(
                f"symbol: {market.venue} has no market {market.symbol} that is traded now"
            )
        return found


def _problems(request: OpenHedgeInput, instrument: Instrument) -> list[str]:
    plan = request.plan
    found = list(plan.rule.problems()) + list(plan.limits.problems())
    if plan.slice_notional < instrument.min_notional:
        found.append(
            f"slice_notional: {plan.slice_notional} is below the hedge market's minimum of "
            f"{instrument.min_notional}; raise it"
        )
    return found


def _unsent(request: HedgeSliceInput, position: Lots, outcome: str) -> HedgeSliceReport:
    """Its id is kept, whatever moved the position: an attempt that died may have sent it."""
    return HedgeSliceReport(
        step=request.step,
        position_before=request.position,
        position_after=position,
        sent_lots=0,
        outcome=outcome,
        spent=False,
    )
