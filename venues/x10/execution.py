"""Orders out: every order its own signed call, cancels before them.

What is not certain is unresolved, and nothing is sent twice on a guess.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from desk.errors import NotSent, Unresolved, VenueError
from desk.instrument import Instrument
from desk.orders import Batch, BatchOutcome, CancelOutcome, NewOrder, RejectReason, VenueOrder
from desk.ports import Clock
from desk.risk.approval import Approved, send_by_ns
from venues._transport.http import HttpPool, HttpResponse
from venues._transport.rate_limit import Budget, RequestKind
from venues.x10.account import X10Account
from venues.x10.cancels import Cancels
from venues.x10.config import X10Config
from venues.x10.credentials import Credentials
from venues.x10.errors import BAD_SIGNATURE, RULES_CHANGED
from venues.x10.instruments import Catalog, Listing
from venues.x10.orders import OrderWriter, objection
from venues.x10.outcomes import Answer, answered, not_sent, together, unresolved
from venues.x10.pacing import Lanes, hear
from venues.x10.rules import Rules

_PATH = "/user/order"
_Step: TypeAlias = Coroutine[Any, Any, Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flight:
    """One order whose bytes were handed over."""

    order: NewOrder
    response: Awaitable[HttpResponse]
    sent_ns: int


class X10Execution:
    """ExecutionPort of X10."""

    def __init__(
        self,
        *,
        config: X10Config,
        credentials: Credentials,
        catalog: Catalog,
        rules: Rules,
        account: X10Account,
        writer: OrderWriter,
        orders: HttpPool,
        cancels: Cancels,
        budget: Budget,
        threads: Executor | None,
        clock: Clock,
    ) -> None:
        self._max_orders = config.max_batch_orders
        self._credentials = credentials
        self._catalog = catalog
        self._rules = rules
        self._account = account
        self._writer = writer
        self._orders = orders
        self._cancels = cancels
        self._budget = budget
        self._threads = threads
        self._clock = clock
        self._lanes = Lanes(config.max_in_flight)
        self._signature_refused = False

    @property
    def signature_refused(self) -> bool:
        """Whether the venue called a signature of ours wrong since the start."""
        return self._signature_refused

    def send(self, batch: Approved[Batch], instrument: Instrument) -> Awaitable[BatchOutcome]:
        """Send a batch. With idle connections its bytes are on the sockets when this returns.

        That holds for as many orders as may be in flight, unless signing is done in threads; the
        rest follow. `replace_all` cancels the market, waits until that is seen, then places; named
        cancels are answered before orders go. `old_gone` is True only when the account stream or
        a listing showed it. ValueError, before anything is sent, for another market's batch or
        one that is too large.
        """
        value = batch.value
        if value.symbol != instrument.symbol:
            raise ValueError(f"a batch of {value.symbol} was sent to {instrument.symbol}")
        if len(value.orders) > self._max_orders:
            raise ValueError(f"{len(value.orders)} orders in a batch of at most {self._max_orders}")
        started_ns = self._clock.monotonic_ns()
        if value.replace_all or value.cancels:
            return self._cancel_then_place(value, instrument, started_ns)
        return self._place(value, instrument, started_ns, old_gone=False)

    async def cancel_all(self, instrument: Instrument | None) -> CancelOutcome:
        """Cancel everything of one market, or of the account. Repeating is always safe.

        What we believe of the rate budget never holds it back. Raises Refused, NotSent or
        Unresolved.
        """
        return await self._cancels.all(None if instrument is None else instrument.symbol)

    async def cancel(self, instrument: Instrument, client_order_id: str) -> CancelOutcome:  # noqa: ARG002 - ids are unique in the account
        """Cancel one order; an order the venue does not know counts as confirmed."""
        return await self._cancels.one(client_order_id)

    async def find(self, instrument: Instrument, client_order_id: str) -> VenueOrder | None:
        """The resting order with this id, None when the venue knows of none resting."""
        return await self._account.find(instrument, client_order_id)

    async def close(self, batch: Approved[Batch], instrument: Instrument) -> BatchOutcome:  # noqa: ARG002 - the same for every market
        """X10 closes no position by itself; the order is rejected and nothing is sent."""
        value, message = batch.value, "X10 has no call that closes a position"
        rejected = [not_sent(order, message, reason=RejectReason.INVALID) for order in value.orders]
        started_ns = self._clock.monotonic_ns()
        return together(value.batch_id, rejected, old_gone=False, started_ns=started_ns)

    def _place(
        self, batch: Batch, instrument: Instrument, started_ns: int, *, old_gone: bool | None
    ) -> Awaitable[BatchOutcome]:
        listing = self._catalog.listing(instrument.symbol)
        if listing is None:
            return self._learn_then_place(batch, instrument, started_ns, old_gone=old_gone)
        by_ns = send_by_ns(batch, started_ns)
        steps = [self._step(order, instrument, listing, batch, by_ns) for order in batch.orders]
        return self._outcome(batch, steps, old_gone=old_gone, started_ns=started_ns)

    async def _learn_then_place(
        self, batch: Batch, instrument: Instrument, started_ns: int, *, old_gone: bool | None
    ) -> BatchOutcome:
        """A market whose settlement we have not read yet cannot be signed for."""
        try:
            await self._rules.refresh()
        except VenueError as error:
            message = f"the market list: {error}"
            return self._held_back(batch, message, started_ns=started_ns, old_gone=old_gone)
        if self._catalog.listing(batch.symbol) is None:
            return self._held_back(
                batch,
                "the venue lists no such market",
                started_ns=started_ns,
                old_gone=old_gone,
                reason=RejectReason.UNKNOWN_MARKET,
            )
        return await self._place(batch, instrument, started_ns, old_gone=old_gone)

    def _step(
        self,
        order: NewOrder,
        instrument: Instrument,
        listing: Listing,
        batch: Batch,
        by_ns: int | None,
    ) -> "_Flight | Answer | Callable[[], _Step]":
        """Send it now if it may go, else say what is left to do."""
        refused = self._refusal(order, listing, batch)
        if refused is not None:
            return refused
        if self._threads is not None or not self._lanes.try_enter():
            return lambda: self._later(order, instrument, listing, by_ns)
        try:
            body = self._writer.signed(self._writer.draft(order, instrument, listing))
        except BaseException:
            self._lanes.leave()
            raise
        return self._launch(order, body, by_ns)

    def _refusal(self, order: NewOrder, listing: Listing, batch: Batch) -> Answer | None:
        why = objection(order, listing)
        if listing.max_orders is not None and len(batch.orders) > listing.max_orders:
            why = f"{len(batch.orders)} orders in a market that takes {listing.max_orders}"
        if why is not None:
            return not_sent(order, why, reason=RejectReason.INVALID)
        wait_s = self._budget.take(RequestKind.ORDER)
        if wait_s > 0:
            return not_sent(
                order,
                "the rate budget is used up",
                reason=RejectReason.RATE_LIMITED,
                retry_after_s=wait_s,
            )
        return None

    def _launch(self, order: NewOrder, body: bytes, by_ns: int | None) -> _Flight:
        """Hand over the bytes; the lane is free again when the answer is there."""
        head = self._credentials.block
        answer = asyncio.ensure_future(
            self._orders.request("POST", _PATH, headers=head, body=body, not_after_ns=by_ns)
        )
        # On the answer and not in the coroutine, which its owner may drop before it starts.
        answer.add_done_callback(lambda _: self._lanes.leave())
        return _Flight(order=order, response=answer, sent_ns=self._clock.monotonic_ns())

    async def _later(
        self, order: NewOrder, instrument: Instrument, listing: Listing, by_ns: int | None
    ) -> Answer:
        await self._lanes.enter()
        try:
            draft = self._writer.draft(order, instrument, listing)
            if self._threads is None:
                body = self._writer.signed(draft)
            else:
                loop = asyncio.get_running_loop()
                body = await loop.run_in_executor(self._threads, self._writer.signed, draft)
        except BaseException:
            self._lanes.leave()
            raise
        return await self._landed(self._launch(order, body, by_ns))

    async def _landed(self, flight: _Flight) -> Answer:
        order, sent_ns = flight.order, flight.sent_ns
        try:
            response = await flight.response
        except NotSent as error:
            return not_sent(order, str(error))
        except Unresolved as error:
            return unresolved(order, str(error), sent_ns=sent_ns)
        answer = answered(order, response, hear(self._budget, response, self._clock))
        if answer.code in RULES_CHANGED:
            self._rules.outdated()
        self._signature_refused |= answer.code == BAD_SIGNATURE
        if answer.outcome.venue_order_id is not None:
            self._account.placed(answer.outcome.venue_order_id, order.client_order_id)
        return answer

    async def _outcome(
        self,
        batch: Batch,
        steps: Sequence["_Flight | Answer | Callable[[], _Step]"],
        *,
        old_gone: bool | None,
        started_ns: int,
    ) -> BatchOutcome:
        async with asyncio.TaskGroup() as group:
            tasks = [
                step
                if isinstance(step, Answer)
                else group.create_task(self._landed(step) if isinstance(step, _Flight) else step())
                for step in steps
            ]
        answers = [task if isinstance(task, Answer) else task.result() for task in tasks]
        return together(batch.batch_id, answers, old_gone=old_gone, started_ns=started_ns)

    async def _cancel_then_place(
        self, batch: Batch, instrument: Instrument, started_ns: int
    ) -> BatchOutcome:
        calls = (
            [self.cancel_all(instrument)]
            if batch.replace_all
            else [self._cancels.one(name) for name in batch.cancels]
        )
        results = await asyncio.gather(*calls, return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures:
            if not isinstance(failure, VenueError):
                raise failure
        if failures:
            touched = len(failures) < len(results) or any(
                isinstance(failure, Unresolved) for failure in failures
            )
            message = f"its cancels failed: {failures[0]}"
            gone = None if touched else False
            return self._held_back(batch, message, started_ns=started_ns, old_gone=gone)
        known = [one for one in results if isinstance(one, CancelOutcome) and one.cancelled != 0]
        if batch.replace_all:
            return await self._place_when_clear(batch, instrument, started_ns)
        async with asyncio.TaskGroup() as group:
            placing = group.create_task(self._placed(batch, instrument, started_ns))
            seen_gone = not known or await self._account.gone(instrument, batch.cancels)
        return replace(placing.result(), old_gone=True if seen_gone else None)

    async def _place_when_clear(
        self, batch: Batch, instrument: Instrument, started_ns: int
    ) -> BatchOutcome:
        # The mass cancel is asynchronous: what is placed before it is through may go with it.
        gone = True if await self._account.cleared(instrument) else None
        if batch.orders and not gone:
            message = "the venue still lists orders after its mass cancel"
            return self._held_back(batch, message, started_ns=started_ns, old_gone=None)
        return replace(await self._placed(batch, instrument, started_ns), old_gone=gone)

    async def _placed(self, batch: Batch, instrument: Instrument, started_ns: int) -> BatchOutcome:
        if batch.orders:
            return await self._place(batch, instrument, started_ns, old_gone=None)
        return BatchOutcome(
            batch_id=batch.batch_id,
            orders=(),
            old_gone=None,
            sent_ns=started_ns,
            answered_ns=self._clock.monotonic_ns(),
        )

    def _held_back(
        self,
        batch: Batch,
        message: str,
        *,
        started_ns: int,
        old_gone: bool | None,
        reason: RejectReason = RejectReason.NOT_SENT,
    ) -> BatchOutcome:
        answers = [not_sent(order, message, reason=reason) for order in batch.orders]
        return together(batch.batch_id, answers, old_gone=old_gone, started_ns=started_ns)
