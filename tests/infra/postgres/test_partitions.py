"""Months are made before rows need them, and go when they are too old; the books never do."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from infra.postgres.engine import Database
from infra.postgres.partitions import GROWING, Bounds, keep_partitions
from infra.postgres.reader import PostgresLedger
from tests.infra.postgres.samples import BTC, MARKET, fill

pytestmark = pytest.mark.services

NOW = datetime(2031, 12, 15, 12, tzinfo=UTC)
MARK = "INSERT INTO equity VALUES ('ocx', 'main', 'X', {epoch}, '{at}', 1, 1, 1, 1)"


async def run(database: Database, statement: str) -> list[tuple[object, ...]]:
    async def work(connection: AsyncConnection) -> list[tuple[object, ...]]:
        done = await connection.execute(text(statement))
        return [tuple(row) for row in done] if done.returns_rows else []

    return await database.transaction(work)


async def mark(database: Database, at: datetime, epoch: int = 1) -> None:
    await run(database, MARK.format(epoch=epoch, at=at.isoformat()))


async def parts(database: Database) -> dict[object, object]:
    """Marks by the partition they lie in."""
    rows = await run(database, "SELECT tableoid::regclass::text, count(*) FROM equity GROUP BY 1")
    return dict(rows)  # type: ignore[arg-type]


async def test_the_next_months_are_there_before_they_begin(database: Database) -> None:
    done = await keep_partitions(database, NOW, 600)
    months = ("2031_12", "2032_01", "2032_02")
    assert done.made == tuple(f"{table}_{month}" for table in GROWING for month in months)
    assert (done.crowded, done.more) == ((), False)
    await mark(database, datetime(2032, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC))
    await mark(database, datetime(2032, 3, 1, tzinfo=UTC))
    assert await parts(database) == {"equity_2032_02": 1, "equity_default": 1}
    again = await keep_partitions(database, NOW, 600)
    assert again.made == again.dropped == ()


async def test_a_month_is_by_utc_wherever_the_clock_stands(database: Database) -> None:
    east = timezone(timedelta(hours=13))
    last = datetime(2031, 12, 31, 23, 30, tzinfo=UTC).astimezone(east)
    await keep_partitions(database, last, 600)
    found = await keep_partitions(database, last + timedelta(hours=1), 600)
    assert found.made == tuple(f"{table}_2032_03" for table in GROWING)


async def test_rows_that_came_before_their_month_was_made_move_into_it(database: Database) -> None:
    for epoch in range(3):
        await mark(database, NOW, epoch)
    await mark(database, datetime(2033, 1, 1, tzinfo=UTC))
    assert await parts(database) == {"equity_default": 4}
    await keep_partitions(database, NOW, 600)
    assert await parts(database) == {"equity_2031_12": 3, "equity_default": 1}
    # What the table demands is demanded of the new month too.
    with pytest.raises(Exception, match="equity_finite"):
        await run(database, MARK.format(epoch=9, at=NOW).replace("1, 1, 1, 1)", "'NaN', 1, 1, 1)"))


async def test_too_many_rows_to_move_stay_readable_where_they_are(
    database: Database,
) -> None:
    for epoch in range(3):
        await mark(database, NOW, epoch)
    done = await keep_partitions(database, NOW, 600, bounds=Bounds(most_moved=2))
    assert done.crowded == ("equity_2031_12",)
    assert await parts(database) == {"equity_default": 3}


async def test_old_months_go_whole_and_the_kept_ones_stay(database: Database) -> None:
    for months in range(3):
        await keep_partitions(database, NOW - timedelta(days=30 * months), 600)
    for month in (10, 11, 12):
        await mark(database, datetime(2031, month, 15, tzinfo=UTC))
    await mark(database, datetime(2029, 1, 1, tzinfo=UTC))  # never had a month of its own
    done = await keep_partitions(database, NOW, 1)
    assert "equity_2031_10" in done.dropped
    assert await parts(database) == {"equity_2031_11": 1, "equity_2031_12": 1}
    assert (await keep_partitions(database, NOW, 1)).dropped == ()


async def test_many_may_keep_them_at_once_while_marks_come(database: Database) -> None:
    await mark(database, datetime(2020, 1, 1, tzinfo=UTC))

    async def writing() -> None:
        for epoch in range(30):
            await mark(database, NOW, epoch)

    done = await asyncio.gather(*(keep_partitions(database, NOW, 1) for _ in range(3)), writing())
    months = {name for kept in done[:3] if kept for name in kept.made}
    assert {f"equity_{month}" for month in ("2031_12", "2032_01", "2032_02")} <= months
    assert await parts(database) == {"equity_2031_12": 30}


async def test_orders_go_in_batches_and_those_that_rest_never(
    database: Database, ledger: PostgresLedger, ledger_url: str
) -> None:
    await ledger.remember_instrument(BTC)
    await ledger.book_fills(MARKET, [fill(1)])
    connection = await asyncpg.connect(ledger_url.replace("+asyncpg", ""))
    old, young = NOW - timedelta(days=100), NOW - timedelta(days=10)
    for number, (at, outcome, ended) in enumerate(
        [
            *[(old, "accepted", old)] * 7,
            (old, "rejected", None),
            (old, "accepted", None),  # rests
            (old, None, None),  # nobody knows: it may rest
            (young, "accepted", young),
        ]
    ):
        for symbol in ("BTC-PERP", "ETH-PERP"):
            await connection.execute(
                "INSERT INTO orders (venue, account, symbol, client_order_id, sent_at, outcome, "
                "ended_at, ending) VALUES ('ocx', 'main', $1, $2, $3, $4, $5, 'cancelled')",
                *(symbol, f"o{number}", at, outcome, ended),
            )
    few = Bounds(batch=3, batches=2)
    first = await keep_partitions(database, NOW, 600, order_months=1, bounds=few)
    assert (first.orders_deleted, first.more) == (6, True)
    rest = await keep_partitions(database, NOW, 600, order_months=1, bounds=Bounds(batch=3))
    assert (rest.orders_deleted, rest.more) == (10, False)
    left = await connection.fetch("SELECT symbol, client_order_id AS id FROM orders")
    kept = {(s, f"o{n}") for s in ("BTC-PERP", "ETH-PERP") for n in (8, 9, 10)}
    assert {tuple(row) for row in left} == kept
    await connection.close()
    assert len(await ledger.fills(MARKET)) == 1


async def test_keeping_nothing_is_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="keep_months: 0 months keep nothing; give 1 or more"):
        await keep_partitions(database, NOW, 0)
