"""Writes a batch of ledger records in one transaction; writing it twice changes nothing.

The rule: in whatever order words on an order come, the same stand in the end: its first sending,
the last certain answer, the earliest end.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.arbitrage_records import TradeFired
from desk.identity import MarketId
from desk.records import (
    ControlDecision,
    EquityMark,
    FillSeen,
    KillAnswer,
    LedgerRecord,
    OrderAnswered,
    OrderEnded,
    OrderSent,
)
from infra.postgres.arbitrage_trades import write_trades
from infra.postgres.booking import book_fills
from infra.postgres.control import place
from infra.postgres.rows import (
    Columns,
    answer_columns,
    answered_columns,
    decision_columns,
    ended_columns,
    equity_columns,
    printable,
    sent_columns,
)
from infra.postgres.tables import RESTING
from infra.postgres.times import to_time

R = TypeVar("R")

ORDERS_SENT: Final = text("""
INSERT INTO orders AS o (
    venue, account, symbol, client_order_id, epoch, batch_id, side, price_ticks, lots,
    price, quantity, reduce_only, sent_at
)
SELECT s.venue, s.account, s.symbol, s.client_order_id, s.epoch, s.batch_id, s.side,
       s.price_ticks, s.lots, s.price_ticks * COALESCE(s.tick_size, i.tick_size),
       s.lots * COALESCE(s.lot_size, i.lot_size),
       s.reduce_only, s.sent_at
FROM unnest(
    CAST(:venue AS text[]), CAST(:account AS text[]), CAST(:symbol AS text[]),
    CAST(:client_order_id AS text[]), CAST(:epoch AS bigint[]), CAST(:batch_id AS text[]),
    CAST(:side AS text[]), CAST(:price_ticks AS bigint[]), CAST(:lots AS bigint[]),
    CAST(:reduce_only AS boolean[]), CAST(:sent_at AS timestamptz[]),
    CAST(:tick_size AS numeric[]), CAST(:lot_size AS numeric[])
) AS s(
    venue, account, symbol, client_order_id, epoch, batch_id, side, price_ticks, lots,
    reduce_only, sent_at, tick_size, lot_size
)
LEFT JOIN instruments i ON i.venue = s.venue AND i.symbol = s.symbol
ON CONFLICT (venue, account, symbol, client_order_id) DO UPDATE SET
    epoch = excluded.epoch, batch_id = excluded.batch_id, side = excluded.side,
    price_ticks = excluded.price_ticks, lots = excluded.lots, price = excluded.price,
    quantity = excluded.quantity, reduce_only = excluded.reduce_only, sent_at = excluded.sent_at
WHERE o.sent_at IS NULL OR o.sent_at > excluded.sent_at
""")

_ANSWERS_BETTER: Final = """(
    o.outcome IS NULL OR (
        excluded.outcome <> 'unresolved', excluded.answered_at,
        excluded.outcome COLLATE "C", excluded.message COLLATE "C"
    ) > (
        o.outcome <> 'unresolved', o.answered_at, o.outcome COLLATE "C", o.message COLLATE "C"
    )
)"""

ORDERS_ANSWERED: Final = text(f"""
INSERT INTO orders AS o (
    venue, account, symbol, client_order_id, outcome, venue_order_id, message, answered_at
)
SELECT * FROM unnest(
    CAST(:venue AS text[]), CAST(:account AS text[]), CAST(:symbol AS text[]),
    CAST(:client_order_id AS text[]), CAST(:outcome AS text[]),
    CAST(:venue_order_id AS text[]), CAST(:message AS text[]), CAST(:answered_at AS timestamptz[])
)
ON CONFLICT (venue, account, symbol, client_order_id) DO UPDATE SET
    outcome = CASE WHEN {_ANSWERS_BETTER} THEN excluded.outcome ELSE o.outcome END,
    message = CASE WHEN {_ANSWERS_BETTER} THEN excluded.message ELSE o.message END,
    answered_at = CASE WHEN {_ANSWERS_BETTER} THEN excluded.answered_at ELSE o.answered_at END,
    venue_order_id = CASE WHEN {_ANSWERS_BETTER}
        THEN COALESCE(excluded.venue_order_id, o.venue_order_id)
        ELSE COALESCE(o.venue_order_id, excluded.venue_order_id) END
WHERE {_ANSWERS_BETTER} OR (o.venue_order_id IS NULL AND excluded.venue_order_id IS NOT NULL)
""")  # noqa: S608 - a constant of ours

# An order ends once: the earliest word on it stands, in whatever order words come.
ORDERS_ENDED: Final = text("""
INSERT INTO orders AS o (venue, account, symbol, client_order_id, ended_at, ending)
SELECT * FROM unnest(
    CAST(:venue AS text[]), CAST(:account AS text[]), CAST(:symbol AS text[]),
    CAST(:client_order_id AS text[]), CAST(:ended_at AS timestamptz[]), CAST(:ending AS text[])
)
ON CONFLICT (venue, account, symbol, client_order_id) DO UPDATE SET
    ended_at = excluded.ended_at, ending = excluded.ending
WHERE o.ended_at IS NULL
    OR (o.ended_at, o.ending COLLATE "C") > (excluded.ended_at, excluded.ending COLLATE "C")
""")

_END_ALL: Final = text(f"""
UPDATE orders SET ended_at = :at, ending = :how
WHERE venue = :venue AND account = :account AND symbol = :symbol AND epoch <= :epoch
    AND {RESTING}
RETURNING 1
""")  # noqa: S608 - a constant of ours

EQUITY: Final = text("""
WITH marked AS (
    INSERT INTO equity (
        venue, account, symbol, epoch, at, pnl, peak, position_lots, mid
    )
    SELECT * FROM unnest(
        CAST(:venue AS text[]), CAST(:account AS text[]), CAST(:symbol AS text[]),
        CAST(:epoch AS bigint[]), CAST(:at AS timestamptz[]), CAST(:pnl AS numeric[]),
        CAST(:peak AS numeric[]), CAST(:position_lots AS bigint[]), CAST(:mid AS numeric[])
    )
    ON CONFLICT (venue, account, symbol, at, epoch) DO NOTHING
    RETURNING venue, account, symbol, epoch, peak
)
INSERT INTO equity_peaks AS p (venue, account, symbol, epoch, peak)
SELECT venue, account, symbol, epoch, max(peak)
FROM marked
GROUP BY venue, account, symbol, epoch
ORDER BY venue, account, symbol, epoch
ON CONFLICT (venue, account, symbol, epoch) DO UPDATE SET
    peak = GREATEST(p.peak, excluded.peak)
""")

DECISIONS: Final = text("""
INSERT INTO control_decisions (
    venue, account, symbol, epoch, kind, reason, decided_by, evidence, at, digest
)
SELECT * FROM unnest(
    CAST(:venue AS text[]), CAST(:account AS text[]), CAST(:symbol AS text[]),
    CAST(:epoch AS bigint[]), CAST(:kind AS text[]), CAST(:reason AS text[]),
    CAST(:decided_by AS text[]), CAST(:evidence AS text[]), CAST(:at AS timestamptz[]),
    CAST(:digest AS text[])
)
ON CONFLICT (digest) DO NOTHING
""")

KILL_ANSWERS: Final = text("""
INSERT INTO kill_answers (scope, set_at, venue, account, symbol, stage, at, evidence)
SELECT * FROM unnest(
    CAST(:scope AS text[]), CAST(:set_at AS timestamptz[]), CAST(:venue AS text[]),
    CAST(:account AS text[]), CAST(:symbol AS text[]), CAST(:stage AS text[]),
    CAST(:at AS timestamptz[]), CAST(:evidence AS text[])
)
ON CONFLICT (scope, set_at, venue, account, symbol, stage) DO NOTHING
""")


async def write_batch(connection: AsyncConnection, batch: Sequence[LedgerRecord]) -> None:
    """Write records of any kinds, oldest first. ValueError or OverflowError for bad content."""
    await _write(connection, ORDERS_SENT, sent_columns(_of(OrderSent, batch)))
    await _write(connection, ORDERS_ANSWERED, answered_columns(_of(OrderAnswered, batch)))
    await _write(connection, ORDERS_ENDED, ended_columns(_of(OrderEnded, batch)))
    await book_fills(connection, _of(FillSeen, batch))
    await _write(connection, EQUITY, equity_columns(_of(EquityMark, batch)))
    await _write(connection, DECISIONS, decision_columns(_of(ControlDecision, batch)))
    await _write(connection, KILL_ANSWERS, answer_columns(_of(KillAnswer, batch)))
    await write_trades(connection, _of(TradeFired, batch))


async def end_orders(
    connection: AsyncConnection, market: MarketId, epoch: int, how: str, at_ms: int
) -> int:
    """End what rests by our books of this epoch and older ones; how many orders that were."""
    given = {**place(market), "epoch": epoch, "how": printable(how), "at": to_time(at_ms)}
    return len((await connection.execute(_END_ALL, given)).fetchall())


async def write_answer(connection: AsyncConnection, answer: KillAnswer) -> None:
    """Write one stage of an answer to a kill; the first word on it stands."""
    await _write(connection, KILL_ANSWERS, answer_columns([answer]))


async def write_decision(connection: AsyncConnection, decision: ControlDecision) -> None:
    """Write one control decision; writing it again changes nothing."""
    await _write(connection, DECISIONS, decision_columns([decision]))


def _of(kind: type[R], batch: Sequence[LedgerRecord]) -> list[R]:
    return [record for record in batch if isinstance(record, kind)]


async def _write(connection: AsyncConnection, statement: TextClause, given: Columns) -> None:
    if given:
        await connection.execute(statement, given)
