"""Order intents and answers as ledger records."""

from desk.identity import MarketId
from desk.orders import Batch, BatchOutcome
from desk.ports import Clock, LedgerWriter
from desk.records import OrderAnswered, OrderSent
from desk.units import NS_PER_MS


def record_sent(
    ledger: LedgerWriter, clock: Clock, market: MarketId, epoch: int, batch: Batch
) -> None:
    """One record for each order of a batch that is on its way."""
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
