"""`flotilla losses` shows the day from the record, and sets limits by name and reason."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from desk.daily_loss import DayLimits
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import Fill, Liquidity
from desk.records import Kill, KillEffect
from desk.units import Side
from infra.postgres.engine import Database, open_database
from infra.postgres.losses import PostgresLossBook
from infra.postgres.reader import PostgresLedger
from infra.postgres.schema import upgrade
from tests.flotilla.test_cli import USAGE, complaint, flotilla

MARKET = MarketId("ocx", "main", "BTC-PERP")
BY = ("--by", "ana", "--reason", "new account")
UNTIL_MS = 4_102_444_800_000  # 2100-01-01


@pytest.fixture
def services_named(database_url: str, redis_url: str) -> dict[str, str]:
    return {"FLOTILLA_DATABASE_URL": database_url, "FLOTILLA_REDIS_URL": redis_url}


async def traded(database: Database) -> None:
    """Bought and sold today, at a loss of 3 and fees of 0.5."""
    ledger = PostgresLedger(database)
    await ledger.remember_instrument(
        Instrument(venue="ocx", symbol="BTC-PERP", tick_size=Decimal(1), lot_size=Decimal("0.1"))
    )
    fills = [
        Fill(
            venue="ocx",
            account="main",
            symbol="BTC-PERP",
            trade_id=side.value,
            side=side,
            price=price,
            lots=10,
            liquidity=Liquidity.MAKER,
            fee=Decimal("0.25"),
            fee_estimated=False,
            traded_at_ms=4_000_000_000_000,
        )
        for side, price in ((Side.BUY, 103), (Side.SELL, 100))
    ]
    await ledger.book_fills(MARKET, fills)


async def test_the_day_is_shown_from_the_record(
    services_named: dict[str, str], tmp_path: Path
) -> None:
    url = services_named["FLOTILLA_DATABASE_URL"]
    await upgrade(url)
    database = open_database(url)
    try:
        await traded(database)
        latch = Kill(
            scope="loss:fleet",
            reason="lost 3.50 since the start of the day",
            by="daily loss",
            at_ms=1,
            effect=KillEffect.FLATTEN,
            until_ms=UNTIL_MS,
        )
        await PostgresLossBook(database).latch(latch)
    finally:
        await database.close()
    set_ = flotilla(
        *("losses", "set", "--scope", "fleet", "--soft", "2", "--hard", "3", *BY),
        environment=services_named,
        folder=tmp_path,
    )
    assert set_.returncode == 0, set_.stderr
    assert "limits of fleet: soft 2, hard 3" in set_.stderr
    assert "a latch is in force until 2100-01-01 00:00 UTC" in set_.stderr
    done = flotilla("losses", "--json", environment=services_named, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    fleet, account, market = shown["scopes"]
    assert [row["scope"] for row in shown["scopes"]] == [
        *("fleet", "account:ocx/main", "market:ocx/main/BTC-PERP")
    ]
    assert {Decimal(row["since_start"]) for row in shown["scopes"]} == {Decimal("-3.5")}
    assert (fleet["soft"], fleet["hard"], fleet["drawdown"]) == ("2", "3", None)
    assert (fleet["latch"], fleet["until"]) == ("flatten", "2100-01-01 00:00 UTC")
    assert (account["hard"], market["latch"]) == (None, None)
    table = flotilla("losses", environment=services_named, folder=tmp_path)
    assert "-3.50" in table.stdout
    assert "trading day" in table.stderr


async def test_limits_are_recorded_with_who_and_why(
    services_named: dict[str, str], tmp_path: Path
) -> None:
    command = ("losses", "set", "--scope", "account:ocx/main", "--drawdown", "75.5", *BY, "--json")
    done = flotilla(*command, environment=services_named, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["drawdown"] == "75.5"
    database = open_database(services_named["FLOTILLA_DATABASE_URL"])
    try:
        (limit,) = (await PostgresLossBook(database).limits()).values()
    finally:
        await database.close()
    assert (limit.scope, limit.by, limit.reason) == ("account:ocx/main", "ana", "new account")
    assert limit.limits == DayLimits(drawdown=Decimal("75.5"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--scope", "venue:ocx", "--hard", "1"), "'venue:ocx' is not fleet or account:V/A"),
        (("--scope", "fleet", "--hard", "much"), "'much' is not an amount"),
        (("--scope", "fleet", "--hard", "0"), "--hard: 0 is not above zero"),
        (("--scope", "fleet", "--hard", "NaN"), "--hard: NaN is not above zero"),
        (("--scope", "fleet", "--soft", "3", "--hard", "2"), "--soft: 3 is above --hard 2"),
    ],
)
def test_a_bad_limit_is_refused_in_a_sentence(
    tmp_path: Path, given: tuple[str, ...], words: str
) -> None:
    done = flotilla("losses", "set", *given, *BY, folder=tmp_path)
    assert done.returncode == USAGE
    assert words in complaint(done)
