"""One order towards a hedge, and the books around it: the ledger alone says how much is hedged.

The one rule: what became of an order is found out by fills and positions before another is sent;
an order without a trace keeps its id, so that the venue refuses the second of two. A trace is a
fill under that id: a position may be moved by anybody's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from desk.book import Book
from desk.errors import NotSent, Unavailable, VenueError
from desk.hedging import HedgeReceipt
from desk.identity import MarketId, OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import Batch, BatchOutcome, NewOrder, OutcomeKind, RejectReason, TimeInForce
from desk.ports import Clock, LedgerReader, LedgerWriter, Venue
from desk.risk.gate import Denied, GateContext, GateLimits, review
from desk.risk.limits import RiskLimits
from desk.units import NS_PER_MS, Lots, Side, Ticks
from quoting.clearing import clear
from quoting.journal import record_answer, record_over, record_sent
from quoting.opening import overlap_start_ms
from quoting.reach import fills_in_reach
from quoting.taking import best_for, read_book, taking_price

_TRIES = 5
_DEEP_TRIES = 3
_CLEAR_S = 10.0
_FILLS_BACK_MS = 2 * 3_600_000
"""Attempts at one order follow each other within an hour; venues' clocks differ from ours."""

MaySend = Callable[[], Awaitable[str]]
"""Asked right before an order goes out: why it may not, empty when it may. Never raises."""

ReadBook = Callable[[Venue, Instrument], Awaitable[Book]]
"""Where the book comes from; raises NotSent when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeStep:
    """One order: signed lots that were weighed at signed position `position`.

    `step` and `epoch` make its client order id. `price` is its limit where somebody has chosen one;
    without it, it is the slippage away from the best price.
    """

    market: MarketId
    epoch: int
    step: int
    position: Lots
    lots: Lots
    reduce_only: bool
    max_slippage_bps: Decimal
    limits: RiskLimits
    price: Ticks | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeSliceReport:
    """Signed lots of the ledger before and after.

    `spent`: the next order needs a new id. It stays False while nothing is known of this one, or
    of one before it under the same id; to use an id once more costs a refusal at most. `stale`: not
    sent, for the books were not as weighed. `receipt` is what the venue said was filled, as long as
    the books do not show it. `reason` is the venue's word for not taking it.
    """

    step: int
    position_before: int
    position_after: int
    sent_lots: int
    outcome: str
    spent: bool
    receipt: HedgeReceipt | None = None
    reason: RejectReason | None = None
    stale: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeBooks:
    """Signed lots by our ledger and by the venue, read at `read_ns` (monotonic)."""

    position: Lots
    venue_position: Lots
    read_ns: int

    @property
    def difference(self) -> str:
        """A sentence when they disagree, else empty."""
        if self.position == self.venue_position:
            return ""
        return f"ledger has {self.position} lots, the venue {self.venue_position}"


async def read_books(
    market: MarketId,
    instrument: Instrument,
    venue: Venue,
    ledger: LedgerReader,
    clock: Clock,
    receipt: HedgeReceipt | None = None,
) -> HedgeBooks:
    """Book the fills we did not hear, until ledger and venue agree or tries are used up.

    With a `receipt` they must show it as well. Raises what the ports raise.
    """
    facts = await ledger.facts(market, 0)
    since_ms = overlap_start_ms(facts)
    for attempt in range(_TRIES):
        fills, since_ms = await fills_in_reach(venue, instrument, since_ms)
        await ledger.book_fills(market, fills)
        position = (await ledger.facts(market, 0)).position
        read_ns = clock.monotonic_ns()
        venue_position = (await venue.account.position(instrument)).lots
        books = HedgeBooks(position=position, venue_position=venue_position, read_ns=read_ns)
        if not books.difference and (receipt is None or receipt.shown_at(position)):
            break
        if attempt == _TRIES - _DEEP_TRIES:
            # A moment did not mend it: what does may be older than our last fill.
            since_ms = overlap_start_ms(facts, deep=True)
        await asyncio.sleep(0.1 * 2**attempt)
    return books


async def hedge_slice(
    step: HedgeStep,
    instrument: Instrument,
    venue: Venue,
    ledger: LedgerReader,
    writer: LedgerWriter,
    clock: Clock,
    may_send: MaySend,
    read: ReadBook = read_book,
) -> HedgeSliceReport:
    """Send one order if the books still are as weighed, and book what it did.

    `may_send` is asked last of all; `read` gives the book, from the feed unless somebody has one.
    Raises what the ports raise; then the same call may be repeated.
    """
    books = await read_books(step.market, instrument, venue, ledger, clock)
    if books.position != step.position or books.difference:
        outcome = books.difference or "not sent: the ledger has moved since it was weighed"
        # Perhaps by this very order, sent by an attempt that died; or it is still on its way.
        spent = await _left_a_fill(step, ledger, clock)
        return replace(_report(step, books, 0, outcome, spent=spent), stale=True)
    book = await read(venue, instrument)
    order = _order(step, instrument, book)
    batch = Batch(batch_id=order.client_order_id, symbol=instrument.symbol, orders=(order,))
    verdict = review(batch, _context(step, instrument, book, books, clock))
    if isinstance(verdict, Denied):
        return _report(step, books, 0, f"denied: {verdict.message}", spent=False)
    if why := await may_send():
        return _report(step, books, 0, f"not sent: {why}", spent=False)
    record_sent(writer, clock, step.market, instrument, step.epoch, batch)
    answer = await venue.execution.send(verdict, instrument)
    record_answer(writer, clock, step.market, answer)
    await asyncio.sleep(venue.capabilities.settling_ms / 1000)
    # Whatever of it could still trade is taken away before anybody looks.
    if (
        not answer.unresolved
        or (await clear(venue, instrument, clock, give_up_s=_CLEAR_S)).verified
    ):
        record_over(writer, clock, step.market, answer.orders[0], "hedge order is over")
    receipt = _receipt(step, answer)
    try:
        after = await read_books(step.market, instrument, venue, ledger, clock, receipt)
    except (VenueError, Unavailable):
        if receipt is None:
            raise
        after = books  # what was filled is known: a repetition could only learn less
    spent = _known(answer) or await _left_a_fill(step, ledger, clock)
    report = replace(
        _report(step, after, step.lots, _words(answer), spent=spent),
        reason=answer.orders[0].reason,
    )
    if receipt is None or receipt.shown_at(after.position):
        return report
    return replace(report, receipt=receipt)


def _order(step: HedgeStep, instrument: Instrument, book: Book) -> NewOrder:
    side = Side.BUY if step.lots > 0 else Side.SELL
    identity = _identity(step)
    return NewOrder(
        client_order_id=identity.encode(),
        slot=identity.slot,
        side=side,
        price=step.price or taking_price(instrument, book, side, step.max_slippage_bps),
        lots=abs(step.lots),
        time_in_force=TimeInForce.IOC,
        post_only=False,
        reduce_only=step.reduce_only,
    )


def _identity(step: HedgeStep) -> OrderIdentity:
    side = Side.BUY if step.lots > 0 else Side.SELL
    return OrderIdentity(
        tag=step.market.tag,
        epoch=step.epoch,
        cycle=step.step,
        slot=Slot(side, 0),
        exit=step.reduce_only,
    )


def _context(
    step: HedgeStep, instrument: Instrument, book: Book, books: HedgeBooks, clock: Clock
) -> GateContext:
    mid_x2 = book.mid_x2
    if mid_x2 is None and step.price is not None:
        # Whoever chose a price saw that side alone; an order must still be near what it hits.
        mid_x2 = 2 * (best_for(book, Side.BUY if step.lots > 0 else Side.SELL) or 0)
    if mid_x2 is None:
        raise NotSent(f"the book of {instrument.symbol} was lost while it was read")
    now_ns = clock.monotonic_ns()
    return GateContext(
        limits=GateLimits.of(instrument, step.limits),
        mid_x2=mid_x2,
        book_age_ns=book.age_ns(now_ns),
        account_age_ns=now_ns - books.read_ns,
        position=books.position,
        working=(),
        orders_last_minute=0,
    )


def _receipt(step: HedgeStep, answer: BatchOutcome) -> HedgeReceipt | None:
    """What the venue says was filled at once; None when that is nothing, or it does not say."""
    (order,) = answer.orders
    if not order.filled:
        return None
    filled = order.filled if step.lots > 0 else -order.filled
    return HedgeReceipt(position=step.position, filled=filled)


def _known(answer: BatchOutcome) -> bool:
    (order,) = answer.orders
    said = order.kind is not OutcomeKind.UNRESOLVED or order.reason is RejectReason.DUPLICATE
    return said or bool(order.filled)


async def _left_a_fill(step: HedgeStep, ledger: LedgerReader, clock: Clock) -> bool:
    """Whether a fill under the order's id is booked; one of long ago is found by a refusal."""
    since_ms = max(0, clock.wall_ns() // NS_PER_MS - _FILLS_BACK_MS)
    name = _identity(step).encode()
    fills = await ledger.fills(step.market, since_ms)
    return any(fill.client_order_id == name for fill in fills)


def _words(answer: BatchOutcome) -> str:
    (order,) = answer.orders
    why = order.message or (order.reason.value if order.reason else "")
    return f"{order.kind.value} ({why})" if why else order.kind.value


def _report(
    step: HedgeStep, books: HedgeBooks, sent: Lots, outcome: str, *, spent: bool
) -> HedgeSliceReport:
    return HedgeSliceReport(
        step=step.step,
        position_before=step.position,
        position_after=books.position,
        sent_lots=sent,
        outcome=outcome,
        spent=spent,
    )
