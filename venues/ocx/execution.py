"""Orders out: one atomic ladder per call.

What is not certain is unresolved, and nothing is sent twice on a guess.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

from desk.errors import NotSent, Refused, Unresolved, VenueError
from desk.instrument import Instrument
from desk.orders import Batch, BatchOutcome, CancelOutcome, RejectReason, VenueOrder
from desk.ports import Clock
from desk.risk.approval import Approved, send_by_ns
from venues._transport.http import HttpPool, HttpResponse
from venues._transport.rate_limit import Budget, RequestKind
from venues.ocx.account import OcxAccount
from venues.ocx.cancels import Cancels, hear
from venues.ocx.config import OcxConfig
from venues.ocx.instruments import Catalog
from venues.ocx.ladder import LadderEncoder, close_body, read_answer, read_close
from venues.ocx.outcomes import not_sent, refused, unresolved
from venues.ocx.session import Credential, Session

_BULK = "bulk"
_CLOSE = "close"


class OcxExecution:
    """ExecutionPort of OCX. The caller keeps at most one batch of a market in flight."""

    def __init__(
        self,
        *,
        config: OcxConfig,
        session: Session,
        catalog: Catalog,
        account: OcxAccount,
        orders: HttpPool,
        cancels: Cancels,
        budget: Budget,
        clock: Clock,
    ) -> None:
        self._session = session
        self._catalog = catalog
        self._account = account
        self._orders = orders
        self._cancels = cancels
        self._budget = budget
        self._clock = clock
        self._path = config.paths[_BULK]
        self._close_path = config.paths[_CLOSE]
        self._max_levels = config.max_levels
        self._encoder = LadderEncoder(levels_key=config.levels_key, margin_mode=config.margin_mode)
        self._in_flight: set[str] = set()

    def send(self, batch: Approved[Batch], instrument: Instrument) -> Awaitable[BatchOutcome]:
        """Send a batch. With an idle connection the bytes are on the socket when this returns.

        A batch that replaces all with nothing is a cancel-all of its market; one that names
        cancels has them sent first, one call each. `old_gone` is False where nothing was to go.
        ValueError, before anything is sent, for another market's batch, one that is too large,
        or a second one of the market in flight.
        """
        value = batch.value
        self._check(value, instrument)
        by_ns = send_by_ns(value, self._clock.monotonic_ns())
        if not value.orders or (value.cancels and not value.replace_all):
            return self._cancel_then_place(value, instrument, by_ns)
        kind = self._session.at_hand(_BULK)
        if kind is None:
            return self._sign_in_then_place(value, instrument, by_ns)
        return self._place(value, instrument, kind, by_ns)

    async def cancel_all(self, instrument: Instrument | None) -> CancelOutcome:
        """Cancel everything of one market, or of the account. Repeating is always safe.

        What we believe of the rate budget never holds it back. Raises Refused, NotSent or
        Unresolved.
        """
        if self._budget.take(RequestKind.CANCEL) > 0:
            self._budget.overdraw()
        return await self._cancels.cancel(
            {} if instrument is None else {"marketId": instrument.symbol}
        )

    async def cancel(self, instrument: Instrument, client_order_id: str) -> CancelOutcome:
        """Cancel one order; an order the venue does not know counts as confirmed."""
        wait_s = self._budget.take(RequestKind.CANCEL)
        if wait_s > 0:
            raise NotSent(f"cancel: the rate budget is used up for {wait_s:.1f} s")
        scope = {"marketId": instrument.symbol, "clientOrderId": client_order_id}
        try:
            return await self._cancels.cancel(scope)
        except Refused as refusal:
            if refusal.reason is RejectReason.UNKNOWN_ORDER:
                return CancelOutcome(confirmed=True, cancelled=0, message=refusal.message)
            raise

    async def find(self, instrument: Instrument, client_order_id: str) -> VenueOrder | None:
        """The resting order with this id, None when the venue lists none."""
        listed = await self._account.open_orders(instrument)
        return next((one for one in listed if one.client_order_id == client_order_id), None)

    async def close(self, batch: Approved[Batch], instrument: Instrument) -> BatchOutcome:
        """Have the venue close as much of the position as the batch's one order says.

        Less than the venue takes as a quantity closes all that is left. ValueError for another
        batch than one reduce-only order of this market.
        """
        value = batch.value
        self._check(value, instrument)
        if len(value.orders) != 1 or not value.orders[0].reduce_only:
            raise ValueError("a position is closed by exactly one reduce-only order")
        started_ns = self._clock.monotonic_ns()
        wait_s = self._budget.take(RequestKind.ORDER)
        if wait_s > 0:
            return await self._without_budget(value, wait_s)
        try:
            kind = await self._session.ready(_CLOSE)
        except (NotSent, Refused) as error:
            return not_sent(value, started_ns, str(error))
        body = close_body(value.orders[0], instrument, self._catalog.grids(instrument)[1].text)
        answer = self._post(value.symbol, kind, body, call=_CLOSE)
        return await self._outcome(
            value, instrument, kind=kind, body=body, answer=answer, sent_ns=started_ns, call=_CLOSE
        )

    def _check(self, batch: Batch, instrument: Instrument) -> None:
        if batch.symbol != instrument.symbol:
            raise ValueError(f"a batch of {batch.symbol} was sent to {instrument.symbol}")
        if len(batch.orders) > self._max_levels:
            raise ValueError(f"{len(batch.orders)} orders in a batch of at most {self._max_levels}")
        if batch.symbol in self._in_flight:
            raise ValueError(f"a batch of {batch.symbol} is in flight already")

    def _place(
        self, batch: Batch, instrument: Instrument, kind: Credential, by_ns: int | None
    ) -> Awaitable[BatchOutcome]:
        wait_s = self._budget.take(RequestKind.ORDER)
        if wait_s > 0:
            return self._without_budget(batch, wait_s)
        prices, sizes = self._catalog.grids(instrument)
        body = self._encoder.body(batch, prices, sizes)
        answer = self._post(batch.symbol, kind, body, by_ns)
        sent_ns = self._clock.monotonic_ns()
        return self._outcome(
            batch, instrument, kind=kind, body=body, answer=answer, sent_ns=sent_ns, by_ns=by_ns
        )

    def _post(
        self,
        symbol: str,
        kind: Credential,
        body: bytes,
        by_ns: int | None = None,
        *,
        call: str = _BULK,
    ) -> Awaitable[HttpResponse]:
        path = self._path if call == _BULK else self._close_path
        head = self._session.block(kind)
        answer = asyncio.ensure_future(
            self._orders.request("POST", path, headers=head, body=body, not_after_ns=by_ns)
        )
        # On the answer and not in the coroutine, which its owner may drop before it starts.
        self._in_flight.add(symbol)
        answer.add_done_callback(lambda _: self._in_flight.discard(symbol))
        return answer

    async def _outcome(
        self,
        batch: Batch,
        instrument: Instrument,
        *,
        kind: Credential,
        body: bytes,
        answer: Awaitable[HttpResponse],
        sent_ns: int,
        by_ns: int | None = None,
        call: str = _BULK,
    ) -> BatchOutcome:
        try:
            response = await answer
            retry_s = hear(self._budget, response, self._clock)
            other = await self._session.second(call, kind, response.status)
            if other is not None and self._budget.take(RequestKind.ORDER) == 0:
                kind, answer = other, self._post(batch.symbol, other, body, by_ns, call=call)
                sent_ns = self._clock.monotonic_ns()
                response = await answer
                retry_s = hear(self._budget, response, self._clock)
        except NotSent as error:
            return not_sent(batch, sent_ns, str(error))
        except Unresolved as error:
            return unresolved(batch, sent_ns, None, str(error))
        if not 200 <= response.status < 300:
            return refused(batch, response, retry_s)
        self._session.worked(call, kind)
        return self._accepted(batch, instrument, response, call)

    def _accepted(
        self, batch: Batch, instrument: Instrument, response: HttpResponse, call: str
    ) -> BatchOutcome:
        sent_ns, answered_ns = response.sent_ns, response.received_ns
        try:
            sizes = self._catalog.grids(instrument)[1]
            read = read_answer if call == _BULK else read_close
            orders = read(batch.orders, response.body, sizes.read)
        except (ValueError, ArithmeticError, RecursionError) as error:
            return unresolved(batch, sent_ns, answered_ns, f"unreadable answer: {error}")
        return BatchOutcome(
            batch_id=batch.batch_id,
            orders=orders,
            old_gone=batch.replace_all,
            sent_ns=sent_ns,
            answered_ns=answered_ns,
        )

    async def _without_budget(self, batch: Batch, wait_s: float) -> BatchOutcome:
        now_ns = self._clock.monotonic_ns()
        return not_sent(batch, now_ns, "the rate budget is used up", retry_after_s=wait_s)

    async def _sign_in_then_place(
        self, batch: Batch, instrument: Instrument, by_ns: int | None
    ) -> BatchOutcome:
        started_ns = self._clock.monotonic_ns()
        try:
            kind = await self._session.ready(_BULK)
        except (NotSent, Refused) as error:
            return not_sent(batch, started_ns, str(error))
        return await self._place(batch, instrument, kind, by_ns)

    async def _cancel_then_place(
        self, batch: Batch, instrument: Instrument, by_ns: int | None
    ) -> BatchOutcome:
        started_ns = self._clock.monotonic_ns()
        touched = False
        try:
            if batch.replace_all:
                await self.cancel_all(instrument)
            else:
                for client_order_id in batch.cancels:
                    await self.cancel(instrument, client_order_id)
                    touched = True
        except VenueError as error:
            touched = touched or isinstance(error, Unresolved)
            message = f"its cancels failed: {error}"
            return not_sent(batch, started_ns, message, old_gone=None if touched else False)
        if batch.orders:
            placed = await self._sign_in_then_place(batch, instrument, by_ns)
            return replace(placed, old_gone=True)
        return BatchOutcome(
            batch_id=batch.batch_id,
            orders=(),
            old_gone=True,
            sent_ns=started_ns,
            answered_ns=self._clock.monotonic_ns(),
        )
