"""One small resting order without a session behind it: what a drill has the brakes take away.

It is post-only and away from the market, and goes through the gate like any other.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal

from desk.errors import Refused, Unavailable
from desk.identity import MarketId, OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import Batch, BatchOutcome, NewOrder, OutcomeKind, RejectReason, TimeInForce
from desk.ports import Clock, LedgerWriter, Venue
from desk.risk.approval import Approved
from desk.risk.gate import Denied, GateContext, GateLimits, review
from desk.risk.limits import RiskLimits
from desk.units import BPS, Lots, Side, Ticks
from quoting.journal import record_answer, record_sent
from quoting.taking import read_book

_AWAY_BPS = Decimal(100)
_TRIES, _PAUSE_S = 20, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class LoneOrder:
    """Which order of which epoch, and the worth it may have in quote currency."""

    market: MarketId
    epoch: int
    max_notional: Decimal


async def place(
    order: LoneOrder,
    instrument: Instrument,
    venue: Venue,
    ledger: LedgerWriter,
    clock: Clock,
    *,
    permitted: Callable[[], Awaitable[None]],
) -> str:
    """Send it, and give its client order id once the venue took it.

    `permitted` raises when nothing may be sent; it is asked before each send. Raises Refused when
    the venue or our gate said no, and what the ports raise.
    """
    book = await read_book(venue, instrument)
    if book.mid_x2 is None or book.best_bid is None:
        raise Unavailable("the book was lost while it was read")
    price = _price(instrument, book.best_bid)
    new = _order(order, instrument, price)
    batch = Batch(batch_id=new.client_order_id, symbol=instrument.symbol, orders=(new,))
    context = GateContext(
        limits=GateLimits.of(instrument, RiskLimits(max_order_notional=order.max_notional)),
        mid_x2=book.mid_x2,
        book_age_ns=book.age_ns(clock.monotonic_ns()),
        account_age_ns=0,
        position=0,
        working=(),
        orders_last_minute=0,
    )
    verdict = review(batch, context)
    if isinstance(verdict, Denied):
        raise Refused(RejectReason.OTHER, f"our gate denied it: {verdict.message}")
    await permitted()
    record_sent(ledger, clock, order.market, instrument, order.epoch, batch)
    outcome = await _sent(verdict, instrument, venue, permitted)
    record_answer(ledger, clock, order.market, outcome)
    answer = outcome.orders[0]
    if answer.kind is not OutcomeKind.ACCEPTED:
        raise Refused(answer.reason or RejectReason.OTHER, f"the venue said {answer.message}")
    return new.client_order_id


async def _sent(
    verdict: Approved[Batch],
    instrument: Instrument,
    venue: Venue,
    permitted: Callable[[], Awaitable[None]],
) -> BatchOutcome:
    """Send it; what never left, as while a request budget is young, is sent again for a while."""
    for _ in range(_TRIES):
        outcome = await venue.execution.send(verdict, instrument)
        if outcome.orders[0].reason is not RejectReason.NOT_SENT:
            break
        await asyncio.sleep(_PAUSE_S)
        await permitted()
    return outcome


def smallest_lots(instrument: Instrument, price: Ticks) -> Lots:
    """The fewest lots the venue takes at a price, with a margin for a moving price."""
    one = instrument.notional(price, 1)
    least = -(-instrument.min_notional * Decimal("1.1") // one)
    return max(instrument.min_lots, int(least), 1)


def _price(instrument: Instrument, best_bid: Ticks) -> Ticks:
    away = instrument.price(best_bid) * (1 - _AWAY_BPS / BPS)
    return max(instrument.price_ticks(away, Side.BUY), instrument.band_low or 1)


def _order(order: LoneOrder, instrument: Instrument, price: Ticks) -> NewOrder:
    slot = Slot(Side.BUY, 0)
    identity = OrderIdentity(tag=order.market.tag, epoch=order.epoch, cycle=0, slot=slot)
    return NewOrder(
        client_order_id=identity.encode(),
        slot=slot,
        side=Side.BUY,
        price=price,
        lots=smallest_lots(instrument, price),
        time_in_force=TimeInForce.GTC,
        post_only=True,
        reduce_only=False,
    )
