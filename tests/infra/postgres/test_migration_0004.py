"""A ledger of the release before, with rows in every table, goes up and loses nothing."""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from alembic import command
from sqlalchemy import Connection, text

from desk.errors import Unavailable
from desk.records import EquityMark
from infra.postgres import schema
from infra.postgres.engine import open_database
from infra.postgres.reader import PostgresLedger
from infra.postgres.reconciliations import PostgresReconciliations
from infra.postgres.schema import check_version, downgrade, upgrade
from tests.infra.postgres.samples import BTC, MARKET, fill

pytestmark = pytest.mark.services

_ROWS = """
INSERT INTO instruments VALUES ('ocx', 'BTC-PERP', 0.5, 0.001, 2, '2025-12-01 00:00+00');
INSERT INTO orders VALUES
    ('ocx', 'main', 'BTC-PERP', 'rests', 7, 'b1', 'buy', 100, 3, 50, 0.003, false,
     '2025-12-31 23:59+00', 'accepted', 'v1', '', '2025-12-31 23:59:00.5+00'),
    ('ocx', 'main', 'BTC-PERP', 'refused', 7, 'b1', 'sell', 101, 3, 50.5, 0.003, false,
     '2025-12-31 23:59+00', 'rejected', NULL, 'no margin', '2025-12-31 23:59:00.5+00'),
    ('ocx', 'main', 'BTC-PERP', 'silent', 7, 'b1', 'sell', 102, 3, 51, 0.003, true,
     '2026-01-01 00:00+00', NULL, NULL, NULL, NULL);
INSERT INTO fills (
    venue, account, symbol, trade_id, side, price_ticks, lots, price, quantity, multiplier,
    liquidity, fee, fee_estimated, traded_at, client_order_id, venue_order_id, booked_at
) VALUES
    ('ocx', 'main', 'BTC-PERP', 't1', 'buy', 100, 3, 50, 0.003, 2, 'maker', 0.01, false,
     '2025-12-31 23:59:01+00', 'rests', 'v1', '2025-12-31 23:59:02+00');
INSERT INTO positions VALUES
    ('ocx', 'main', 'BTC-PERP', 1, 0, 0.003, -0.300, 0.01, '2025-12-31 23:59:01+00');
INSERT INTO equity VALUES
    ('ocx', 'main', 'BTC-PERP', 6, '2025-02-28 12:00+00', 1, 2, 4, 50.25),
    ('ocx', 'main', 'BTC-PERP', 7, '2025-12-31 23:59:59.999999+00', 1.5, 2.5, 4, 50.25),
    ('ocx', 'main', 'BTC-PERP', 7, '2026-01-01 00:00+00', 1.6, 2.5, 4, 50.5),
    ('ocx', 'main', 'BTC-PERP', 8, '2026-01-01 00:00+00', 1.7, 2.5, 4, 50.5);
INSERT INTO equity_peaks VALUES ('ocx', 'main', 'BTC-PERP', 7, 2.5);
INSERT INTO control_decisions (
    venue, account, symbol, epoch, kind, reason, decided_by, evidence, at, digest
) VALUES ('ocx', 'main', 'BTC-PERP', 7, 'pause', 'tea', 'ann', '{}', '2026-01-01 00:00+00', 'd');
INSERT INTO session_epochs VALUES
    ('ocx', 'main', 'BTC-PERP', 7, 'me', 'r', '2025-12-31 23:00+00', NULL, NULL);
INSERT INTO kills (scope, reason, set_by, set_at, effect, until) VALUES
    ('fleet', 'drill', 'ann', '2026-01-01 00:00+00', 'stop', NULL),
    ('loss:fleet', 'lost', 'daily loss', '2026-01-01 00:00+00', 'reduce', '2026-01-02 00:00+00');
INSERT INTO alerts (venue, account, symbol, severity, text, at) VALUES
    (NULL, NULL, NULL, 'page', 'look', '2026-01-01 00:00+00');
INSERT INTO hedge_obligations (
    source_venue, source_account, source_symbol, venue, account, symbol, epoch,
    opening_owed, opening_position, owed, filled
) VALUES ('ocx', 'main', 'BTC-PERP', 'x10', 'main', 'BTC-USD', 1, 5, 0, 5, 0);
INSERT INTO kill_answers VALUES
    ('fleet', '2026-01-01 00:00+00', 'ocx', 'main', 'BTC-PERP', 'gate_closed',
     '2026-01-01 00:00+00', 'closed');
INSERT INTO loss_limits (scope, soft, hard, drawdown, set_by, reason) VALUES
    ('fleet', 5, 9, NULL, 'ann', 'new');
INSERT INTO trading_days VALUES ('fleet', '2026-01-01 00:00+00', 1, 2, 3, '2026-01-01 00:00+00');
INSERT INTO drills (
    kind, venue, account, symbol, run_id, began_at, ended_at, passed, message, evidence
) VALUES ('kill', 'ocx', 'main', 'BTC-PERP', 'r', '2026-01-01 00:00+00', '2026-01-01 00:01+00',
          true, 'fine', '{}');
"""

Rows = list[tuple[Any, ...]]


async def connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url.replace("+asyncpg", ""))


async def up_to(url: str, revision: str) -> None:
    def move(connection: Connection) -> None:
        command.upgrade(schema._settings(connection), revision)

    await schema._in_transaction(url, move)


async def columns(connection: asyncpg.Connection) -> dict[str, list[str]]:
    """Columns by table, partitions and the migrations' own table left out."""
    rows = await connection.fetch(
        "SELECT c.relname AS table, a.attname AS column FROM pg_class c "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') "
        "AND NOT c.relispartition AND c.relname <> 'alembic_version' ORDER BY a.attnum"
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["table"], []).append(row["column"])
    return found


async def contents(
    connection: asyncpg.Connection, tables: Mapping[str, Sequence[str]]
) -> dict[str, Rows]:
    found = {}
    for table, names in tables.items():
        rows = await connection.fetch(f"SELECT {', '.join(names)} FROM {table}")  # noqa: S608
        found[table] = sorted((tuple(row) for row in rows), key=repr)
    return found


async def test_every_row_of_the_release_before_is_still_there(database_url: str) -> None:
    await up_to(database_url, "0003")
    connection = await connect(database_url)
    await connection.execute(_ROWS)
    tables = await columns(connection)
    before = await contents(connection, tables)
    assert [name for name, rows in before.items() if not rows] == [], "every table has rows"

    await upgrade(database_url)

    await check_version(database_url)
    assert await contents(connection, tables) == before
    parts = await connection.fetch(
        "SELECT tableoid::regclass::text AS part, count(*) AS rows FROM equity GROUP BY 1"
    )
    assert {row["part"]: row["rows"] for row in parts} == {
        "equity_2025_02": 1,
        "equity_2025_12": 1,
        "equity_2026_01": 2,
    }
    ended = await connection.fetch("SELECT ending, ended_at IS NOT NULL AS at FROM orders")
    assert {tuple(row) for row in ended} == {("before the record", True)}
    await connection.close()

    database = open_database(database_url)
    books = await PostgresReconciliations(database).books("ocx", "main")
    assert books.orders == ()
    assert books.positions == {"BTC-PERP": Decimal("0.003")}
    assert books.pnl == Decimal("-0.31") + Decimal("0.003") * 2 * Decimal("50.5")
    ledger = PostgresLedger(database)
    facts = await ledger.facts(MARKET, 0)
    assert (facts.fills, facts.position, facts.funding) == (1, 3, Decimal(0))
    await ledger.remember_instrument(BTC)
    assert await ledger.book_fills(MARKET, [fill(1), fill(2)]) == 1
    marks: Sequence[EquityMark] = await ledger.equity(MARKET, 0)
    assert [mark.epoch for mark in marks] == [6, 7, 7, 8]
    await database.close()


async def test_many_marks_are_copied_part_by_part_without_any_limit_of_time(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await up_to(database_url, "0003")
    connection = await connect(database_url)
    await connection.execute(
        "INSERT INTO equity SELECT 'ocx', 'main', 'X' || n % 3, 1, "
        "timestamptz '2026-01-31 12:00+00' + n * interval '2 s', 1, 2, 3, 50.25 "
        "FROM generate_series(1, 40000) n"
    )

    def move(part: Connection) -> None:
        limit = part.execute(text("SHOW statement_timeout")).scalar_one()
        assert limit == "0", "how long a statement may take is for the rows to say"
        command.upgrade(schema._settings(part), "head")

    with caplog.at_level(logging.INFO):
        await schema._in_transaction(database_url, move)
    said = [line for line in caplog.messages if line.startswith("migration copies equity")]
    copied = [int(line.split()[-2]) for line in said]
    assert len(copied) == 20
    assert copied == sorted(set(copied))
    kept = "SELECT count(*), count(DISTINCT (symbol, at)), min(at), max(at) FROM equity"
    rows, different, first, last = await connection.fetchrow(kept)
    assert (rows, different) == (40_000, 40_000)
    assert last - first == timedelta(seconds=2 * 39_999)
    parts = await connection.fetchval("SELECT count(DISTINCT tableoid) FROM equity")
    assert parts == 2, "January and February"
    await connection.close()


async def test_a_table_in_use_is_named_as_the_reason(database_url: str) -> None:
    await up_to(database_url, "0003")
    connection = await connect(database_url)
    held = connection.transaction()
    await held.start()
    await connection.execute("LOCK TABLE fills IN ACCESS SHARE MODE")

    def move(part: Connection) -> None:
        part.execute(text("SET LOCAL lock_timeout = '50ms'"))
        command.upgrade(schema._settings(part), "head")

    with pytest.raises(Unavailable, match="a table to migrate was in use.*stop what uses this"):
        await schema._in_transaction(database_url, move)
    await held.rollback()
    assert await connection.fetchval("SELECT version_num FROM alembic_version") == "0003"
    await connection.close()
    await upgrade(database_url)
    await check_version(database_url)


async def test_the_way_back_keeps_what_the_older_program_knows(database_url: str) -> None:
    await up_to(database_url, "0003")
    connection = await connect(database_url)
    old = await columns(connection)
    await upgrade(database_url)
    await connection.execute(_ROWS)
    before = await contents(connection, old)
    await connection.execute(
        "INSERT INTO kills (scope, reason, set_by, set_at, effect) "
        "VALUES ('break:market:a/b/c', 'books disagree', 'flotilla', now(), 'hold')"
    )
    await downgrade(database_url, "0003")
    assert await columns(connection) == old
    held = await connection.fetchval("DELETE FROM kills WHERE scope ~ '^break' RETURNING effect")
    assert held == "stop", "a brake stays a brake"
    assert await contents(connection, old) == before
    await upgrade(database_url)
    assert await contents(connection, old) == before
    await connection.close()


async def test_marks_have_their_month_from_the_first_day_on(database_url: str) -> None:
    await upgrade(database_url)
    connection = await connect(database_url)
    now = datetime.now(UTC)
    row = "INSERT INTO equity VALUES ('ocx', 'main', 'X', 1, $1, 1, 1, 1, 1) RETURNING "
    part = await connection.fetchval(row + "tableoid::regclass::text", now)
    assert part == f"equity_{now:%Y_%m}"
    old = datetime(2020, 6, 1, tzinfo=UTC)
    assert await connection.fetchval(row + "tableoid::regclass::text", old) == "equity_default"
    await connection.close()
