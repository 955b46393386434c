"""Drills are kept once, and a failed one stays open until a person takes it by name."""

import pytest

from desk.drills import Drill, DrillKind, why_blocked
from desk.identity import MarketId
from infra.postgres.drills import PostgresDrills
from infra.postgres.engine import Database

pytestmark = pytest.mark.services

MARKET = MarketId("ocx", "drill", "BTC-PERP")


def drilled(run_id: str, *, passed: bool) -> Drill:
    return Drill(
        kind=DrillKind.DEAD_MAN,
        market=MARKET,
        run_id=run_id,
        began_at_ms=1_700_000_000_000,
        ended_at_ms=1_700_000_004_000,
        passed=passed,
        message="passed" if passed else "nobody took the order away",
        evidence="epoch 3 fell silent",
    )


async def test_a_failed_drill_blocks_until_it_is_acknowledged_by_name(database: Database) -> None:
    book = PostgresDrills(database)
    await book.record(drilled("one", passed=True))
    assert why_blocked(await book.failed()) == ""
    await book.record(drilled("two", passed=False))
    (failed,) = await book.failed()
    assert f"drill acknowledge {failed.number} " in why_blocked([failed])
    assert not await book.acknowledge(failed.number + 1, "ana", "no such drill")
    assert await book.acknowledge(failed.number, "ana", "the guardian was not started")
    assert not await book.acknowledge(failed.number, "bob", "again")
    assert await book.failed() == ()


async def test_a_drill_recorded_twice_is_one(database: Database) -> None:
    book = PostgresDrills(database)
    for _ in range(2):
        await book.record(drilled("one", passed=True))
    await book.record(drilled("two", passed=False))
    assert [drill.run_id for drill in await book.recent(10)] == ["two", "one"]
    (drill,) = await book.recent(1)
    assert (drill.kind, drill.market, drill.ended_at_ms) == (
        DrillKind.DEAD_MAN,
        MARKET,
        1_700_000_004_000,
    )
