"""Our side of an account is one snapshot; every comparison is kept once and found again."""

from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.book_ports import AccountBooks, BookedOrder, ReconciliationRun
from desk.identity import MarketId
from desk.orders import OutcomeKind
from desk.records import LedgerRecord, OrderEnded
from desk.units import Side
from infra.postgres.engine import Database
from infra.postgres.reader import PostgresLedger
from infra.postgres.reconciliations import BOOKS, PostgresReconciliations
from tests.infra.postgres.conftest import StartWriter
from tests.infra.postgres.samples import (
    BTC,
    MARKET,
    OTHER,
    START_MS,
    answered,
    fill,
    mark,
    seen,
    sent,
)

pytestmark = pytest.mark.services

RUN = ReconciliationRun(
    run_id="r1",
    venue="ocx",
    account="main",
    kind="orders",
    began_ms=START_MS,
    ended_ms=START_MS + 40,
    requests=3,
    ours='{"orders": []}',
    theirs='{"orders": ["c1"]}',
    differences='[{"orphan": "c1"}]',
    found=1,
)


@pytest.fixture
def book(database: Database) -> PostgresReconciliations:
    return PostgresReconciliations(database)


def ended(number: int, how: str = "cancelled", *, after_ms: int = 20) -> OrderEnded:
    return OrderEnded(
        market=MARKET, client_order_id=f"c{number}", how=how, ended_at_ms=START_MS + after_ms
    )


async def test_an_account_without_a_past_has_empty_books(book: PostgresReconciliations) -> None:
    assert await book.books("ocx", "main") == AccountBooks(positions={}, orders=())


async def test_what_rests_was_sent_and_not_refused_and_has_no_end(
    book: PostgresReconciliations, start_writer: StartWriter
) -> None:
    words: list[LedgerRecord] = [
        *(sent(number) for number in range(1, 7)),
        answered(1),
        answered(2, OutcomeKind.REJECTED),
        answered(3, OutcomeKind.DENIED),
        answered(4, OutcomeKind.UNRESOLVED),
        answered(6),
        ended(6),
        ended(7),
    ]
    async with start_writer() as running:
        for word in words:
            running.writer.record(word)
        assert await running.writer.flush(5)
        found = (await book.books("ocx", "main")).orders
        assert found == tuple(
            BookedOrder(
                symbol="BTC-PERP", client_order_id=f"c{number}", sent_at_ms=START_MS + number
            )
            for number in (1, 4, 5)
        )
        running.writer.record(sent(7))
        assert await running.writer.flush(5)
    assert (await book.books("ocx", "main")).orders == found, "its end was known before"
    assert (await book.books("ocx", "else")).orders == ()


async def test_the_earliest_end_stands_whatever_comes_first(
    start_writer: StartWriter, database: Database
) -> None:
    ends = [ended(1, "filled", after_ms=5), ended(1, "not at the venue"), ended(1, "a", after_ms=9)]

    async def endings(connection: AsyncConnection) -> list[str]:
        found = await connection.execute(text("SELECT ending FROM orders"))
        return list(found.scalars())

    async with start_writer() as running:
        for one in (*ends[::-1], *ends):
            running.writer.record(one)
            assert await running.writer.flush(5)
        assert await database.transaction(endings) == ["filled"]


async def test_a_market_that_was_cleared_has_nothing_that_rests(
    book: PostgresReconciliations, ledger: PostgresLedger, start_writer: StartWriter
) -> None:
    async with start_writer() as running:
        for word in (sent(1), sent(2), ended(2), replace(sent(3), epoch=2)):
            running.writer.record(word)
        running.writer.record(replace(sent(4), market=OTHER))
        assert await running.writer.flush(5)
    assert await ledger.end_orders(MARKET, 1, "cleared", START_MS + 90) == 1
    assert await ledger.end_orders(MARKET, 1, "cleared", START_MS + 90) == 0
    left = {order.client_order_id for order in (await book.books("ocx", "main")).orders}
    assert left == {"c3", "c4"}


async def test_books_tell_positions_last_trades_and_pnl_at_the_last_mid(
    book: PostgresReconciliations, ledger: PostgresLedger, start_writer: StartWriter
) -> None:
    await ledger.remember_instrument(BTC)
    await ledger.remember_instrument(replace(BTC, symbol=OTHER.symbol))
    await ledger.book_fills(MARKET, [fill(1, price=100, lots=3)])
    flat = [fill(2, market=OTHER), fill(3, market=OTHER, side=Side.SELL, price=120)]
    await ledger.book_fills(OTHER, flat)
    second = MarketId("ocx", "second", "BTC-PERP")
    await ledger.book_fills(second, [fill(4, market=second)])
    unmarked = await book.books("ocx", "main")
    held = Decimal("0.003") * 2
    made = Decimal("0.06") - Decimal("0.02")
    assert unmarked.pnl == made + Decimal("-0.31") + held * 50, "valued at its newest fill"
    async with start_writer() as running:
        running.writer.record(mark(9))
        running.writer.record(replace(mark(8), mid=Decimal(99)))
        assert await running.writer.flush(5)
    books = await book.books("ocx", "main")
    assert books.positions == {"BTC-PERP": Decimal("0.003"), "ETH-PERP": Decimal(0)}
    assert books.last_trade_ms == {"BTC-PERP": START_MS + 1, "ETH-PERP": START_MS + 3}
    assert books.pnl == made + Decimal("-0.31") + held * Decimal("50.25")


async def test_a_market_that_nobody_can_price_is_named_and_hides_no_other(
    book: PostgresReconciliations, ledger: PostgresLedger
) -> None:
    await ledger.remember_instrument(replace(BTC, symbol=OTHER.symbol))
    round_trip = [fill(2, market=OTHER), fill(3, market=OTHER, side=Side.SELL, price=120)]
    await ledger.book_fills(OTHER, round_trip)
    alone = await book.books("ocx", "main")
    assert alone.unpriced == ()
    await ledger.book_fills(MARKET, [fill(1)])
    books = await book.books("ocx", "main")
    assert (books.unpriced, books.pnl) == (("BTC-PERP",), alone.pnl)
    await ledger.remember_instrument(BTC)
    assert (await book.books("ocx", "main")).unpriced == ()


async def test_what_rests_is_found_without_reading_what_ended(
    start_writer: StartWriter, database: Database
) -> None:
    async with start_writer() as running:
        for number in range(4_000):
            running.writer.record(sent(number))
            if number % 1_000:
                running.writer.record(ended(number))
        assert await running.writer.flush(30)

    async def plan(connection: AsyncConnection) -> str:
        await connection.execute(text("ANALYZE orders"))
        given = {"venue": "ocx", "account": "main"}
        found = await connection.execute(text(f"EXPLAIN {BOOKS.text}"), given)
        return "\n".join(found.scalars())

    assert "orders_resting" in await database.transaction(plan)


async def test_a_run_is_kept_once_and_found_again(book: PostgresReconciliations) -> None:
    assert await book.last("ocx", "main", "orders") is None
    later = replace(RUN, run_id="r2", began_ms=START_MS + 15_000, trouble="venue\x00 away", found=0)
    account = replace(RUN, run_id="r3", kind="account", began_ms=START_MS + 20_000)
    other = replace(RUN, run_id="r4", venue="x10", began_ms=START_MS + 1)
    for run in (RUN, RUN, later, account, other, later):
        await book.record(run)
    kept = replace(later, trouble="venue? away")
    assert await book.last("ocx", "main", "orders") == kept
    everything = await book.history(None, None, START_MS, START_MS + 20_001, 10)
    assert list(everything) == [account, kept, other, RUN]
    assert list(await book.history("ocx", "main", START_MS + 1, START_MS + 20_000, 9)) == [kept]
    assert list(await book.history("ocx", None, 0, START_MS + 99_999, 1)) == [account]


async def test_a_fill_keeps_the_mid_it_was_heard_at_and_the_venues_own_fee(
    ledger: PostgresLedger, start_writer: StartWriter, database: Database
) -> None:
    await ledger.remember_instrument(BTC)
    guessed = replace(fill(1), fee=Decimal(9), fee_estimated=True)
    watched = replace(seen(1), fill=guessed, mid=Decimal("50.5"))
    no_number = replace(seen(2), mid=Decimal("NaN"))
    async with start_writer() as running:
        for word in (watched, seen(1), no_number):
            running.writer.record(word)
        assert await running.writer.flush(5), "no fill is lost for its mid"
        assert (await ledger.facts(MARKET, 0)).fees == Decimal("0.02"), "not the estimate"
        await ledger.book_fills(MARKET, [fill(3)])
        running.writer.record(replace(seen(3), mid=Decimal(60)))
        running.writer.record(replace(seen(1), mid=Decimal(70)))
        assert await running.writer.flush(5)

    async def mids(connection: AsyncConnection) -> list[tuple[object, ...]]:
        rows = await connection.execute(text("SELECT mid, fee FROM fills ORDER BY trade_id"))
        return [tuple(row) for row in rows]

    fee = Decimal("0.0100")
    assert await database.transaction(mids) == [
        (Decimal("50.5"), fee),
        (None, fee),
        (Decimal(60), fee),
    ]
    assert (await ledger.facts(MARKET, 0)).fees == 3 * fee
