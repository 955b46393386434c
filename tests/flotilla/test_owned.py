"""What was ever ours is listed from the ledger alone, and says what nobody answers for."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.identity import MarketId
from flotilla.owned import Owned
from infra.postgres.engine import open_database
from infra.postgres.reader import PostgresLedger
from infra.postgres.schema import upgrade
from tests.flotilla.test_cli import flotilla
from tests.infra.postgres.samples import BTC, fill

MARKET = MarketId("ocx", "main", "BTC-PERP")


def one(held: str, orders: int, last_step: str, workflow: str) -> Owned:
    return Owned(
        market=MARKET, held=Decimal(held), orders=orders, last_step=last_step, workflow=workflow
    )


@pytest.mark.parametrize(
    ("held", "orders", "last_step", "alone"),
    [
        ("0", 0, "standing_down->stopped", False),
        ("1", 0, "standing_down->stopped", False),
        ("1", 0, "starting->quoting", True),
        ("0", 3, "standing_down->stopped", True),
        ("-1", 0, "", True),
    ],
)
@pytest.mark.parametrize("workflow", ["none", "unknown"])
def test_something_left_without_an_owner_is_said(
    held: str, orders: int, last_step: str, workflow: str, *, alone: bool
) -> None:
    assert one(held, orders, last_step, workflow).left_alone is alone


@given(st.decimals(-100, 100), st.integers(0, 9), st.text(max_size=20))
def test_a_market_that_runs_has_an_owner(held: Decimal, orders: int, last_step: str) -> None:
    assert not one(str(held), orders, last_step, "running").left_alone


async def test_the_command_needs_no_temporal(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    await upgrade(database_url)
    database = open_database(database_url)
    try:
        ledger = PostgresLedger(database)
        await ledger.open_epoch(MARKET, "worker-1/1", "run")
        await ledger.remember_instrument(BTC)
        await ledger.book_fills(MARKET, [fill(1)])
    finally:
        await database.close()
    asked = flotilla(
        *("market", "owned", "--json"),
        environment={
            "FLOTILLA_DATABASE_URL": database_url,
            "FLOTILLA_REDIS_URL": redis_url,
            "TEMPORAL_ADDRESS": "127.0.0.1:1",
        },
        folder=tmp_path,
    )
    assert asked.returncode == 0, asked.stderr
    (row,) = json.loads(asked.stdout)
    assert row["market"] == MARKET.path
    assert Decimal(row["held"]) == BTC.quantity(fill(1).side.sign * fill(1).lots)
    assert (row["workflow"], row["left_alone"]) == ("unknown", True)
    assert "start it again or flatten it" in asked.stderr
