"""Order intents, answers, ends and fills as ledger records.

The rule: an intent is handed to the writer before its bytes leave.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from desk.identity import MarketId, OrderIdentity
from desk.instrument import Instrument
from desk.orders import Batch, BatchOutcome, Fill, OrderOutcome, OutcomeKind, VenueOrder
from desk.ports import Clock, LedgerWriter
from desk.records import FillSeen, OrderAnswered, OrderEnded, OrderSent
from desk.units import NS_PER_MS

FOUND: Final = "found at the venue"
"""Batch of an order that the record learned of from the venue."""


def record_fill(
    ledger: LedgerWriter, market: MarketId, instrument: Instrument, fill: Fill, mid: Decimal | None
) -> None:
    """One fill, with what its ticks and lots mean today: it may be booked much later."""
    ledger.record(
        FillSeen(
            market=market,
            fill=fill,
            mid=mid,
            tick_size=instrument.tick_size,
            lot_size=instrument.lot_size,
            multiplier=instrument.multiplier,
        )
    )


def record_sent(
    ledger: LedgerWriter,
    clock: Clock,
    market: MarketId,
    instrument: Instrument,
    epoch: int,
    batch: Batch,
) -> None:
    """One record for each order of a batch that is about to be sent."""
    at_ms = clock.wall_ns() // NS_PER_MS
    for order in batch.orders:
        ledger.record(
            OrderSent(
                market=market,
                epoch=epoch,
                client_order_id=order.client_order_id,
                batch_id=batch.batch_id,
                side=order.side,
                price=order.price,
                lots=order.lots,
                reduce_only=order.reduce_only,
                sent_at_ms=at_ms,
                tick_size=instrument.tick_size,
                lot_size=instrument.lot_size,
            )
        )


def record_answer(
    ledger: LedgerWriter, clock: Clock, market: MarketId, outcome: BatchOutcome
) -> None:
    """One record for each order a batch was answered about."""
    at_ms = clock.wall_ns() // NS_PER_MS
    for order in outcome.orders:
        ledger.record(
            OrderAnswered(
                market=market,
                client_order_id=order.client_order_id,
                kind=order.kind,
                venue_order_id=order.venue_order_id,
                message=order.message,
                answered_at_ms=at_ms,
            )
        )


def record_ended(
    ledger: LedgerWriter, clock: Clock, market: MarketId, client_order_id: str, how: str
) -> None:
    """One order of ours rests no more; `how` in a word or two."""
    ledger.record(
        OrderEnded(
            market=market,
            client_order_id=client_order_id,
            how=how,
            ended_at_ms=clock.wall_ns() // NS_PER_MS,
        )
    )


def record_over(
    ledger: LedgerWriter, clock: Clock, market: MarketId, order: OrderOutcome, how: str
) -> None:
    """The same of an order that certainly rests no more, unless it was never taken."""
    if order.kind is not OutcomeKind.REJECTED:
        record_ended(ledger, clock, market, order.client_order_id, how)


def record_found(
    ledger: LedgerWriter, clock: Clock, market: MarketId, found: Iterable[VenueOrder], how: str
) -> tuple[str, ...]:
    """Keep orders of ours that the venue showed, in case nobody recorded them; their ids.

    What is known of an order already stands. `how` they ended, empty when they may still rest.
    Orders whose ids do not decode to the market are not ours and are left out.
    """
    at_ms, ids = clock.wall_ns() // NS_PER_MS, list[str]()
    for order in found:
        identity = OrderIdentity.decode(order.client_order_id or "")
        if identity is None or identity.tag != market.tag:
            continue
        client_order_id = identity.encode()
        ids.append(client_order_id)
        ledger.record(
            OrderSent(
                market=market,
                epoch=identity.epoch,
                client_order_id=client_order_id,
                batch_id=FOUND,
                side=order.side,
                price=order.price,
                lots=order.remaining,
                reduce_only=order.reduce_only,
                sent_at_ms=at_ms,
            )
        )
        if how:
            record_ended(ledger, clock, market, client_order_id, how)
    return tuple(ids)


def orders_of(fills: Iterable[Fill], listed: Iterable[VenueOrder] = ()) -> tuple[VenueOrder, ...]:
    """The orders that fills name, as far as is known: the price of one, the lots of all.

    What remained of an order when it was `listed` is added.
    """
    rested = {order.client_order_id: order.remaining for order in listed}
    orders: dict[str, VenueOrder] = {}
    for fill in fills:
        name = fill.client_order_id
        if name is None:
            continue
        before = orders[name].remaining if name in orders else rested.get(name, 0)
        orders[name] = VenueOrder(
            symbol=fill.symbol,
            side=fill.side,
            price=fill.price,
            remaining=before + fill.lots,
            venue_order_id=fill.venue_order_id or "",
            client_order_id=name,
        )
    return tuple(orders.values())
