"""Sends what the gate approved and brings the answers back to the inbox.

An unresolved send is never repeated; the loop asks for a clearing instead.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Protocol

from desk.errors import VenueError
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import Batch, BatchOutcome, RejectReason
from desk.ports import Clock, LedgerWriter, Venue
from desk.risk.approval import Approved
from quoting.asking import Asking
from quoting.clearing import clear
from quoting.inbox import Answered, Cleared, Inbox
from quoting.journal import record_answer, record_sent


class SessionMeter(Protocol):
    """Where a session counts; names and units are the telemetry catalogue's."""

    def tick_to_wire(self, nanoseconds: int) -> None:
        """From a book update read to order bytes handed to the socket."""

    def answered(self, outcome: BatchOutcome) -> None:
        """One batch was answered."""

    def denied(self, reason: str) -> None:
        """Our gate refused a batch."""

    def filled(self) -> None:
        """One fill was heard."""


class Dispatcher:
    """Hands operations of one market to its venue. Answers come as inbox events."""

    def __init__(
        self,
        *,
        market: MarketId,
        instrument: Instrument,
        epoch: int,
        venue: Venue,
        ledger: LedgerWriter,
        clock: Clock,
        inbox: Inbox,
        meter: SessionMeter,
        tasks: asyncio.TaskGroup,
        clear_give_up_s: float,
        fills_since_ms: int,
    ) -> None:
        self._market = market
        self._instrument = instrument
        self._epoch = epoch
        self._venue = venue
        self._ledger = ledger
        self._clock = clock
        self._inbox = inbox
        self._meter = meter
        self._tasks = tasks
        self._clear_give_up_s = clear_give_up_s
        self._asking = Asking(
            instrument=instrument,
            venue=venue,
            clock=clock,
            inbox=inbox,
            tasks=tasks,
            fills_since_ms=fills_since_ms,
        )
        self._answers: set[asyncio.Task[None]] = set()
        self.unanswered = 0

    def send(self, approved: Approved[Batch]) -> int:
        """Send a batch; returns when its bytes were handed over (monotonic nanoseconds)."""
        # Before its bytes leave: an order at the venue that no record knows of is nobody's.
        market, instrument, batch = self._market, self._instrument, approved.value
        record_sent(self._ledger, self._clock, market, instrument, self._epoch, batch)
        answer = self._venue.execution.send(approved, instrument)
        sent_ns = self._clock.monotonic_ns()
        self.unanswered += 1
        task = self._tasks.create_task(self._await_answer(batch, answer))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)
        return sent_ns

    async def settled(self) -> None:
        """Wait until nothing we sent still awaits its answer (bounded by the venue's time-outs)."""
        if self._answers:
            await asyncio.wait(tuple(self._answers))

    def clear(self) -> None:
        """Take every order of this market away; a `Cleared` event follows."""
        self._tasks.create_task(self._clear())

    def ask(self, client_order_id: str) -> None:
        """Ask what became of an order; its fills and a `Settled` event follow, if it answers."""
        self._asking.ask(client_order_id)

    def withdraw(self, client_order_id: str) -> None:
        """Cancel one order that only the venue knows of."""
        self._tasks.create_task(self._withdraw(client_order_id))

    async def _withdraw(self, client_order_id: str) -> None:
        with suppress(VenueError):  # the next audit finds it again
            await self._venue.execution.cancel(self._instrument, client_order_id)

    async def _await_answer(self, batch: Batch, answer: Awaitable[BatchOutcome]) -> None:
        outcome = await answer
        self.unanswered -= 1
        self._inbox.put(
            Answered(batch=batch, outcome=outcome, round_trip_ns=_round_trip_ns(outcome))
        )
        self._meter.answered(outcome)
        record_answer(self._ledger, self._clock, self._market, outcome)

    async def _clear(self) -> None:
        report = await clear(
            self._venue, self._instrument, self._clock, give_up_s=self._clear_give_up_s
        )
        self._inbox.put(
            Cleared(
                verified=report.verified,
                attempts=report.attempts,
                message=report.message,
                at_ns=self._clock.monotonic_ns(),
            )
        )


def _round_trip_ns(outcome: BatchOutcome) -> int | None:
    """How long the venue took; what waited for our own budget or never left says nothing."""
    unsent = any(order.reason is RejectReason.NOT_SENT for order in outcome.orders)
    if outcome.answered_ns is None or outcome.retry_after_s is not None or unsent:
        return None
    return outcome.answered_ns - outcome.sent_ns
