"""What a flatten's workflow may ask the world: take over, send one order, tell, look a last time.

Every one may run twice. None of them asks for kills: leaving a position is allowed under any.
"""

import asyncio
from dataclasses import replace

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.beating import beat, beating
from activities.deciding import keep_decision
from activities.failures import as_application_errors
from activities.flatten_messages import (
    FlattenEnd,
    FlattenEndInput,
    FlattenOpening,
    FlattenSliceInput,
    FlattenWord,
)
from activities.listing import listed
from activities.market import MarketActivities
from activities.messages import StandDownInput, TakeOverInput
from activities.ports import ActivityPorts
from desk.identity import MarketId
from quoting.clearing import clear
from quoting.exit import FlattenSliceReport, exit_slice

_CLEAR_S = 60.0
_END_LEASE_MS = 90_000


class FlattenActivities:
    """Activities of one worker; ports are shared by all flattens of the process."""

    def __init__(self, ports: ActivityPorts) -> None:
        self._ports = ports
        self._markets = MarketActivities(ports)

    @activity.defn
    async def flatten_take_over(self, request: TakeOverInput) -> FlattenOpening:
        """Cancel everything, take the lease under a new epoch, list zero twice, and look."""
        with as_application_errors():
            taken = await self._markets.take_over(request)
            venue, instrument = await listed(self._ports.venues, request.market)
            await self._ports.ledger.remember_instrument(instrument)
            position = (await venue.account.position(instrument)).lots
        return FlattenOpening(epoch=taken.epoch, position=position)

    @activity.defn
    async def flatten_slice(self, request: FlattenSliceInput) -> FlattenSliceReport:
        """Send one order, if the market is ours, and say what the venue's position became.

        Fails for good as LeaseLost when it is not: then it has to be taken over anew.
        """
        step = request.step
        with as_application_errors():
            async with beating():
                await self._hold(request)
                venue, instrument = await listed(self._ports.venues, step.market)
                if activity.info().attempt > 1:
                    step = replace(step, repeated=True)
                return await exit_slice(
                    step,
                    instrument,
                    venue,
                    self._ports.writer,
                    self._ports.clock,
                    lambda: self._hold(request),
                )

    @activity.defn
    async def flatten_tell(self, word: FlattenWord) -> None:
        """Keep it as a control decision, and tell a person when it is an alarm."""
        with as_application_errors():
            await keep_decision(self._ports, word, word.severity)

    @activity.defn
    async def flatten_end(self, request: FlattenEndInput) -> FlattenEnd:
        """See that nothing rests and the position is zero twice; compare the books; let go.

        Where lots are left, and nobody abandoned it, nothing is let go. Fails for good as LeaseLost
        when the market is not ours; when it was abandoned, its orders are taken away all the same.
        """
        with as_application_errors():
            venue, instrument = await listed(self._ports.venues, request.market)
            ours = await self._ports.lease.renew(
                request.market, request.epoch, request.owner, _END_LEASE_MS
            )
            if not (ours or request.abandoned):
                raise _lease_lost(request.market, request.epoch)
            cleared = await clear(
                venue, instrument, self._ports.clock, give_up_s=_CLEAR_S, beat=beat
            )
            if not cleared.verified:
                raise ApplicationError(f"orders not cleared: {cleared.message}", type="NotCleared")
            for _ in range(2):
                position = (await venue.account.position(instrument)).lots
                if position and not request.abandoned:
                    return FlattenEnd(position=position)
                await asyncio.sleep(venue.capabilities.settling_ms / 1_000)
            if not ours:
                return FlattenEnd(position=position)
            look = await self._markets.stand_down(
                StandDownInput(
                    market=request.market,
                    epoch=request.epoch,
                    owner=request.owner,
                    life_epoch=0,
                    reason=request.reason,
                )
            )
        return FlattenEnd(position=look.venue_position, look=look)

    async def _hold(self, request: FlattenSliceInput) -> None:
        step = request.step
        if not await self._ports.lease.renew(
            step.market, step.epoch, request.owner, request.lease_ttl_ms
        ):
            raise _lease_lost(step.market, step.epoch)


def _lease_lost(market: MarketId, epoch: int) -> ApplicationError:
    return ApplicationError(
        f"{market.path} is no longer held under epoch {epoch}", type="LeaseLost", non_retryable=True
    )
