"""Our side of an account in one read, and every comparison ever made with the venue's.

The rule: our side is one snapshot of the ledger. What cannot be exact is named, never estimated.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.book_ports import AccountBooks, BookedOrder, ReconciliationRun
from infra.postgres.engine import Database
from infra.postgres.rows import printable
from infra.postgres.tables import RESTING
from infra.postgres.times import to_ms, to_time

# A position that was never marked is valued at its newest fill.
BOOKS: Final = text(f"""
SELECT 'position' AS part, p.symbol, NULL AS client_order_id, p.last_trade_at AS at,
       p.quantity AS amount,
       CASE WHEN p.unpriced = 0 THEN
           p.cash - p.fees + p.funding + CASE WHEN p.quantity = 0 THEN 0 ELSE
               p.quantity * i.multiplier * COALESCE((
                   SELECT e.mid FROM equity e
                   WHERE e.venue = p.venue AND e.account = p.account AND e.symbol = p.symbol
                   ORDER BY e.at DESC, e.epoch DESC LIMIT 1
               ), (
                   SELECT COALESCE(f.mid, f.price) FROM fills f
                   WHERE f.venue = p.venue AND f.account = p.account AND f.symbol = p.symbol
                   ORDER BY f.traded_at DESC, f.id DESC LIMIT 1
               ), (
                   SELECT a.price FROM adjustments a
                   WHERE a.venue = p.venue AND a.account = p.account AND a.symbol = p.symbol
                   ORDER BY a.at DESC, a.id DESC LIMIT 1
               ))
           END
       END AS pnl
FROM positions p
LEFT JOIN instruments i ON i.venue = p.venue AND i.symbol = p.symbol
WHERE p.venue = :venue AND p.account = :account
UNION ALL
SELECT 'order', symbol, client_order_id, sent_at, NULL, NULL FROM orders
WHERE venue = :venue AND account = :account AND {RESTING}
UNION ALL
SELECT 'transfers', NULL, NULL, NULL, COALESCE(sum(amount), 0), NULL FROM payments
WHERE venue = :venue AND account = :account AND kind = 'transfer'
UNION ALL
SELECT 'adjusted', symbol, NULL, max(at), sum(amount), NULL FROM adjustments
WHERE venue = :venue AND account = :account
GROUP BY symbol
ORDER BY symbol, at, client_order_id
""")  # noqa: S608 - a constant of ours

_RECORD: Final = text("""
INSERT INTO reconciliations (
    run_id, venue, account, kind, began_at, ended_at, requests, ours, theirs, differences,
    found, trouble
)
VALUES (
    :run_id, :venue, :account, :kind, :began_at, :ended_at, :requests, :ours, :theirs,
    :differences, :found, :trouble
)
ON CONFLICT DO NOTHING
""")

_LAST: Final = text("""
SELECT * FROM reconciliations
WHERE venue = :venue AND account = :account AND kind = :kind
ORDER BY began_at DESC, run_id DESC LIMIT 1
""")

_HISTORY: Final = text("""
SELECT * FROM reconciliations
WHERE began_at >= :since AND began_at < :until
    AND (CAST(:venue AS text) IS NULL OR venue = :venue)
    AND (CAST(:account AS text) IS NULL OR account = :account)
ORDER BY began_at DESC, venue, account, kind, run_id DESC LIMIT :limit
""")


class PostgresReconciliations:
    """The ReconciliationBook over PostgreSQL. Everything raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def books(self, venue: str, account: str) -> AccountBooks:
        """Our side of an account now, in one round trip."""
        rows = await self._rows(BOOKS, {"venue": venue, "account": account})
        parts: dict[str, list[Any]] = {"position": [], "order": [], "transfers": [], "adjusted": []}
        for row in rows:
            parts[row.part].append(row)
        positions = parts["position"]
        return AccountBooks(
            positions={row.symbol: row.amount for row in positions},
            orders=tuple(
                BookedOrder(
                    symbol=row.symbol,
                    client_order_id=row.client_order_id,
                    sent_at_ms=to_ms(row.at),
                )
                for row in parts["order"]
            ),
            last_trade_ms={row.symbol: to_ms(row.at) for row in positions if row.at is not None},
            pnl=sum((row.pnl for row in positions if row.pnl is not None), Decimal(0)),
            transfers=parts["transfers"][0].amount,
            adjusted=sum((row.amount for row in parts["adjusted"]), Decimal(0)),
            unpriced=tuple(row.symbol for row in positions if row.pnl is None),
            adjusted_ms={row.symbol: to_ms(row.at) for row in parts["adjusted"] if row.symbol},
        )

    async def record(self, run: ReconciliationRun) -> None:
        """Keep one run; recording it again changes nothing."""
        given = {
            "run_id": run.run_id,
            "venue": run.venue,
            "account": run.account,
            "kind": run.kind,
            "began_at": to_time(run.began_ms),
            "ended_at": to_time(run.ended_ms),
            "requests": run.requests,
            "ours": printable(run.ours),
            "theirs": printable(run.theirs),
            "differences": printable(run.differences),
            "found": run.found,
            "trouble": printable(run.trouble),
        }

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(_RECORD, given)

        await self._database.transaction(write)

    async def last(self, venue: str, account: str, kind: str) -> ReconciliationRun | None:
        """The newest run of a kind."""
        rows = await self._rows(_LAST, {"venue": venue, "account": account, "kind": kind})
        return _run(rows[0]) if rows else None

    async def history(
        self, venue: str | None, account: str | None, since_ms: int, until_ms: int, limit: int
    ) -> Sequence[ReconciliationRun]:
        """Runs that began at or after `since_ms` and before `until_ms`, newest first."""
        given = {
            "venue": venue,
            "account": account,
            "since": to_time(since_ms),
            "until": to_time(until_ms),
            "limit": limit,
        }
        return tuple(map(_run, await self._rows(_HISTORY, given)))

    async def _rows(self, statement: TextClause, given: Mapping[str, object]) -> Sequence[Any]:
        async def read(connection: AsyncConnection) -> Sequence[Any]:
            return (await connection.execute(statement, given)).fetchall()

        return await self._database.transaction(read)


def _run(row: Any) -> ReconciliationRun:
    return ReconciliationRun(
        run_id=row.run_id,
        venue=row.venue,
        account=row.account,
        kind=row.kind,
        began_ms=to_ms(row.began_at),
        ended_ms=to_ms(row.ended_at),
        requests=row.requests,
        ours=row.ours,
        theirs=row.theirs,
        differences=row.differences,
        found=row.found,
        trouble=row.trouble,
    )
