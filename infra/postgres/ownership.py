"""What the ledger says of markets whose owner is looked for: positions and how lives ended.

The rule: reads only, and only rows of one account; a market that never had an epoch is not ours.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.identity import MarketId
from desk.ownership import BookedExposure
from desk.records import LostLease
from infra.postgres.engine import Database
from infra.postgres.tables import RESTING
from infra.postgres.times import to_ms

# The newest epoch says whether a hedge or a set holds the market; a hedge's life is recorded at the
# market whose inventory it hedges, that of a set at each of its legs.
_EXPOSURES: Final = text("""
WITH asked AS (
    SELECT unnest(CAST(:symbols AS text[])) AS symbol
    UNION
    SELECT symbol FROM positions WHERE venue = :venue AND account = :account AND quantity <> 0
)
SELECT a.symbol, COALESCE(p.quantity, 0) AS quantity,
       h.source_venue, h.source_account, h.source_symbol,
       CASE WHEN newest.owner LIKE 'arbitrage/%'
           THEN 'arbitrage/' || split_part(newest.owner, '/', 2) ELSE ''
       END AS arbitrage,
       COALESCE((
           SELECT d.kind FROM control_decisions d
           WHERE d.venue = COALESCE(h.source_venue, :venue)
               AND d.account = COALESCE(h.source_account, :account)
               AND d.symbol = COALESCE(h.source_symbol, a.symbol)
               AND CASE
                   WHEN newest.owner LIKE 'arbitrage/%' THEN d.kind LIKE 'arbitrage st%'
                   WHEN h.id IS NULL THEN d.kind LIKE '%->%' OR d.kind LIKE 'flatten %'
                   ELSE d.kind LIKE 'hedge st%'
               END
           ORDER BY d.at DESC, d.id DESC LIMIT 1
       ), '') AS last_step
FROM asked a
JOIN LATERAL (
    SELECT e.owner FROM session_epochs e
    WHERE e.venue = :venue AND e.account = :account AND e.symbol = a.symbol
    ORDER BY e.epoch DESC LIMIT 1
) AS newest ON true
LEFT JOIN positions p
    ON p.venue = :venue AND p.account = :account AND p.symbol = a.symbol
LEFT JOIN LATERAL (
    SELECT o.id, o.source_venue, o.source_account, o.source_symbol FROM hedge_obligations o
    WHERE o.venue = :venue AND o.account = :account AND o.symbol = a.symbol
        AND newest.owner LIKE 'hedge/%'
    ORDER BY o.id DESC LIMIT 1
) AS h ON true
ORDER BY a.symbol
""")


_QUOTED: Final = text("""
SELECT EXISTS (
    SELECT 1 FROM session_epochs WHERE venue = :venue AND account = :account
)
""")


# Few orders rest at a time, so this starts from their index and not from the markets.
_RESTING: Final = text(f"""
WITH markets AS (SELECT DISTINCT venue, account, symbol FROM orders WHERE {RESTING})
SELECT m.venue, m.account, m.symbol, e.epoch, e.owner, clock_timestamp() AS at
FROM markets m
JOIN LATERAL (
    SELECT epoch, owner FROM session_epochs e
    WHERE e.venue = m.venue AND e.account = m.account AND e.symbol = m.symbol
    ORDER BY epoch DESC LIMIT 1
) AS e ON true
ORDER BY m.venue, m.account, m.symbol
""")  # noqa: S608 - a constant of ours


class PostgresOwnership:
    """The OwnershipBook port over PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def quoted(self, venue: str, account: str) -> bool:
        """Whether any market of this account ever had an epoch here. Raises Unavailable."""
        given = {"venue": venue, "account": account}
        found = await self._database.transaction(lambda c: c.execute(_QUOTED, given))
        return bool(found.scalar_one())

    async def resting(self) -> Sequence[LostLease]:
        """Markets in which orders rest by our books, with the newest epoch and who opened it.

        Raises Unavailable.
        """

        async def read(connection: AsyncConnection) -> Sequence[Row[tuple[object, ...]]]:
            return (await connection.execute(_RESTING)).fetchall()

        return tuple(
            LostLease(
                market=MarketId(row.venue, row.account, row.symbol),
                epoch=row.epoch,
                owner=row.owner,
                expired_at_ms=to_ms(row.at),
            )
            for row in await self._database.transaction(read)
        )

    async def exposures(
        self, venue: str, account: str, symbols: Sequence[str]
    ) -> Sequence[BookedExposure]:
        """Markets of these symbols that were ever ours, and all others with a booked position.

        Raises Unavailable.
        """
        given = {"venue": venue, "account": account, "symbols": list(symbols)}

        async def read(connection: AsyncConnection) -> Sequence[Row[tuple[object, ...]]]:
            return (await connection.execute(_EXPOSURES, given)).fetchall()

        return tuple(
            BookedExposure(
                market=MarketId(venue, account, row.symbol),
                quantity=row.quantity,
                last_step=row.last_step,
                hedges=(
                    MarketId(row.source_venue, row.source_account, row.source_symbol)
                    if row.source_symbol
                    else None
                ),
                arbitrage=row.arbitrage,
            )
            for row in await self._database.transaction(read)
        )
