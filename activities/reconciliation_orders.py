"""Orders of one account: what rests by our books against what the venue lists.

The one rule: nothing is freed or cancelled that two readings, further apart than the venue settles
and a session records, do not both show; orders of a living session, and orders whose ids are not
ours, are never touched.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final

from temporalio import activity
from temporalio.service import RPCError, RPCStatusCode

from activities.ports import ActivityPorts
from activities.reconciliation_messages import ReconcileInput
from activities.reconciliation_side import BreakDesk, Compared, named, orders_side
from desk.breaks import BreakKind
from desk.errors import Unavailable, VenueError
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.ownership import sort_orders
from desk.ports import Venue
from desk.reconciliation import (
    OrderKey,
    OrdersReading,
    by_symbol,
    living,
    orders_reading,
    overtaken,
    twice,
)
from desk.records import OrderEnded

NOT_AT_VENUE: Final = "not at the venue"
"""How an order ended that our books showed resting and the venue does not know."""
BY_ID: Final = "cancelled by reconciliation"
"""How an order ended that nobody answered for."""

_ASK = timedelta(seconds=5)
_FLUSH_S = 5.0
_ASKED_FOR_EACH = 10
_FREED = "freed after the venue was asked for it"
_CANCELLED = "cancelled by its id"


class OrdersLook:
    """One comparison of orders."""

    def __init__(self, ports: ActivityPorts, request: ReconcileInput, venue: Venue) -> None:
        self._ports = ports
        self._request = request
        self._venue = venue
        self._desk = BreakDesk(ports, request)
        self._instruments: Mapping[str, Instrument] = {}
        self._seen = Compared()

    async def run(self) -> Compared:
        """Compare, and do away with what the rules allow. Raises VenueError and Unavailable."""
        behind_s = self._ports.writer.behind_s()
        if behind_s * 1_000 > self._request.lag_ms:
            raise Unavailable(f"postgres: records of this process are {behind_s:.1f} s behind")
        first = await self._reading()
        ghosts: frozenset[OrderKey] = frozenset()
        away: frozenset[OrderKey] = frozenset()
        kept: frozenset[OrderKey] = frozenset()
        shown = first
        if await self._suspicious(first):
            await asyncio.sleep(self._apart_s)
            shown = await self._reading()
            both = twice(first, shown)
            ghosts = both.ghosts
            strays = overtaken(first.listed) & overtaken(shown.listed)
            lone = both.orphans | strays | await self._unowned(both.known)
            kept = await self._answered_for(lone)
            away = lone - kept
        self._show(shown, ghosts | away | kept)
        self._tell(
            BreakKind.ORPHAN, "rest unknown to our books, and are left to their session", kept
        )
        if ghosts or away:
            self._instruments = {one.symbol: one for one in await self._venue.instruments()}
            self._tell(BreakKind.GHOST, "rest by our books and not at the venue", ghosts)
            self._tell(BreakKind.ORPHAN, "of ours rest and nobody answers for them", away)
            await self._free(await self._confirmed(sorted(ghosts)[: self._request.most_freed]))
            await self._cancel(by_symbol(sorted(away)[: self._request.most_orders]))
        await self._over(BreakKind.GHOST, ghosts)
        await self._over(BreakKind.ORPHAN, away)
        return self._seen

    # --- reading -----------------------------------------------------------------------------

    @property
    def _apart_s(self) -> float:
        return (self._venue.capabilities.settling_ms + self._request.lag_ms) / 1_000

    async def _reading(self) -> OrdersReading:
        """The venue first, then our books: what is in them was sent before they were read."""
        request = self._request
        listed = await self._venue.account.open_orders(None)
        resting = sort_orders(request.venue, request.account, listed)
        books = await self._ports.reconciliations.books(request.venue, request.account)
        symbols = [market.symbol for market, seen in resting.items() if seen.ours]
        known = await self._ports.ownership.exposures(request.venue, request.account, symbols)
        ours = {one.market.symbol for one in known} | {order.symbol for order in books.orders}
        return orders_reading(resting, books.orders, ours)

    async def _suspicious(self, seen: OrdersReading) -> bool:
        """Whether a second reading is worth its request."""
        if seen.ghosts or seen.orphans or overtaken(seen.listed):
            return True
        return bool(await self._without_lease(seen.known))

    def _show(self, seen: OrdersReading, differing: Collection[OrderKey]) -> None:
        self._seen.ours |= orders_side(seen.booked, differing)
        self._seen.theirs |= orders_side(seen.listed, differing)
        self._seen.counts = (len(seen.booked), len(seen.listed))

    def _tell(self, kind: BreakKind, where: str, keys: Collection[OrderKey]) -> None:
        for symbol, ids in by_symbol(keys).items():
            self._seen.note(kind.value, symbol, f"{len(ids)} orders {where}: {named(ids)}")

    # --- owners ------------------------------------------------------------------------------

    async def _without_lease(self, keys: Collection[OrderKey]) -> tuple[MarketId, ...]:
        """Markets of these orders whose lease nobody holds; none while nobody can say."""
        request = self._request
        markets = [MarketId(request.venue, request.account, one) for one in by_symbol(keys)]
        try:
            held = await self._ports.holders.holders(markets)
        except Unavailable:
            return ()
        return tuple(market for market in markets if market not in held)

    async def _unowned(self, keys: Collection[OrderKey]) -> frozenset[OrderKey]:
        """Orders that both sides know, and that nobody answers for any more."""
        lone = set()
        for market in await self._without_lease(keys):
            if not await self._owned(market):
                lone.add(market.symbol)
        return frozenset(key for key in keys if key[0] in lone)

    async def _answered_for(self, keys: Collection[OrderKey]) -> frozenset[OrderKey]:
        """Orders of the epoch that holds its market's lease, whatever our books say of them.

        Its session knows them, though its records may be late; all of them while nobody can say.
        """
        request = self._request
        markets = [MarketId(request.venue, request.account, one) for one in by_symbol(keys)]
        try:
            held = await self._ports.holders.holders(markets)
            epochs = {one.symbol: await self._ports.lease.fence(one) for one in held}
        except Unavailable:
            return frozenset(keys)
        return living(keys, epochs)

    async def _owned(self, market: MarketId) -> bool:
        candidates = [f"{beginning}{market.path}" for beginning in self._request.owners]
        for candidate in (*candidates, self._request.drill):
            if candidate and await _runs(candidate):
                return True
        return False

    # --- what the rules allow ----------------------------------------------------------------

    async def _confirmed(self, ghosts: Sequence[OrderKey]) -> Mapping[str, Sequence[str]]:
        """Ghosts that the venue, asked once more, still does not know.

        A few are asked for one by one, many by one more listing.
        """
        if len(ghosts) > _ASKED_FOR_EACH:
            there = (await self._reading()).listed
            return by_symbol(one for one in ghosts if one not in there)
        return by_symbol([one for one in ghosts if not await self._at(*one)])

    async def _free(self, ghosts: Mapping[str, Sequence[str]]) -> None:
        """What the venue does not know rests no more by our books."""
        for symbol, gone in ghosts.items():
            self._desk.record(symbol, "reconciliation freed", _FREED, named(gone))
            await self._end(symbol, gone, NOT_AT_VENUE)
            await self._desk.settled(
                self._desk.found(
                    BreakKind.GHOST,
                    symbol,
                    f"{len(gone)} orders rest by our books and not at the venue: {named(gone)}",
                    ours={"resting": list(gone)},
                    theirs={"resting": []},
                ),
                "ghost",
                _FREED,
            )

    async def _cancel(self, away: Mapping[str, Sequence[str]]) -> None:
        """Cancel by id, look again, and record; what does not go is a break that stays open."""
        if away and self._request.drill and await _runs(self._request.drill):
            self._seen.trouble = f"{self._request.drill} runs: its orders are left to it"
            return
        for symbol, ids in away.items():
            self._desk.record(symbol, "reconciliation cancels", _CANCELLED, named(ids))
            await self._cancel_each(symbol, ids)
        if not away:
            return
        await asyncio.sleep(self._venue.capabilities.settling_ms / 1_000)
        request = self._request
        listed = await self._venue.account.open_orders(None)
        resting = sort_orders(request.venue, request.account, listed)
        left = {str(one.client_order_id) for seen in resting.values() for one in seen.ours}
        for symbol, ids in away.items():
            await self._record_orphans(symbol, ids, [one for one in ids if one in left])

    async def _cancel_each(self, symbol: str, ids: Sequence[str]) -> None:
        instrument = self._instruments.get(symbol)
        if instrument is None:
            self._seen.trouble = f"{symbol}: the venue lists no such market; cancel there by hand"
            return
        for client_order_id in ids:
            try:
                await self._venue.execution.cancel(instrument, client_order_id)
            except VenueError as error:
                self._seen.trouble = f"{client_order_id} was not cancelled: {error}"

    async def _record_orphans(self, symbol: str, ids: Sequence[str], left: Sequence[str]) -> None:
        gone = [one for one in ids if one not in left]
        await self._end(symbol, gone, BY_ID)
        text = (
            f"{len(ids)} orders of ours rest that no session and no book answers for: {named(ids)}"
        )
        standing = await self._desk.standing(BreakKind.ORPHAN)
        if not left or all(one.found.symbol != symbol for one in standing):
            market = MarketId(self._request.venue, self._request.account, symbol)
            end = f"{len(left)} of them did not go" if left else _CANCELLED
            await self._ports.alerts.alert(market, "warning", f"reconciliation: {text}: {end}")
        found = self._desk.found(
            BreakKind.ORPHAN,
            symbol,
            text,
            ours={"resting": []},
            theirs={"resting": list(ids), "left": list(left)},
        )
        if left:
            await self._desk.open(found)
        else:
            await self._desk.settled(found, "orphan", _CANCELLED)

    async def _over(self, kind: BreakKind, still: Collection[OrderKey]) -> None:
        """Settle breaks of earlier runs whose orders are gone."""
        symbols = {symbol for symbol, _ in still}
        for known in await self._desk.standing(kind):
            if known.found.symbol not in symbols:
                await self._desk.over(known, kind.value, "both sides agree on orders again")

    async def _at(self, symbol: str, client_order_id: str) -> bool:
        instrument = self._instruments.get(symbol)
        if instrument is None:
            return False  # nothing rests in a market that is no more
        return await self._venue.execution.find(instrument, client_order_id) is not None

    async def _end(self, symbol: str, client_order_ids: Sequence[str], how: str) -> None:
        """These rest no more by our books, by the time this returns."""
        market = MarketId(self._request.venue, self._request.account, symbol)
        for client_order_id in client_order_ids:
            self._ports.writer.record(
                OrderEnded(
                    market=market,
                    client_order_id=client_order_id,
                    how=how,
                    ended_at_ms=self._desk.now_ms(),
                )
            )
        if not await self._ports.writer.flush(_FLUSH_S):
            raise Unavailable("postgres: how orders ended could not be written in time")


async def _runs(workflow_id: str) -> bool:
    """Whether a workflow is open. Asked by id: lists of workflows lag behind."""
    try:
        handle = activity.client().get_workflow_handle(workflow_id)
        return (await handle.describe(rpc_timeout=_ASK)).close_time is None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise Unavailable(f"temporal: {workflow_id}: {error}") from None
