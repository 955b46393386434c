"""Equity at both ends of a period counts from when it was read; what else was held is told."""

import json
from dataclasses import replace

import pytest

from desk.history_ports import Span
from infra.postgres.engine import Database
from infra.postgres.history import PostgresHistory
from infra.postgres.reconciliations import PostgresReconciliations
from tests.infra.postgres.samples import START_MS
from tests.infra.postgres.test_history import DAY_MS, HOUR_MS, run

pytestmark = pytest.mark.services


@pytest.fixture
def history(database: Database) -> PostgresHistory:
    return PostgresHistory(database)


async def test_equity_counts_from_when_it_was_read_and_not_from_when_the_run_began(
    database: Database, history: PostgresHistory
) -> None:
    book = PostgresReconciliations(database)
    for run_ms, read_ms in ((-60_000, -51_000), (DAY_MS - 10_000, DAY_MS + 2_000)):
        theirs = {"equity": "100", "equity_at_ms": START_MS + read_ms}
        await book.record(run(START_MS + run_ms, theirs))
    days = [Span(since_ms=one, until_ms=one + DAY_MS) for one in (START_MS, START_MS + DAY_MS)]
    found = await history.readings("ocx", "main", days[0])
    assert found is not None
    assert found.opening.at_ms == START_MS - 51_000
    assert found.closing.at_ms == START_MS + DAY_MS + 2_000
    await book.record(run(START_MS + DAY_MS + HOUR_MS, {"equity": "100"}))
    second = await history.readings("ocx", "main", days[1])
    assert second is not None
    assert second.opening == found.closing, "nothing that happens meanwhile escapes both days"


@pytest.mark.parametrize(("at_ms", "told"), [(0, True), (HOUR_MS, True), (2 * HOUR_MS + 1, False)])
async def test_what_was_held_and_never_quoted_is_told_with_the_equity(
    database: Database, history: PostgresHistory, at_ms: int, *, told: bool
) -> None:
    book = PostgresReconciliations(database)
    for run_ms in {0, HOUR_MS, 2 * HOUR_MS, at_ms}:
        one = run(START_MS + run_ms, {"equity": "100"})
        held = {"foreign": ["ETH-PERP", "SOL-PERP"] if run_ms == at_ms else None}
        await book.record(replace(one, ours=json.dumps(held)))
    span = Span(since_ms=START_MS, until_ms=START_MS + 2 * HOUR_MS + 1)
    found = await history.readings("ocx", "main", span)
    assert found is not None
    assert found.foreign == (("ETH-PERP", "SOL-PERP") if told else ())
