"""One look at one account: orders first, then exposure.

The one rule: an order is cancelled by its own id, and only while its market has no owner; a market
that starts meanwhile has other ids, and is not harmed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from temporalio import activity
from temporalio.service import RPCError, RPCStatusCode

from activities.guardian_messages import LookInput, LookReport
from activities.ports import ActivityPorts
from desk.errors import Unavailable, VenueError
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import VenueOrder
from desk.ownership import (
    BookedExposure,
    Finding,
    FindingKind,
    Ownership,
    Resting,
    all_foreign,
    judge,
    sort_orders,
)
from desk.ports import Venue
from desk.records import ControlDecision
from desk.units import NS_PER_MS
from quoting.journal import record_found

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0
_ASK = timedelta(seconds=5)
_NEVER_QUOTED = (
    "orders here have ids as we make them, but this deployment never quoted the account: they are "
    "left to whoever does; "
)


class Look:
    """What is known while one look lasts."""

    def __init__(self, ports: ActivityPorts, request: LookInput, venue: Venue) -> None:
        self._ports = ports
        self._request = request
        self._venue = venue
        self._instruments: Mapping[str, Instrument] = {}
        self._cleared = 0

    async def run(self) -> LookReport:
        """Look, and take away what nobody owns. Raises VenueError, and Unavailable for Temporal.

        A ledger that is away only means that exposure is not judged, a Redis that is away that
        leases say nothing.
        """
        resting, trouble = await self._resting(None), ""
        if any(seen.ours for seen in resting.values()) and await self._never_quoted():
            # Another deployment with the same keys would make the same ids.
            resting, trouble = all_foreign(resting), _NEVER_QUOTED
        self._instruments = {one.symbol: one for one in await self._venue.instruments()}
        owners = await self._owners([market for market, seen in resting.items() if seen.ours])
        async with asyncio.TaskGroup() as tasks:
            judged = [
                tasks.create_task(self._orders(owners.get(market, Ownership(market=market)), seen))
                for market, seen in resting.items()
            ]
        found = [finding for one in judged for finding in one.result()]
        owned = {market for market, owner in owners.items() if owner.owned}
        kinds = set(FindingKind)
        try:
            exposed, held = await self._exposure()
            found += exposed
            owned |= held
        except Unavailable as away:
            kinds.discard(FindingKind.EXPOSURE)
            trouble = f"{trouble}exposure was not judged: {away}"
        return LookReport(
            at_ms=self._now_ms(),
            ours=sum(len(seen.ours) for seen in resting.values()),
            foreign=sum(seen.foreign for seen in resting.values()),
            owned=len(owned),
            cleared=self._cleared,
            findings=tuple(found),
            judged=tuple(sorted(kinds)),
            trouble=trouble,
        )

    # --- orders ------------------------------------------------------------------------------

    async def _never_quoted(self) -> bool:
        """Whether the ledger is sure that nothing of this account was ever ours."""
        with suppress(Unavailable):
            request = self._request
            return not await self._ports.ownership.quoted(request.venue, request.account)
        return False

    async def _orders(self, owner: Ownership, seen: Resting) -> list[Finding]:
        """Judge the orders of one market and take away what nobody owns."""
        known = replace(owner, ours=len(seen.ours), foreign=seen.foreign)
        return [await self._answered(finding) for finding in judge(known, self._now_ms())]

    async def _answered(self, finding: Finding) -> Finding:
        market = finding.market
        overdue = finding.kind is FindingKind.LAGGARD and market in self._request.overdue
        if market is None or not (overdue or finding.kind is FindingKind.ORDERS):
            return finding
        done = await self._take_away(market, finding.kind)
        self._ports.writer.record(
            ControlDecision(
                market=market,
                epoch=None,
                kind="guardian cancelled",
                reason=finding.text,
                by="guardian",
                evidence=done,
                at_ms=self._now_ms(),
            )
        )
        return replace(finding, text=f"{finding.text}: {done}")

    async def _take_away(self, market: MarketId, kind: FindingKind) -> str:
        """Cancel by id until the venue lists none of ours twice; what came of it, in words."""
        instrument = self._instruments.get(market.symbol)
        if instrument is None:
            return f"the venue lists no market {market.symbol}; cancel them there by hand"
        clock, wait_s, gone = self._ports.clock, _FIRST_WAIT_S, dict[str, VenueOrder]()
        deadline_ns = clock.monotonic_ns() + int(self._request.clear_s * 1e9)
        while True:
            try:
                listed = await self._listed(market, instrument)
                # Asked after the listing: what an owner placed before the answer is not ours.
                if not _may_cancel(kind, await self._owner(market)):
                    return "somebody owns the market by now; nothing more was cancelled"
                if not listed:
                    self._cleared += len(gone)
                    how = f"cancelled by the guardian: {kind.value}"
                    record_found(self._ports.writer, clock, market, gone.values(), how)
                    return f"{len(gone)} cancelled, and the venue listed none of ours twice"
                for order in listed:
                    await self._venue.execution.cancel(instrument, str(order.client_order_id))
                    gone[str(order.client_order_id)] = order
                trouble = f"{len(listed)} were listed last"
            except (VenueError, Unavailable) as error:
                trouble = str(error) or type(error).__name__
            if clock.monotonic_ns() + int(wait_s * 1e9) >= deadline_ns:
                return f"they could not be verified gone yet ({trouble}); tried again at once"
            await asyncio.sleep(wait_s)
            wait_s = min(_LONGEST_WAIT_S, wait_s * 2)

    async def _listed(self, market: MarketId, instrument: Instrument) -> Sequence[VenueOrder]:
        """Ours in one market; none is only said after a second look, when things have settled."""
        ours = (await self._resting(instrument)).get(market, Resting()).ours
        if ours:
            return ours
        await asyncio.sleep(self._venue.capabilities.settling_ms / 1000)
        return (await self._resting(instrument)).get(market, Resting()).ours

    async def _resting(self, instrument: Instrument | None) -> Mapping[MarketId, Resting]:
        listed = await self._venue.account.open_orders(instrument)
        return sort_orders(self._request.venue, self._request.account, listed)

    # --- exposure ----------------------------------------------------------------------------

    async def _exposure(self) -> tuple[list[Finding], set[MarketId]]:
        """Positions that nobody owns and nobody left on purpose; and markets with an owner."""
        booked = await self._booked(await self._venue.account.held())
        others = {one.market: self._other(one) for one in booked}
        owners = await self._owners([one.market for one in booked], others)
        owned = {market for market, owner in owners.items() if owner.owned}
        lone = [one.market for one in booked if one.market not in owned]
        if not lone:
            return [], owned
        # Read after ownership: what an owner did just before it ended is in these.
        found: list[Finding] = []
        for one in await self._booked([market.symbol for market in lone]):
            if one.market in lone:
                found += await self._exposed(one)
        return found, owned

    async def _exposed(self, booked: BookedExposure) -> tuple[Finding, ...]:
        market = booked.market
        instrument = self._instruments.get(market.symbol)
        if instrument is None:
            return ()
        lots = (await self._venue.account.position(instrument)).lots
        seen = Ownership(market=market, held=instrument.quantity(lots), booked=booked)
        found = judge(seen, self._now_ms())
        if found and (await self._owner(market, self._other(booked))).owned:
            return ()
        return found

    async def _booked(self, symbols: Sequence[str]) -> Sequence[BookedExposure]:
        request = self._request
        return await self._ports.ownership.exposures(request.venue, request.account, symbols)

    # --- owners ------------------------------------------------------------------------------

    def _other(self, booked: BookedExposure) -> str:
        """Id of the workflow that may own a market and is not called by its path, "" for none."""
        if booked.hedges is not None:
            return f"{self._request.hedge}{booked.hedges.path}"
        return booked.arbitrage

    async def _owner(self, market: MarketId, other: str = "") -> Ownership:
        return (await self._owners([market], {market: other}))[market]

    async def _owners(
        self, markets: Sequence[MarketId], others: Mapping[MarketId, str] | None = None
    ) -> Mapping[MarketId, Ownership]:
        """Who holds each market: a lease, or else a running workflow."""
        try:
            leases: Mapping[MarketId, str] | None = await self._ports.holders.holders(markets)
        except Unavailable:
            leases = None

        found = {}
        for market in markets:
            lease = None if leases is None else leases.get(market, "")
            workflow = "" if lease else await self._workflow(market, (others or {}).get(market, ""))
            found[market] = Ownership(market=market, lease=lease, workflow=workflow)
        return found

    async def _workflow(self, market: MarketId, other: str) -> str:
        """Id of the running workflow that owns a market, "" when there is none."""
        candidates = [f"{beginning}{market.path}" for beginning in self._request.owners]
        candidates += (other, self._request.drill)
        for candidate in candidates:
            if candidate and await self._runs(candidate):
                return candidate
        return ""

    async def _runs(self, workflow_id: str) -> bool:
        """Whether it is open. Asked by id: lists of workflows lag behind."""
        try:
            handle = activity.client().get_workflow_handle(workflow_id)
            return (await handle.describe(rpc_timeout=_ASK)).close_time is None
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise Unavailable(f"temporal: {workflow_id}: {error}") from None

    def _now_ms(self) -> int:
        return self._ports.clock.wall_ns() // NS_PER_MS


def _may_cancel(kind: FindingKind, owner: Ownership) -> bool:
    """Whether orders found so may still be cancelled, given who owns them now."""
    return owner.lease == "" if kind is FindingKind.LAGGARD else not owner.owned
