"""What a run of a set may send is on record with its epoch, and one order is of one trade alone."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from desk.arbitrage_records import SetEpoch, SetLeg, TradeKey, TradeStage
from desk.units import Side
from infra.postgres.arbitrage import PostgresArbitrageBook
from infra.postgres.engine import Database
from tests.infra.postgres.arbitrage_samples import NO, YES, fired
from tests.infra.postgres.conftest import StartWriter

pytestmark = pytest.mark.services


def legs(yes: int, no: int) -> tuple[SetLeg, ...]:
    return (
        SetLeg(market=YES, side=Side.BUY, epoch=yes),
        SetLeg(market=NO, side=Side.SELL, epoch=no),
    )


@pytest.fixture
def book(database: Database) -> PostgresArbitrageBook:
    return PostgresArbitrageBook(database)


async def opened(book: PostgresArbitrageBook, yes: int, no: int, name: str = "rain") -> int:
    return await book.open_set(name, "outcomes", legs(yes, no), "worker a", "run", beyond=0)


async def aged(ledger_url: str, *epochs: int) -> None:
    connection = await asyncpg.connect(ledger_url.replace("+asyncpg", ""))
    try:
        await connection.execute(
            "UPDATE arbitrage_epochs SET opened_at = opened_at - interval '1 day' "
            "WHERE epoch = ANY($1)",
            list(epochs),
        )
    finally:
        await connection.close()


async def test_an_epoch_comes_back_with_the_epochs_of_its_legs(book: PostgresArbitrageBook) -> None:
    await opened(book, 7, 3)
    await opened(book, 1, 1, "snow")
    await opened(book, 8, 5)
    first, second = await book.earlier("rain", below=3, since_ms=0)
    assert first == SetEpoch(
        epoch=1, owner="worker a", opened_at_ms=first.opened_at_ms, legs=legs(7, 3)
    )
    assert (second.epoch, second.legs) == (2, legs(8, 5))
    assert first.opened_at_ms <= second.opened_at_ms
    assert [one.epoch for one in await book.earlier("rain", below=2, since_ms=0)] == [1]
    assert await book.earlier("rain", below=1, since_ms=0) == ()


async def test_old_epochs_are_told_only_by_name(
    book: PostgresArbitrageBook, ledger_url: str
) -> None:
    for number in range(1, 5):
        await opened(book, number, number)
    await aged(ledger_url, 1, 2)
    (*_, newest) = await book.earlier("rain", below=10, since_ms=0)
    since_ms = newest.opened_at_ms - 3_600_000

    async def told(*also: int) -> list[int]:
        found = await book.earlier("rain", below=4, since_ms=since_ms, also=also)
        return [one.epoch for one in found]

    assert await told() == [3]
    assert await told(1, 3, 4, 9) == [1, 3], "nothing that is not below, and nothing twice"


async def test_the_same_orders_are_recorded_under_one_number_of_an_epoch(
    book: PostgresArbitrageBook, start_writer: StartWriter
) -> None:
    found = fired(1)
    late = replace(found, key=TradeKey("rain", 1, 4))
    assert await book.opened(found) is TradeStage.FIRED
    async with start_writer() as running:
        running.writer.record(late)
        running.writer.record(fired(2))
        assert await running.writer.flush(10)
    assert {one.fired.key.trade for one in await book.recent(10)} == {1, 2}
    await book.hand_over(found.key, "ana", "drill")
    assert await book.opened(late) is TradeStage.HANDED_OVER, "it is that trade, by another number"
    assert {one.fired.key.trade for one in await book.recent(10)} == {1, 2}
    other = replace(found, key=TradeKey("rain", 2, 4))
    assert await book.opened(other) is TradeStage.FIRED, "of another epoch, it is another's"


async def test_epochs_opened_at_once_keep_their_own_legs(book: PostgresArbitrageBook) -> None:
    given = await asyncio.gather(*(opened(book, number, number + 10) for number in range(1, 9)))
    told = {one.epoch: one.legs for one in await book.earlier("rain", below=99, since_ms=0)}
    assert told == {epoch: legs(n, n + 10) for n, epoch in enumerate(given, start=1)}
