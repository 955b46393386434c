"""A ledger of schema 0005, with rows in every table, goes up to arbitrage and back unharmed."""

import asyncpg
import pytest

from infra.postgres.arbitrage import PostgresArbitrageBook
from infra.postgres.engine import open_database
from infra.postgres.schema import check_version, downgrade, upgrade
from tests.infra.postgres.arbitrage_samples import fired
from tests.infra.postgres.test_migration_0004 import _ROWS, columns, contents, up_to

pytestmark = pytest.mark.services

_NEWER_ROWS = """
INSERT INTO payments (venue, account, kind, payment_id, symbol, amount, paid_at) VALUES
    ('ocx', 'main', 'transfer', 'p1', NULL, 500, '2026-01-01 00:00+00');
INSERT INTO breaks (venue, account, symbol, kind, text, ours, theirs, found_by, found_at,
                    last_seen_at) VALUES
    ('ocx', 'main', 'BTC-PERP', 'position', 'differs', '1', '2', 'rule', '2026-01-01 00:00+00',
     '2026-01-01 00:00+00');
INSERT INTO adjustments (break_id, venue, account, symbol, quantity, price, multiplier, amount,
                         decided_by, reason, at)
SELECT id, 'ocx', 'main', 'BTC-PERP', 1, 2, 1, 0, 'ann', 'why', '2026-01-01 00:00+00' FROM breaks;
INSERT INTO reconciliations (run_id, venue, account, kind, began_at, ended_at, requests, ours,
                             theirs, differences, found) VALUES
    ('r', 'ocx', 'main', 'orders', '2026-01-01 00:00+00', '2026-01-01 00:01+00', 1, '{}', '{}',
     '[]', 0);
INSERT INTO decision_samples (venue, account, symbol, run_id, kind, reason, epoch, step, at, frame)
VALUES ('ocx', 'main', 'BTC-PERP', 'r', 'decision', 'why', 7, 1, '2026-01-01 00:00+00', 'x');
"""


async def test_every_row_of_the_schema_before_is_still_there_both_ways(database_url: str) -> None:
    await up_to(database_url, "0005")
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    await connection.execute(_ROWS)
    await connection.execute(_NEWER_ROWS)
    tables = await columns(connection)
    before = await contents(connection, tables)
    assert [name for name, rows in before.items() if not rows] == [], "every table has rows"

    await upgrade(database_url)
    await check_version(database_url)
    assert await contents(connection, tables) == before
    database = open_database(database_url)
    book = PostgresArbitrageBook(database)
    await book.opened(fired())
    assert [one.fired for one in await book.open_for("rain")] == [fired()]
    await database.close()

    await downgrade(database_url, "0005")
    assert await columns(connection) == tables
    assert await contents(connection, tables) == before
    await connection.close()
    await upgrade(database_url)
    await check_version(database_url)
