"""Breaks in PostgreSQL: opened once, settled once, kept for ever with both sides.

The rule: what a decision books is booked by the transaction that settles the break, or not at all.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.book_ports import Adjustment
from desk.breaks import Break, BreakDecision, BreakKind, FoundBreak
from infra.postgres.adjustments import book_adjustment
from infra.postgres.engine import Database
from infra.postgres.rows import printable
from infra.postgres.times import to_ms, to_time

# A finding that comes again, as of an activity that is repeated, is not a new break because the
# first one was settled meanwhile; nor is what somebody read before a person or a written rule
# decided on it. Sights are dated by whoever looked: one of a clock that runs ahead counts until the
# settlement at most, or a difference that stands would be old news for as long as it ran ahead.
_OLD_NEWS: Final = text("""
SELECT * FROM breaks
WHERE venue = :venue AND account = :account AND kind = :kind
    AND COALESCE(symbol, '') = COALESCE(CAST(:symbol AS text), '')
    AND settled_at IS NOT NULL
    AND (
        LEAST(last_seen_at, settled_at) > :found_at
        OR (last_seen_at = :found_at AND text = :text)
        OR (decision <> 'rule' AND settled_at >= :found_at)
    )
ORDER BY id DESC LIMIT 1
""")

_OPEN: Final = text("""
INSERT INTO breaks AS b (
    venue, account, symbol, kind, text, ours, theirs, found_by, found_at, last_seen_at
)
VALUES (
    :venue, :account, CAST(:symbol AS text), :kind, :text, :ours, :theirs, :found_by,
    CAST(:found_at AS timestamptz), CAST(:found_at AS timestamptz)
)
ON CONFLICT (venue, account, COALESCE(symbol, ''), kind) WHERE settled_at IS NULL DO UPDATE SET
    seen = b.seen + CASE WHEN excluded.found_at > b.last_seen_at THEN 1 ELSE 0 END,
    last_seen_at = GREATEST(b.last_seen_at, excluded.found_at)
RETURNING *
""")

_STANDING: Final = text("""
SELECT * FROM breaks
WHERE settled_at IS NULL
    AND (CAST(:venue AS text) IS NULL OR venue = :venue)
    AND (CAST(:account AS text) IS NULL OR account = :account)
ORDER BY found_at, id
""")

_GET: Final = text("SELECT * FROM breaks WHERE id = :number")

_SETTLE: Final = text("""
UPDATE breaks SET
    decision = :decision, settled_by = :by, reason = :reason, settled_at = clock_timestamp()
WHERE id = :number AND settled_at IS NULL
RETURNING venue, account, symbol
""")

_RECENT: Final = text("SELECT * FROM breaks ORDER BY id DESC LIMIT :limit")

_ONE_AT_A_TIME: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


class PostgresBreaks:
    """The BreakBook over PostgreSQL. Everything raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, found: FoundBreak) -> Break:
        """Record a break, or note that the one already open was seen again; the one on record.

        A finding older than the last sight of a settled break (by the settlement at the latest) or
        than the decision on it, or that very sight told again, opens nothing: the break comes back
        as it was settled.
        """
        given = {
            "venue": found.venue,
            "account": found.account,
            "symbol": found.symbol,
            "kind": found.kind.value,
            "text": printable(found.text),
            "ours": printable(found.ours),
            "theirs": printable(found.theirs),
            "found_by": printable(found.found_by),
            "found_at": to_time(found.found_at_ms),
        }
        name = f"break:{found.kind}:{found.scope}"

        async def work(connection: AsyncConnection) -> Break:
            await connection.execute(_ONE_AT_A_TIME, {"name": name})
            row = (await connection.execute(_OLD_NEWS, given)).first()
            if row is None:
                row = (await connection.execute(_OPEN, given)).one()
            return _break(row)

        return await self._database.transaction(work)

    async def standing(
        self, venue: str | None = None, account: str | None = None
    ) -> Sequence[Break]:
        """Open breaks, oldest first."""
        return await self._breaks(_STANDING, {"venue": venue, "account": account})

    async def get(self, number: int) -> Break | None:
        """One break; None for an unknown number."""
        found = await self._breaks(_GET, {"number": number})
        return found[0] if found else None

    async def settle(
        self,
        number: int,
        decision: BreakDecision,
        by: str,
        reason: str,
        adjustment: Adjustment | None = None,
    ) -> bool:
        """Settle it and book what was decided, in one transaction; False when it was not open.

        ValueError without a name, for an adjustment of another account or market than the
        break's, or for one where the decision books nothing.
        """
        if not by.strip():
            raise ValueError("by: nobody is named; say who settles the break, or which rule")
        if adjustment is not None and decision is BreakDecision.RECHECK:
            raise ValueError("adjustment: 'recheck' books nothing; decide 'venue' or leave it out")
        given = {
            "number": number,
            "decision": decision.value,
            "by": printable(by),
            "reason": printable(reason),
        }

        async def work(connection: AsyncConnection) -> bool:
            row = (await connection.execute(_SETTLE, given)).first()
            if row is None:
                return False
            if adjustment is not None:
                _check_place(row, adjustment)
                await book_adjustment(connection, number, adjustment, reason)
            return True

        return await self._database.transaction(work)

    async def recent(self, limit: int) -> Sequence[Break]:
        """Breaks, newest first, settled ones too."""
        return await self._breaks(_RECENT, {"limit": limit})

    async def _breaks(self, statement: TextClause, given: Mapping[str, object]) -> Sequence[Break]:
        async def read(connection: AsyncConnection) -> Sequence[Break]:
            return tuple(map(_break, await connection.execute(statement, given)))

        return await self._database.transaction(read)


def _check_place(row: Any, adjustment: Adjustment) -> None:
    same = (adjustment.venue, adjustment.account) == (row.venue, row.account)
    if not same or (row.symbol is not None and adjustment.symbol != row.symbol):
        raise ValueError(
            f"adjustment: {adjustment.venue}/{adjustment.account}/{adjustment.symbol} is not what "
            f"the break is of, which is {row.venue}/{row.account}/{row.symbol}"
        )


def _break(row: Any) -> Break:
    return Break(
        number=row.id,
        found=FoundBreak(
            venue=row.venue,
            account=row.account,
            symbol=row.symbol,
            kind=BreakKind(row.kind),
            text=row.text,
            ours=row.ours,
            theirs=row.theirs,
            found_by=row.found_by,
            found_at_ms=to_ms(row.found_at),
        ),
        last_seen_ms=to_ms(row.last_seen_at),
        settled_by=row.settled_by,
        decision=None if row.decision is None else BreakDecision(row.decision),
        reason=row.reason,
        settled_at_ms=None if row.settled_at is None else to_ms(row.settled_at),
    )
