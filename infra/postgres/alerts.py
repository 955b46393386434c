"""Tells a person: every alert is logged first, then recorded, so that none needs PostgreSQL."""

from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.identity import MarketId
from infra.postgres.engine import Database
from infra.postgres.rows import printable
from infra.postgres.times import to_time

_log = structlog.get_logger(__name__)

_ALERT: Final = text("""
INSERT INTO alerts (venue, account, symbol, severity, text)
VALUES (:venue, :account, :symbol, :severity, :text)
""")

_TOLD: Final = text("""
SELECT EXISTS (SELECT 1 FROM alerts WHERE at >= :since AND starts_with(text, :beginning))
""")


class PostgresAlerts:
    """The AlertPort over the `alerts` table and the log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def alert(self, market: MarketId | None, severity: str, text: str) -> None:
        """Log one alert and record it; Unavailable when it could only be logged."""
        path = market.path if market else None
        _log.error("alert", market=path, severity=severity, text=text)
        given = {
            "venue": market.venue if market else None,
            "account": market.account if market else None,
            "symbol": market.symbol if market else None,
            "severity": severity,
            "text": printable(text),
        }
        await self._database.transaction(lambda connection: connection.execute(_ALERT, given))

    async def told(self, beginning: str, since_ms: int) -> bool:
        """Whether an alert that begins so is on record since a time; Unavailable."""
        given = {"beginning": printable(beginning), "since": to_time(since_ms)}

        async def read(connection: AsyncConnection) -> bool:
            return bool((await connection.execute(_TOLD, given)).scalar_one())

        return await self._database.transaction(read)
