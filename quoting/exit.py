"""One reduce-only slice of a flatten: never more than the position, never the other way round.

Its client order id is made from epoch and step alone, so a retry is the same order and the venue
refuses the second of two.
"""

import asyncio
from dataclasses import dataclass
from decimal import Decimal

from desk.book import Book
from desk.errors import Unavailable
from desk.identity import MarketId, OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import Batch, NewOrder, OrderOutcome, TimeInForce
from desk.ports import Clock, LedgerWriter, Venue
from desk.risk.gate import Denied, GateContext, GateLimits, review
from desk.risk.limits import RiskLimits
from desk.units import Lots, Side
from quoting.journal import record_answer, record_sent
from quoting.taking import read_book, taking_price


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitStep:
    """Which slice of which flatten; `slices_left` counts this one."""

    market: MarketId
    epoch: int
    step: int
    slices_left: int
    max_slippage_bps: Decimal
    limits: RiskLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenSliceReport:
    """Signed lots before and after, as the venue states them."""

    step: int
    position_before: int
    position_after: int
    sent_lots: int
    outcome: str


async def exit_slice(
    step: ExitStep, instrument: Instrument, venue: Venue, ledger: LedgerWriter, clock: Clock
) -> FlattenSliceReport:
    """Send one slice and wait until the venue's position settled. Raises what the ports raise."""
    before = (await venue.account.position(instrument)).lots
    if before == 0:
        return _report(step, 0, 0, 0, "flat")
    book = await read_book(venue, instrument)
    order = _order(step, instrument, book, before)
    batch = Batch(batch_id=order.client_order_id, symbol=instrument.symbol, orders=(order,))
    verdict = review(batch, _context(step, instrument, book, before, clock))
    if isinstance(verdict, Denied):
        # The gate may refuse an exit for its size or collar only: smaller and later is the cure.
        return _report(step, before, before, 0, f"denied: {verdict.message}")
    record_sent(ledger, clock, step.market, step.epoch, batch)
    outcome = await venue.execution.send(verdict, instrument)
    record_answer(ledger, clock, step.market, outcome)
    await asyncio.sleep(venue.capabilities.settling_ms / 1000)
    after = (await venue.account.position(instrument)).lots
    return _report(step, before, after, order.lots, _words(outcome.orders))


def slice_lots(position: Lots, slices_left: int) -> Lots:
    """Lots of the next slice: equal parts, rounded up, never more than the position."""
    size = abs(position)
    return min(size, -(-size // max(1, slices_left)))


def _order(step: ExitStep, instrument: Instrument, book: Book, position: Lots) -> NewOrder:
    side = Side.SELL if position > 0 else Side.BUY
    slot = Slot(side, 0)
    lots = max(slice_lots(position, step.slices_left), min(abs(position), instrument.min_lots))
    identity = OrderIdentity(
        tag=step.market.tag, epoch=step.epoch, cycle=step.step, slot=slot, exit=True
    )
    return NewOrder(
        client_order_id=identity.encode(),
        slot=slot,
        side=side,
        price=taking_price(instrument, book, side, step.max_slippage_bps),
        lots=lots,
        time_in_force=TimeInForce.IOC,
        post_only=False,
        reduce_only=True,
    )


def _context(
    step: ExitStep, instrument: Instrument, book: Book, position: Lots, clock: Clock
) -> GateContext:
    if book.mid_x2 is None:
        raise Unavailable("the book was lost while it was read")
    return GateContext(
        limits=GateLimits.of(instrument, step.limits),
        mid_x2=book.mid_x2,
        book_age_ns=book.age_ns(clock.monotonic_ns()),
        account_age_ns=None,
        position=position,
        working=(),
        orders_last_minute=0,
    )


def _words(orders: tuple[OrderOutcome, ...]) -> str:
    return "; ".join(
        order.kind.value + (f" ({order.reason.value})" if order.reason else "") for order in orders
    )


def _report(
    step: ExitStep, before: Lots, after: Lots, sent: Lots, outcome: str
) -> FlattenSliceReport:
    return FlattenSliceReport(
        step=step.step,
        position_before=before,
        position_after=after,
        sent_lots=sent,
        outcome=outcome,
    )
