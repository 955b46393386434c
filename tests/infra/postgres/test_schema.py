"""A database is brought to our schema once, or refused in a sentence."""

import asyncio

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from desk.errors import ConfigurationFault, Unavailable
from infra.postgres.engine import open_engine, parse_url
from infra.postgres.schema import check_version, downgrade, upgrade, version_fault
from infra.postgres.tables import metadata


async def connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url.replace("+asyncpg", ""))


async def tables(url: str) -> set[str]:
    connection = await connect(url)
    rows = await connection.fetch(
        "SELECT relname FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') "
        "AND NOT relispartition"
    )
    await connection.close()
    return {row["relname"] for row in rows}


@pytest.mark.services
async def test_up_down_and_up_again(database_url: str) -> None:
    await upgrade(database_url)
    await check_version(database_url)
    assert await tables(database_url) == {*metadata.tables, "alembic_version"}
    await downgrade(database_url)
    assert await tables(database_url) == {"alembic_version"}
    await upgrade(database_url)
    await check_version(database_url)


@pytest.mark.services
async def test_many_processes_may_start_at_once(database_url: str) -> None:
    await asyncio.gather(*(upgrade(database_url) for _ in range(4)))
    await check_version(database_url)


@pytest.mark.services
async def test_the_program_knows_the_tables_the_migrations_make(ledger_url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        partitions = connection.execute(
            text("SELECT relname FROM pg_class WHERE relispartition")
        ).scalars()
        hidden = set(partitions)

        def ours(name: str | None, *_: object) -> bool:
            return name not in hidden

        settings = {"include_name": ours}
        context = MigrationContext.configure(connection, opts=settings)
        return list(compare_metadata(context, metadata))

    engine = open_engine(ledger_url, statement_timeout_s=5, connections=1)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


@pytest.mark.services
async def test_tables_that_grow_are_kept_by_the_moment_the_program_says(ledger_url: str) -> None:
    connection = await connect(ledger_url)
    rows = await connection.fetch(
        "SELECT partrelid::regclass::text AS name, pg_get_partkeydef(partrelid) AS key "
        "FROM pg_partitioned_table"
    )
    await connection.close()
    assert {row["name"]: row["key"] for row in rows} == {
        name: table.dialect_options["postgresql"]["partition_by"]
        for name, table in metadata.tables.items()
        if table.dialect_options["postgresql"]["partition_by"]
    }
    assert len(rows) == 3


@pytest.mark.services
async def test_a_newer_database_is_left_alone(ledger_url: str) -> None:
    connection = await connect(ledger_url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    await connection.close()
    for call in (upgrade, check_version, downgrade):
        with pytest.raises(ConfigurationFault, match="schema 9999 is newer than this program's"):
            await call(ledger_url)
    assert "fills" in await tables(ledger_url)


@pytest.mark.services
async def test_an_empty_database_is_too_old_to_use(database_url: str) -> None:
    with pytest.raises(ConfigurationFault, match="schema none is older"):
        await check_version(database_url)
    assert await tables(database_url) == set()


@pytest.mark.services
async def test_a_database_of_another_program_is_refused(database_url: str) -> None:
    connection = await connect(database_url)
    await connection.execute("CREATE TABLE orders (id int)")
    await connection.close()
    with pytest.raises(ConfigurationFault, match="table 'orders' of another program"):
        await upgrade(database_url)
    assert await tables(database_url) == {"orders"}


@pytest.mark.parametrize(
    ("server", "found", "sentence"),
    [
        (130_022, None, "database: PostgreSQL 13 is too old; use version 14 or newer"),
        (
            180_004,
            "0003",
            (
                "database: schema 0003 is newer than this program's 0002; "
                "upgrade flotilla or use another database"
            ),
        ),
        (
            180_004,
            "1b2c",
            "database: schema '1b2c' is not one of flotilla's; use another database",
        ),
        (140_000, "0001", None),
        (180_004, None, None),
    ],
)
def test_versions(server: int, found: str | None, sentence: str | None) -> None:
    assert version_fault(server, found, ("0002", "0001")) == sentence


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://u:hunter2@h/d", "://u:hunter2@h"])
def test_bad_urls_are_refused_without_the_password(url: str) -> None:
    with pytest.raises(ConfigurationFault, match="database_url: ") as refusal:
        parse_url(url)
    assert "hunter2" not in str(refusal.value)


async def test_a_database_out_of_reach_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await upgrade("postgresql://app:secret@127.0.0.1:1/none")
