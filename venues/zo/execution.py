"""Orders out: a batch as atomics, one after the other, the first at once.

What is not certain is unresolved, and no action is ever sent twice.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Final

from desk.errors import ConfigurationFault, NotSent, Refused, Unresolved, VenueError
from desk.instrument import Instrument
from desk.orders import (
    Batch,
    BatchOutcome,
    CancelOutcome,
    NewOrder,
    OrderOutcome,
    OutcomeKind,
    RejectReason,
    TimeInForce,
    VenueOrder,
)
from desk.ports import Clock
from desk.risk.approval import Approved, send_by_ns
from venues._transport.http import HttpResponse
from venues.zo.access import Access, Pass
from venues.zo.account import ZoAccount
from venues.zo.actions import Actions
from venues.zo.batches import Progress, Step, Target, outcome_of, steps_of
from venues.zo.cancels import Cancels
from venues.zo.client_ids import ClientIds
from venues.zo.config import ZoConfig
from venues.zo.engine_clock import EngineClock
from venues.zo.errors import engine_error
from venues.zo.instruments import Market
from venues.zo.known_orders import KnownOrder, KnownOrders
from venues.zo.limits import Limits
from venues.zo.markets import Markets
from venues.zo.schema import nord_pb2 as pb
from venues.zo.wire import MAX_RESTING_SIZE, Placement, atomic, signed

_ACCEPTED: Final = OutcomeKind.ACCEPTED
_LABEL = "orders"


class ZoExecution:
    """ExecutionPort of 01.xyz. The caller keeps at most one batch of a market in flight."""

    def __init__(
        self,
        *,
        config: ZoConfig,
        access: Access,
        actions: Actions,
        account: ZoAccount,
        markets: Markets,
        cancels: Cancels,
        engine: EngineClock,
        known: KnownOrders,
        ids: ClientIds,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._access = access
        self._actions = actions
        self._account = account
        self._markets = markets
        self._cancels = cancels
        self._engine = engine
        self._known = known
        self._ids = ids
        self._limits = limits
        self._clock = clock
        self._size = config.max_subactions
        self._max_orders = config.max_batch_orders
        self._reduce_only_rests = config.reduce_only_fill_mode == "any"
        self._in_flight: dict[str, asyncio.Future[HttpResponse]] = {}

    def send(self, batch: Approved[Batch], instrument: Instrument) -> Awaitable[BatchOutcome]:
        """Send a batch. With an idle connection the bytes are on the socket when this returns.

        More than one atomic go one after the other; the first failure stops the rest. ValueError,
        before anything is sent, for another market's batch, one that is too large, a second one of
        the market in flight, or a client order id that has no number (`client_ids.py`); where the
        market list is yet to be read, orders without a number are answered as invalid.

        Without rate budget the cancels go alone, and the orders are answered as rate limited.
        """
        value = batch.value
        self._check(value, instrument)
        leave, market = self._access.at_hand(), self._markets.catalog.at_hand(value.symbol)
        targets = None if value.replace_all else self._targets(value)
        now_ns = self._clock.monotonic_ns()
        progress = Progress(value, now_ns, send_by_ns(value, now_ns))
        if leave is None or market is None or targets is None:
            return self._prepare(progress, instrument)
        return self._begin(progress, leave, market, targets)

    async def cancel_all(self, instrument: Instrument | None) -> CancelOutcome:
        """Cancel everything of one market, or of the account. Repeating is always safe.

        What we believe of the rate budget never holds it back. Raises Refused, NotSent or
        Unresolved.
        """
        market_id = None if instrument is None else (await self._market(instrument)).market_id
        return await self._cancels.everything(market_id)

    async def cancel(self, instrument: Instrument, client_order_id: str) -> CancelOutcome:
        """Cancel one order; an order the venue does not know counts as confirmed.

        What we believe of the rate budget never holds it back. ValueError for a client order id
        that has no number; raises Refused, NotSent or Unresolved.
        """
        self._ids.check(client_order_id)
        order_id, number = await self._order_id(instrument, client_order_id), None
        if order_id is None:
            schema = self._access.schema
            if schema is None or not schema.cancels_by_client_id:
                return CancelOutcome(confirmed=True, cancelled=0, message="it is not listed")
            number = self._number(client_order_id, await self._market(instrument))
        self._limits.overdraw(cancels=1)
        return await self._cancels.one(order_id, number)

    async def find(self, instrument: Instrument, client_order_id: str) -> VenueOrder | None:
        """The resting order with this id, None when the venue lists none."""
        self._ids.check(client_order_id)
        listed = await self._account.open_orders(instrument)
        return next((one for one in listed if one.client_order_id == client_order_id), None)

    async def close(self, batch: Approved[Batch], instrument: Instrument) -> BatchOutcome:  # noqa: ARG002 - the same for every market
        """01.xyz closes no position by itself; the order is rejected and nothing is sent."""
        message = "not sent: 01.xyz has no call that closes a position"
        now_ns = self._clock.monotonic_ns()
        return self._unsent(batch.value, now_ns, RejectReason.INVALID, message)

    # --- before anything is sent ---------------------------------------------------------------

    def _check(self, batch: Batch, instrument: Instrument) -> None:
        if batch.symbol != instrument.symbol:
            raise ValueError(f"a batch of {batch.symbol} was sent to {instrument.symbol}")
        if len(batch.orders) > self._max_orders:
            raise ValueError(f"{len(batch.orders)} orders in a batch of at most {self._max_orders}")
        flying = self._in_flight.get(batch.symbol)
        if flying is not None and not flying.done():
            raise ValueError(f"a batch of {batch.symbol} is in flight already")
        market = self._markets.catalog.at_hand(batch.symbol)
        for order in batch.orders:
            if not (0 < order.lots <= MAX_RESTING_SIZE and order.price > 0):
                raise ValueError(f"{order.client_order_id}: price or size is out of range")
            if market is None:
                self._ids.check(order.client_order_id)
            else:
                self._number(order.client_order_id, market)

    def _number(self, client_order_id: str, market: Market) -> int:
        return self._ids.number(client_order_id, market.tag, market.market_id)

    def _targets(self, batch: Batch) -> list[Target] | None:
        """Engine ids of what is to go, None when one has to be asked for; what is gone is left."""
        found = []
        replaced = [order.replaces for order in batch.orders if order.replaces]
        for client_id in (*batch.cancels, *replaced):
            known = self._known.named(batch.symbol, client_id)
            if known is None:
                return None
            if known.open:
                found.append(Target(client_id, known.order_id))
        return found

    async def _prepare(self, progress: Progress, instrument: Instrument) -> BatchOutcome:
        batch, now_ns = progress.batch, progress.sent_ns
        try:
            leave, market = await self._access.ready(), await self._market(instrument)
            for order in batch.orders:
                self._number(order.client_order_id, market)
            targets = None if batch.replace_all else self._targets(batch)
            if targets is None:
                targets = await self._listed(batch, instrument)
        except Refused as refusal:
            return self._unsent(batch, now_ns, refusal.reason, refusal.message)
        except ValueError as error:
            return self._unsent(batch, now_ns, RejectReason.INVALID, f"not sent: {error}")
        except (VenueError, ConfigurationFault) as error:
            return self._unsent(batch, now_ns, RejectReason.NOT_SENT, f"not sent: {error}")
        return await self._begin(progress, leave, market, targets)

    async def _listed(self, batch: Batch, instrument: Instrument) -> list[Target]:
        listed = await self._account.open_orders(instrument)
        names = {*batch.cancels, *(order.replaces for order in batch.orders)}
        return [
            Target(one.client_order_id or "", int(one.venue_order_id))
            for one in listed
            if batch.replace_all or one.client_order_id in names
        ]

    def _begin(
        self, progress: Progress, leave: Pass, market: Market, targets: Sequence[Target]
    ) -> Awaitable[BatchOutcome]:
        batch = progress.batch
        progress.gone.update(self._named(batch) - {target.client_id for target in targets})
        orders = [order for order in batch.orders if self._may_rest(order, progress)]
        steps = steps_of(targets, orders, self._size)
        if not steps:
            return _ready(progress.outcome())
        wait_s = self._limits.take(orders=len(orders), cancels=len(targets), requests=len(steps))
        if wait_s > 0:
            steps = self._cancels_alone(progress, targets, orders, wait_s)
            if not steps:
                return _ready(progress.outcome())
        answer = self._post(steps[0], leave, market, progress.send_by_ns)
        return self._follow(progress, steps, answer, leave, market)

    def _cancels_alone(
        self,
        progress: Progress,
        targets: Sequence[Target],
        orders: Sequence[NewOrder],
        wait_s: float,
    ) -> list[Step]:
        """What still goes when the budget is used up: the cancels, for they take risk away."""
        progress.retry_after_s = wait_s
        message = "not sent: the rate budget is used up"
        progress.untouched(Step((), tuple(orders)), RejectReason.RATE_LIMITED, message)
        steps = steps_of(targets, (), self._size)
        for step in steps:
            self._limits.overdraw(cancels=len(step.cancels))
        return steps

    def _may_rest(self, order: NewOrder, progress: Progress) -> bool:
        """Reduce-only orders are taken only when they never rest (zo.md section 4.4)."""
        if not order.reduce_only or self._reduce_only_rests:
            return True
        if order.time_in_force is not TimeInForce.GTC:
            return True
        message = "a reduce-only order must be IOC here (setting reduce_only_fill_mode)"
        progress.untouched(Step((), (order,)), RejectReason.REDUCE_ONLY, message)
        return False

    def _named(self, batch: Batch) -> set[str]:
        return {*batch.cancels, *(order.replaces for order in batch.orders if order.replaces)}

    # --- one atomic after the other ------------------------------------------------------------

    def _post(
        self, step: Step, leave: Pass, market: Market, by_ns: int | None
    ) -> asyncio.Future[HttpResponse]:
        grant = leave.grant
        action = atomic(
            self._engine.stamp(),
            session_id=grant.session_id,
            account_id=leave.account_id,
            cancels=[target.order_id for target in step.cancels],
            places=[
                Placement(market.market_id, order, self._number(order.client_order_id, market))
                for order in step.orders
            ],
        )
        body, not_after_ns = signed(action, grant.key.sign), by_ns if step.orders else None
        answer = asyncio.ensure_future(self._actions.send(body, not_after_ns=not_after_ns))
        self._in_flight[market.symbol] = answer
        return answer

    async def _follow(
        self,
        progress: Progress,
        steps: Sequence[Step],
        answer: asyncio.Future[HttpResponse],
        leave: Pass,
        market: Market,
    ) -> BatchOutcome:
        for place, step in enumerate(steps):
            if place:
                answer = self._post(step, leave, market, progress.send_by_ns)
            if not await self._take(progress, step, answer, leave, market):
                for later in steps[place + 1 :]:
                    message = "not sent: an earlier part of its batch failed"
                    progress.untouched(later, progress.failed or RejectReason.NOT_SENT, message)
                break
        outcome = progress.outcome()
        if outcome.old_gone is not True:
            self._tell_gone(market.symbol, progress.gone)
        return outcome

    async def _take(
        self,
        progress: Progress,
        step: Step,
        answer: Awaitable[HttpResponse],
        leave: Pass,
        market: Market,
    ) -> bool:
        """Read one answer; whether the next atomic may go."""
        try:
            response = await answer
        except NotSent as error:
            progress.untouched(step, RejectReason.NOT_SENT, f"not sent: {error}")
            return False
        except Unresolved as error:
            progress.open_ended(step, None, str(error))
            return False
        if progress.answered_ns is None:
            progress.sent_ns = response.sent_ns
        progress.answered_ns = response.received_ns
        told = self._actions.receipt(_LABEL, response)
        if isinstance(told, pb.Receipt):
            return self._read(progress, step, told, leave, market)
        if isinstance(told, Refused):
            if told.retry_after_s is not None:
                progress.retry_after_s = told.retry_after_s
            progress.untouched(step, told.reason, told.message)
        else:
            progress.open_ended(step, None, str(told))
        return False

    def _read(
        self, progress: Progress, step: Step, receipt: pb.Receipt, leave: Pass, market: Market
    ) -> bool:
        schema = self._access.schema
        error = engine_error(receipt, None if schema is None else schema.error_names)
        self._access.heard(leave.grant, error)
        if error is not None:
            if error.certain:
                progress.untouched(step, error.reason, error.message)
            else:
                progress.open_ended(step, error.reason, error.message)
            if error.reason is RejectReason.UNKNOWN_ORDER:
                progress.failed = error.reason
                self._account.doubt()
            return False
        results = receipt.atomic.results
        if len(results) != len(step.cancels) + len(step.orders):
            progress.open_ended(step, None, f"the receipt holds {len(results)} results")
            return False
        for target in step.cancels:
            self._known.ended(target.order_id, None)
        placed = [result.place_order_result for result in results[len(step.cancels) :]]
        outcomes = [
            outcome_of(order, self._number(order.client_order_id, market), result)
            for order, result in zip(step.orders, placed, strict=True)
        ]
        self._remember(step, outcomes, receipt.action_id, market)
        progress.executed(step, outcomes)
        return True

    def _remember(
        self, step: Step, outcomes: Sequence[OrderOutcome], action_id: int, market: Market
    ) -> None:
        now_ns = self._clock.monotonic_ns()
        takers = [one.client_order_id for one in outcomes if one.filled]
        if takers:
            self._known.took(action_id, takers)
        for order, told in zip(step.orders, outcomes, strict=True):
            if told.kind is not _ACCEPTED:
                continue
            name, lots = order.client_order_id, order.lots
            if told.venue_order_id is None:
                # Never rested: what was not filled at once will never be.
                ended = KnownOrder(0, name, market.symbol, lots, now_ns, told.filled or 0, False)
                self._account.updated(ended, resting=False)
                continue
            known = self._known.posted(int(told.venue_order_id), name, market.symbol, lots, now_ns)
            if not known.open:
                self._account.updated(known, resting=False)

    def _tell_gone(self, symbol: str, client_ids: set[str]) -> None:
        """One word for a whole batch cannot say that some of its orders are gone."""
        for client_id in client_ids:
            known = self._known.named(symbol, client_id)
            if known is not None and not known.open:
                self._account.updated(known, resting=False)

    # --- small answers -------------------------------------------------------------------------

    async def _market(self, instrument: Instrument) -> Market:
        return await self._markets.of(instrument)

    async def _order_id(self, instrument: Instrument, client_order_id: str) -> int | None:
        known = self._known.named(instrument.symbol, client_order_id)
        if known is not None:
            return known.order_id
        schema = self._access.schema
        if schema is not None and schema.cancels_by_client_id:
            return None
        found = await self.find(instrument, client_order_id)
        return None if found is None else int(found.venue_order_id)

    def _unsent(self, batch: Batch, at_ns: int, reason: RejectReason, message: str) -> BatchOutcome:
        progress = Progress(batch, at_ns)
        targets = tuple(Target(name, 0) for name in self._named(batch))
        progress.untouched(Step(targets, batch.orders), reason, message)
        return replace(progress.outcome(), old_gone=False)


async def _ready(outcome: BatchOutcome) -> BatchOutcome:
    return outcome
