"""Sampled decisions on record: what took quotes away and why, long after the journals are gone.

The rule: a sample is written once, whoever writes it how often, and never changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.identity import MarketId, OrderIdentity, base36
from desk.trace_ports import REPLACES_ALL, DecisionSample
from desk.units import Side
from infra.postgres.engine import Database
from infra.postgres.rows import columns, printable
from infra.postgres.times import to_ms, to_time

_RECORD: Final = text("""
INSERT INTO decision_samples (
    run_id, venue, account, symbol, epoch, at, step, kind, reason, frame
)
SELECT * FROM unnest(
    CAST(:run_id AS text[]), CAST(:venue AS text[]), CAST(:account AS text[]),
    CAST(:symbol AS text[]), CAST(:epoch AS bigint[]), CAST(:at AS timestamptz[]),
    CAST(:step AS bigint[]), CAST(:kind AS text[]), CAST(:reason AS text[]),
    CAST(:frame AS bytea[])
)
ON CONFLICT DO NOTHING
""")

_COLUMNS: Final = (
    *("run_id", "venue", "account", "symbol", "epoch"),
    *("at", "step", "kind", "reason", "frame"),
)

_SESSIONS: Final = text("""
SELECT venue, account, symbol FROM session_epochs WHERE epoch = :epoch
""")

_ORDER: Final = text("""
SELECT o.venue, o.account, o.symbol, o.epoch, o.batch_id, o.side, o.price, o.quantity, o.sent_at,
       o.outcome, o.message, o.answered_at, o.ended_at, o.ending, e.run_id
FROM orders o
LEFT JOIN session_epochs e ON (e.venue, e.account, e.symbol, e.epoch) = (
    o.venue, o.account, o.symbol, o.epoch
)
WHERE o.venue = :venue AND o.account = :account AND o.symbol = :symbol
  AND o.client_order_id = :client_order_id AND o.sent_at IS NOT NULL
""")

_AFTER: Final = text("""
SELECT client_order_id, batch_id, price, quantity, sent_at FROM orders
WHERE venue = :venue AND account = :account AND symbol = :symbol AND epoch = :epoch
  AND sent_at >= :since AND sent_at <= :until AND client_order_id LIKE :same_slot
  AND client_order_id <> :client_order_id
ORDER BY sent_at LIMIT 1
""")

_SAMPLES: Final = text("""
SELECT run_id, venue, account, symbol, epoch, at, step, kind, reason, frame FROM decision_samples
WHERE venue = :venue AND account = :account AND symbol = :symbol AND epoch = :epoch
  AND at >= :since AND at <= :until
  AND (
    kind IN ('pull', 'leave') OR strpos(reason, :client_order_id) > 0
    OR kind = 'send' AND strpos(reason, :replaces_all) > 0 AND NOT starts_with(reason, :own)
  )
ORDER BY at, step, kind LIMIT :most
""")

_FILLS: Final = text("""
SELECT traded_at, quantity, price FROM fills
WHERE venue = :venue AND account = :account AND symbol = :symbol
  AND client_order_id = :client_order_id AND traded_at >= :traded_since
ORDER BY traded_at
""")

_MOST_SAMPLES: Final = 200
LATE: Final = timedelta(seconds=1)
"""A session tells both times by its own clocks, and an end never before the decision for it."""
_LONG: Final = timedelta(days=1)
_CLOCKS: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterOrder:
    """The next order in the same place of the ladder; price and size as the venue writes them."""

    client_order_id: str
    batch_id: str
    price: str
    quantity: str
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRecord:
    """All that is on record about one order and what may have taken it away.

    `samples` are the decisions of its session that name it or take everything, from its sending
    until its end, or for a day where no end is known. `next_order` was sent before that end.
    `fills` are sentences.
    """

    market: MarketId
    epoch: int
    run_id: str
    client_order_id: str
    batch_id: str
    side: str
    price: str
    quantity: str
    sent_at: datetime
    outcome: str
    message: str
    ended_at: datetime | None
    ending: str
    fills: tuple[str, ...]
    next_order: LaterOrder | None
    samples: tuple[DecisionSample, ...]


class PostgresSamples:
    """The SampleBook over PostgreSQL, and the reading of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, samples: Sequence[DecisionSample]) -> None:
        """Keep samples; recording them again changes nothing. Raises Unavailable."""
        given = columns(_COLUMNS, (_row(one) for one in samples))
        if given:
            await self._database.transaction(lambda connection: connection.execute(_RECORD, given))

    async def order(self, client_order_id: str) -> OrderRecord | None:
        """What is on record about an order; None when it is not. Raises Unavailable."""
        identity = OrderIdentity.decode(client_order_id)
        if identity is None:
            return None
        known = identity

        async def read(connection: AsyncConnection) -> OrderRecord | None:
            # An id names its market by a hash: whose it is, the sessions of that epoch tell.
            for row in await _read(connection, _SESSIONS, {"epoch": known.epoch}):
                market = MarketId(row.venue, row.account, row.symbol)
                if market.tag == known.tag:
                    return await _order(connection, market, client_order_id)
            return None

        return await self._database.transaction(read)


def _row(sample: DecisionSample) -> tuple[object, ...]:
    market = sample.market
    return (
        *(sample.run_id, market.venue, market.account, market.symbol, sample.epoch),
        *(to_time(sample.at_ms), sample.step, sample.kind, printable(sample.reason), sample.frame),
    )


async def _order(
    connection: AsyncConnection, market: MarketId, client_order_id: str
) -> OrderRecord | None:
    place = {"venue": market.venue, "account": market.account, "symbol": market.symbol}
    name = {**place, "client_order_id": client_order_id}
    found = await _read(connection, _ORDER, name)
    if not found:
        return None
    row = found[0]
    # Orders are written with the time they were sent, decisions with that just before it.
    since = row.sent_at - timedelta(milliseconds=5)
    until = row.sent_at + _LONG if row.ended_at is None else row.ended_at + LATE
    session = {**name, "epoch": row.epoch, "since": since, "until": until}
    later = await _read(connection, _AFTER, {**session, "same_slot": _same_slot(client_order_id)})
    words = {"replaces_all": REPLACES_ALL, "own": f"{row.batch_id}:", "most": _MOST_SAMPLES}
    samples = await _read(connection, _SAMPLES, {**session, **words})
    # The venue's clock is not ours.
    fills = await _read(connection, _FILLS, {**name, "traded_since": since - _CLOCKS})
    return OrderRecord(
        market=market,
        epoch=row.epoch,
        run_id=row.run_id or "",
        client_order_id=client_order_id,
        batch_id=row.batch_id,
        side=row.side,
        price=_plain(row.price),
        quantity=_plain(row.quantity),
        sent_at=row.sent_at,
        outcome=row.outcome or "",
        message=row.message or "",
        ended_at=row.ended_at,
        ending=row.ending or "",
        fills=tuple(f"{_plain(one.quantity)} @ {_plain(one.price)}" for one in fills),
        next_order=_later(later[0]) if later else None,
        samples=tuple(_sample(one) for one in samples),
    )


async def _read(
    connection: AsyncConnection, statement: TextClause, given: dict[str, Any]
) -> Sequence[Any]:
    return (await connection.execute(statement, given)).all()


def _same_slot(client_order_id: str) -> str:
    """Pattern of ids in the same place of the same session's ladder; of nothing for foreign ids."""
    identity = OrderIdentity.decode(client_order_id)
    if identity is None:
        return ""
    side = "b" if identity.slot.side is Side.BUY else "s"
    return f"f{identity.tag}-{base36(identity.epoch)}-%-{side}{base36(identity.slot.level)}"


def _later(row: Any) -> LaterOrder:
    return LaterOrder(
        client_order_id=row.client_order_id,
        batch_id=row.batch_id,
        price=_plain(row.price),
        quantity=_plain(row.quantity),
        sent_at=row.sent_at,
    )


def _sample(row: Any) -> DecisionSample:
    return DecisionSample(
        run_id=row.run_id,
        market=MarketId(row.venue, row.account, row.symbol),
        epoch=row.epoch,
        at_ms=to_ms(row.at),
        step=row.step,
        kind=row.kind,
        reason=row.reason,
        frame=bytes(row.frame),
    )


def _plain(value: Any) -> str:
    return "" if value is None else f"{value.normalize():f}"
