"""Weighs a market's inventory against its hedge, again and again, while the lease is held.

The one rule: an order is asked for only when ledger and venue agree on the hedge market, and only
after the obligation it serves is in the ledger.
"""

import asyncio
from dataclasses import replace

from activities.hedge_messages import HedgeLook, HedgePlan, WatchHedgeInput
from activities.listing import traded
from activities.ports import ActivityPorts
from activities.recovery import next_epoch
from desk.errors import Unavailable, VenueError
from desk.hedging import HedgeNeed, HedgePart, HedgeState, TooSmall, next_part, weigh
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.ports import Venue
from desk.records import HedgeObligation, KillEffect
from desk.units import NS_PER_S, Lots, Side
from quoting.hedge import read_books
from quoting.permission import standing_kills
from quoting.taking import read_book, taking_price

_BLOCKED_S = 4


class HedgeWatch:
    """One watch; `look` is what was seen last."""

    def __init__(self, ports: ActivityPorts, request: WatchHedgeInput) -> None:
        self._ports = ports
        self._request = request
        self._plan = request.plan
        self._traded: tuple[Venue, Instrument] | None = None
        self.look = HedgeLook(
            state=request.state,
            reason="looking",
            epoch=request.epoch,
            waived=request.waived,
            receipt=request.receipt,
        )

    async def run(self) -> HedgeLook:
        """Look until there is something to tell. Raises what the ports raise."""
        clock, request = self._ports.clock, self._request
        began_ns, thorough = clock.monotonic_ns(), True
        while True:
            self.look = await self._weigh(thorough=thorough)
            passed_s = (clock.monotonic_ns() - began_ns) / NS_PER_S
            if self._worth_telling() or passed_s >= request.window_s:
                return self.look
            if self.look.part_lots and passed_s >= request.rest_s:
                return self.look
            blocked = self.look.state is HedgeState.BLOCKED
            thorough = blocked
            await asyncio.sleep(
                max(self._plan.check_every_s, _BLOCKED_S) if blocked else self._plan.check_every_s
            )

    def _worth_telling(self) -> bool:
        # A waiver that shrank must be kept by the caller: with the old one it would grow again.
        look, known = self.look, self._request
        seen = (look.state, look.obligation, look.epoch, look.waived, look.receipt)
        return seen != (
            known.state,
            known.obligation,
            known.epoch,
            known.waived,
            known.receipt,
        )

    async def _weigh(self, *, thorough: bool) -> HedgeLook:
        """One look; `thorough` asks the venue even when the ledger says that nothing is owed."""
        hedges, plan = self._ports.hedges, self._plan
        owed = await hedges.open_for(plan.hedge)
        look = replace(
            self.look,
            part_lots=0,
            reduce_only=False,
            obligation=owed.number if owed else None,
            opened_at_ms=owed.opened_at_ms if owed else None,
            owed=owed.owed if owed else 0,
            source=await hedges.quantity(plan.source),
        )
        epoch = await self._hold(look.epoch)
        if epoch is None:
            return _blocked(look, f"the lease of {plan.hedge.path} is held by somebody else")
        look = replace(look, epoch=epoch)
        try:
            return await self._compare(look, owed, thorough=thorough)
        except VenueError as error:
            return _blocked(look, f"{plan.hedge.venue}: {error}")

    async def _compare(
        self, look: HedgeLook, owed: HedgeObligation | None, *, thorough: bool
    ) -> HedgeLook:
        plan, ports = self._plan, self._ports
        self._traded = self._traded or await traded(ports.venues, plan.hedge)
        if self._traded is None:
            return _blocked(look, f"{plan.hedge.path} is not traded now")
        venue, instrument = self._traded
        if not venue.capabilities.ids_refused_for_good:
            return _blocked(look, cannot_hedge(plan.hedge))
        position = (await ports.ledger.facts(plan.hedge, 0)).position
        need = self._need(look, position, owed, instrument)
        if not (thorough or owed or need.owed or look.receipt):
            return _idle(look, position, need)
        books = await read_books(plan.hedge, instrument, venue, ports.ledger, ports.clock)
        if books.difference:
            look = replace(look, position=books.position)
            return _blocked(look, f"books out of step: {books.difference}")
        receipt = look.receipt
        if receipt is not None and not receipt.shown_at(books.position):
            look = replace(look, position=books.position)
            return _blocked(look, receipt.sentence(books.position))
        look = replace(look, receipt=None)
        need = self._need(look, books.position, owed, instrument)
        if need.owed:
            return await self._owing(look, books.position, need, owed)
        if owed is not None:
            return await self._settled(look, books.position, need, owed)
        return _idle(look, books.position, need)

    async def _owing(
        self, look: HedgeLook, position: Lots, need: HedgeNeed, owed: HedgeObligation | None
    ) -> HedgeLook:
        plan, hedges = self._plan, self._ports.hedges
        part = await self._part(position, need.owed)
        if owed is None and isinstance(part, TooSmall):
            return _idle(look, position, need, part.sentence)
        if owed is None:
            owed = await hedges.owe(plan.source, plan.hedge, look.epoch, need.owed, position)
        else:
            await hedges.progress(owed.number, need.owed, position)
        look = replace(
            look,
            state=HedgeState.OWING,
            reason=need.reason,
            position=position,
            target=need.target,
            owed=need.owed,
            waived=need.waived,
            obligation=owed.number,
            opened_at_ms=owed.opened_at_ms,
        )
        if isinstance(part, TooSmall):
            return replace(look, reason=f"{need.reason}: {part.sentence}")
        if not part.reduce_only and (why := await why_killed(self._ports, plan)):
            return _blocked(look, why)
        return replace(look, part_lots=part.lots, reduce_only=part.reduce_only)

    async def _part(self, position: Lots, owed: Lots) -> HedgePart | TooSmall:
        assert self._traded is not None  # noqa: S101 - _compare has found it
        venue, instrument = self._traded
        book = await read_book(venue, instrument)
        side = Side.BUY if owed > 0 else Side.SELL
        return next_part(
            instrument,
            position=position,
            owed=owed,
            price=taking_price(instrument, book, side, self._plan.max_slippage_bps),
            slice_notional=self._plan.slice_notional,
        )

    async def _settled(
        self, look: HedgeLook, position: Lots, need: HedgeNeed, owed: HedgeObligation
    ) -> HedgeLook:
        """Nothing is left: close the obligation, if the ledger still says so as it is closed."""
        assert self._traded is not None  # noqa: S101 - _compare has found it
        quantity = self._traded[1].quantity(position)
        done = await self._ports.hedges.discharge(owed.number, look.source, quantity, need.reason)
        look = _idle(look, position, need)
        if done:
            return replace(look, obligation=None, opened_at_ms=None)
        return replace(look, state=HedgeState.OWING, reason="the ledger moved while it was weighed")

    def _need(
        self,
        look: HedgeLook,
        position: Lots,
        owed: HedgeObligation | None,
        instrument: Instrument,
    ) -> HedgeNeed:
        return weigh(
            self._plan.rule,
            instrument,
            look.source,
            position,
            owing=owed is not None,
            waived=look.waived,
        )

    async def _hold(self, epoch: int) -> int | None:
        """Renew the lease, or take it anew under a higher epoch; None when it is somebody's."""
        plan, lease = self._plan, self._ports.lease
        if await lease.renew(plan.hedge, epoch, plan.owner, plan.lease_ttl_ms):
            return epoch
        higher = await next_epoch(self._ports, plan.hedge, plan.owner, self._request.run_id)
        if await lease.acquire(plan.hedge, higher, plan.owner, plan.lease_ttl_ms):
            return higher
        return None


def cannot_hedge(market: MarketId) -> str:
    """Why nothing is hedged at a venue that takes a client order id a second time."""
    return (
        f"hedge_venue: {market.venue} refuses a client order id only while its order is open, so "
        "an order with a lost answer could fill twice; hedge at another venue"
    )


async def why_not_ours(ports: ActivityPorts, plan: HedgePlan, epoch: int) -> str:
    """Renew the lease; why nothing may be sent under this epoch, empty when it is still ours."""
    try:
        ours = await ports.lease.renew(plan.hedge, epoch, plan.owner, plan.lease_ttl_ms)
    except Unavailable as error:
        return f"the lease cannot be renewed: {error}"
    return "" if ours else "the lease is not ours any more"


async def why_killed(ports: ActivityPorts, plan: HedgePlan) -> str:
    """Why nothing may be sent that adds to the hedge market's position; empty when it may.

    A kill on either market counts, a break's hold only on the hedge market. What cannot be read
    counts as a kill.
    """
    if ports.kill_file.present():
        return "the KILL file is present; only what reduces the hedge market's position is sent"
    for market in (plan.source, plan.hedge):
        try:
            kills = await standing_kills(ports.board, ports.ledger, market)
        except Unavailable as error:
            return f"the kill board cannot be read: {error}"
        if market == plan.source:
            # A hold waits for the books of what is hedged; what is held there is hedged meanwhile.
            kills = [kill for kill in kills if kill.effect is not KillEffect.HOLD]
        if kills:
            return f"killed at scope {kills[0].scope} by {kills[0].by}: {kills[0].reason}"
    return ""


def _idle(look: HedgeLook, position: Lots, need: HedgeNeed, also: str = "") -> HedgeLook:
    return replace(
        look,
        state=HedgeState.WATCHING,
        reason=f"{need.reason}: {also}" if also else need.reason,
        position=position,
        target=need.target,
        owed=need.owed,
        waived=need.waived,
    )


def _blocked(look: HedgeLook, reason: str) -> HedgeLook:
    return replace(look, state=HedgeState.BLOCKED, reason=reason)
