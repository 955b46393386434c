"""Tables that grow have their months before they are needed, by one daily round."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.upkeep import UpkeepActivities
from desk.identity import MarketId
from flotilla.upkeep import upkeep_of, words
from infra.postgres.engine import open_database
from infra.postgres.partitions import MonthsKept, database_time, keep_partitions
from infra.settings import load_settings
from tests.activities.conftest import OpenDesk


async def test_a_round_makes_a_month_that_is_not_there_and_a_second_has_nothing_to_do(
    open_desk: OpenDesk, database_url: str
) -> None:
    async with open_desk() as desk:
        keep = UpkeepActivities(desk.ports).keep_tables
        await ActivityEnvironment().run(keep, "main")
        month = f"equity_{datetime.now(UTC):%Y_%m}"
        database = open_database(database_url)
        try:
            await database.transaction(lambda c: c.execute(text(f"DROP TABLE {month}")))
        finally:
            await database.close()
        assert (await ActivityEnvironment().run(keep, "main")).startswith(f"made {month}; day of ")
        assert (await ActivityEnvironment().run(keep, "main")).startswith(
            "nothing was due; day of "
        )


class Heard:
    """Alerts, kept."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def alert(self, market: MarketId | None, severity: str, text: str) -> None:
        assert (market, severity) == (None, "warning")
        self.said.append(text)


@pytest.mark.parametrize("days", [800, -800])
async def test_nothing_goes_while_our_clock_and_the_databases_disagree_about_the_day(
    open_desk: OpenDesk, database_url: str, days: int
) -> None:
    heard, settings = Heard(), load_settings()
    async with open_desk():
        database = open_database(database_url)
        try:
            old = await database_time(database) - timedelta(days=31 * (settings.keep_months + 3))
            await keep_partitions(database, old, 1)
            month = f"equity_{old:%Y_%m}"
            now = datetime.now(UTC)
            ahead = upkeep_of(database, settings, heard, lambda: now + timedelta(days=days))
            assert "dropped" not in await ahead()
            assert "nothing old was dropped" in heard.said.pop()
            right = await upkeep_of(database, settings, heard)()
            assert month in right
            assert f"equity_{now:%Y_%m}" not in right
            assert heard.said == []
        finally:
            await database.close()


def test_what_is_left_is_said() -> None:
    assert words(MonthsKept(dropped=("equity_2020_01",), orders_deleted=3, more=True)) == (
        "dropped equity_2020_01; deleted 3 orders; more is left for the next round"
    )
    assert "too full: equity_2026_01" in words(MonthsKept(crowded=("equity_2026_01",)))
