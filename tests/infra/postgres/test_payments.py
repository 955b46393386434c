"""Payments are booked once, whoever books them in whatever order, and funding is PnL."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest

from desk.daily_loss import MarketPnl
from desk.identity import MarketId
from desk.payments import Payment, PaymentKind
from infra.postgres.engine import Database, open_database
from infra.postgres.losses import PostgresLossBook
from infra.postgres.payments import PostgresPayments
from infra.postgres.reader import PostgresLedger
from infra.postgres.reconciliations import PostgresReconciliations
from quoting.standing import Standing
from tests.infra.postgres.conftest import StartWriter
from tests.infra.postgres.samples import BTC, MARKET, OTHER, START_MS, fill, mark

pytestmark = pytest.mark.services


def funding(number: int, amount: str = "-0.25", *, market: MarketId = MARKET) -> Payment:
    return Payment(
        venue=market.venue,
        account=market.account,
        payment_id=f"f{number}",
        kind=PaymentKind.FUNDING,
        amount=Decimal(amount),
        paid_at_ms=START_MS + number,
        symbol=market.symbol,
    )


def transfer(number: int, amount: str) -> Payment:
    paid = replace(funding(number, amount), kind=PaymentKind.TRANSFER, symbol=None)
    return replace(paid, payment_id=f"f{number}")


@pytest.fixture
def payments(database: Database) -> PostgresPayments:
    return PostgresPayments(database)


async def test_funding_moves_the_funding_of_its_market_and_nothing_else(
    payments: PostgresPayments, ledger: PostgresLedger
) -> None:
    await ledger.remember_instrument(BTC)
    await ledger.book_fills(MARKET, [fill(1)])
    before = await ledger.facts(MARKET, 0)
    assert await payments.book([funding(1), funding(2, "1.5"), funding(3, market=OTHER)]) == 3
    assert await payments.book([funding(2, "1.5"), funding(1)]) == 0
    assert await ledger.facts(MARKET, 0) == replace(before, funding=Decimal("1.25"))
    assert await payments.book([funding(2, "1.5"), funding(4, "10")]) == 1
    assert await ledger.facts(MARKET, 0) == replace(before, funding=Decimal("11.25"))
    assert (await ledger.facts(OTHER, 0)).funding == Decimal("-0.25")


async def test_a_transfer_is_no_pnl_and_another_kind_with_the_same_id_is_another_payment(
    payments: PostgresPayments, database: Database
) -> None:
    assert await payments.book([funding(1), transfer(1, "100"), transfer(2, "-30")]) == 3
    books = await PostgresReconciliations(database).books("ocx", "main")
    assert (books.transfers, books.pnl) == (Decimal(70), Decimal("-0.25"))


async def test_the_first_word_on_a_payment_stands_also_within_one_list(
    payments: PostgresPayments, ledger: PostgresLedger
) -> None:
    assert await payments.book([funding(1, "2"), funding(1, "3")]) == 1
    assert await payments.book([funding(1, "4")]) == 0
    assert (await ledger.facts(MARKET, 0)).funding == Decimal(2)


async def test_booked_once_by_many_in_any_order(ledger_url: str) -> None:
    database = open_database(ledger_url, timeout_s=30)
    book = PostgresPayments(database)
    every = [
        funding(number, f"0.{number:03d}", market=MARKET if number % 3 else OTHER)
        for number in range(120)
    ]
    lists = []
    for seed in range(8):
        heard = Random(seed).choices(every, k=60) + every[seed::8]
        Random(seed).shuffle(heard)
        lists.append(heard)
    new = await asyncio.gather(*map(book.book, lists))
    assert sum(new) == 120
    ledger = PostgresLedger(database)
    for market in (MARKET, OTHER):
        own = sum(one.amount for one in every if one.symbol == market.symbol)
        assert (await ledger.facts(market, 0)).funding == own
    await database.close()


async def test_the_newest_of_a_kind(payments: PostgresPayments) -> None:
    assert await payments.last_ms("ocx", "main", PaymentKind.FUNDING) is None
    await payments.book([funding(5), funding(3), transfer(9, "1")])
    assert await payments.last_ms("ocx", "main", PaymentKind.FUNDING) == START_MS + 5
    assert await payments.last_ms("ocx", "main", PaymentKind.TRANSFER) == START_MS + 9
    assert await payments.last_ms("ocx", "other", PaymentKind.FUNDING) is None


@pytest.mark.parametrize(
    "bad",
    [
        replace(funding(2), amount=Decimal("NaN")),
        replace(funding(2), amount=Decimal("Infinity")),
        replace(funding(2), symbol=None),
        replace(transfer(2, "1"), symbol="BTC-PERP"),
    ],
)
async def test_what_is_no_payment_is_refused_and_nothing_is_booked(
    payments: PostgresPayments, ledger: PostgresLedger, bad: Payment
) -> None:
    with pytest.raises(ValueError, match="payments: f2 of ocx/main"):
        await payments.book([funding(1), bad])
    assert (await ledger.facts(MARKET, 0)).funding == 0
    assert await payments.book([]) == 0


async def test_a_days_pnl_counts_the_funding_until_its_moment(
    payments: PostgresPayments, ledger: PostgresLedger, database: Database
) -> None:
    await ledger.remember_instrument(BTC)
    await payments.book([funding(10, "-5"), funding(20, "-7"), transfer(15, "1000")])
    losses = PostgresLossBook(database)
    (then,) = await losses.pnl(START_MS + 10, MARKET)
    assert (then.funding, then.pnl) == (Decimal(-5), Decimal(-5))
    (now,) = await losses.pnl()
    assert now == MarketPnl(market=MARKET, funding=Decimal(-12), multiplier=BTC.multiplier)
    assert now.pnl == Decimal(-12)


async def test_a_session_and_the_ledger_make_the_same_pnl_of_it(
    payments: PostgresPayments,
    ledger: PostgresLedger,
    database: Database,
    start_writer: StartWriter,
) -> None:
    await ledger.remember_instrument(BTC)
    await ledger.book_fills(MARKET, [fill(1)])
    await payments.book([funding(2, "-0.5")])
    async with start_writer() as running:
        running.writer.record(mark(3))
        assert await running.writer.flush(5)
    facts = await ledger.facts(MARKET, 0)
    standing = Standing(BTC, facts, known_since_ms=START_MS, known=frozenset({"t1"}))
    (now,) = await PostgresLossBook(database).pnl()
    assert now.mid == Decimal("50.25")
    assert standing.seen(201).pnl == now.pnl
    assert now.pnl == Decimal("-0.31") + Decimal("0.006") * Decimal("50.25") - Decimal("0.5")
