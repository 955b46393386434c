"""A day that is over and does not tie is told to a person, once it can be judged."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from desk.identity import MarketId
from desk.reconciliation import Tolerance
from desk.trading_day import DayRule
from flotilla.day_ties import tell_untied
from infra.postgres.engine import Database, open_database
from infra.postgres.history import PostgresHistory
from infra.postgres.schema import upgrade
from infra.postgres.times import to_ms
from tests.flotilla.test_ledger_command import DAY_MS, HOUR_MS, compared, traded

ONE = Tolerance()
NEXT_MORNING_MS = to_ms(datetime(2026, 3, 29, 3, 40, tzinfo=UTC))


class Told:
    """Alerts, as a person would read them."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def alert(self, market: MarketId | None, severity: str, text: str) -> None:
        assert (market, severity) == (None, "warning")
        self.texts.append(text)

    async def told(self, beginning: str, since_ms: int) -> bool:
        assert since_ms == DAY_MS + 24 * HOUR_MS, "nobody could be told before the day was over"
        return any(one.startswith(beginning) for one in self.texts)


async def judged(
    database: Database, told: Told, tolerance: Tolerance = ONE, *, days_late: int = 0
) -> str:
    history, now_ms = PostgresHistory(database), NEXT_MORNING_MS + days_late * 24 * HOUR_MS
    return await tell_untied(history, told, told.told, DayRule(), now_ms, tolerance)


@pytest.mark.services
async def test_a_day_is_told_when_it_is_off_and_not_otherwise(database_url: str) -> None:
    await upgrade(database_url)
    database, told = open_database(database_url), Told()
    try:
        assert await judged(database, told) == "day of 2026-03-28 00:00 UTC: nothing traded"
        await traded(database)
        assert (await judged(database, told)).endswith("ocx/main unknown")
        await compared(database, DAY_MS - 60_000, "1000")
        await compared(database, DAY_MS + 24 * HOUR_MS - 60_000, "1053.375")
        # Of the day that has begun, nothing counts yet.
        await compared(database, DAY_MS + 25 * HOUR_MS, "1")
        assert (await judged(database, told)).endswith("ocx/main ties")
        assert told.texts == []
        await compared(database, DAY_MS + 24 * HOUR_MS - 1, "1055")
        assert (await judged(database, told)).endswith("ocx/main off")
        (text,) = told.texts
        assert text.startswith(
            "the day that began 2026-03-28 00:00 UTC does not tie at ocx/main: "
            "+1.625 is not explained, more than 1"
        )
        assert (await judged(database, told, Tolerance(amount=Decimal(2)))).endswith("ties")
    finally:
        await database.close()


@pytest.mark.services
async def test_a_day_whose_round_did_not_come_is_told_by_a_later_one_and_only_once(
    database_url: str,
) -> None:
    await upgrade(database_url)
    database, told = open_database(database_url), Told()
    try:
        await traded(database)
        await compared(database, DAY_MS - 60_000, "1000")
        await compared(database, DAY_MS + 24 * HOUR_MS - 1, "1055")
        await judged(database, told, days_late=7)
        assert told.texts == [], "so long ago nobody looks"
        for days_late in (6, 2, 0):
            await judged(database, told, days_late=days_late)
            assert len(told.texts) == 1
    finally:
        await database.close()
