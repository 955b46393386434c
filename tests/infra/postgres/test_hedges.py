"""Hedges owed: opened once, closed only by what the ledger holds or by a name."""

import asyncio
from decimal import Decimal

import pytest

from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import Fill, Liquidity
from desk.units import Side
from infra.postgres.engine import Database
from infra.postgres.hedges import PostgresHedgeBook
from infra.postgres.reader import PostgresLedger

pytestmark = pytest.mark.services

SOURCE = MarketId("ocx", "main", "BTC-PERP")
HEDGE = MarketId("ocx", "main", "ETH-PERP")
INSTRUMENT = Instrument(
    venue="ocx", symbol="ETH-PERP", tick_size=Decimal("0.1"), lot_size=Decimal("0.01")
)


@pytest.fixture
def book(database: Database) -> PostgresHedgeBook:
    return PostgresHedgeBook(database)


async def trade(ledger: PostgresLedger, trade_id: str, side: Side, lots: int) -> None:
    await ledger.remember_instrument(INSTRUMENT)
    fill = Fill(
        venue="ocx",
        account="main",
        symbol="ETH-PERP",
        trade_id=trade_id,
        side=side,
        price=20_000,
        lots=lots,
        liquidity=Liquidity.TAKER,
        fee=Decimal(0),
        fee_estimated=False,
        traded_at_ms=1_700_000_000_000,
    )
    assert await ledger.book_fills(HEDGE, [fill]) == 1


async def test_a_market_that_never_traded_holds_nothing(
    book: PostgresHedgeBook, ledger: PostgresLedger
) -> None:
    assert await book.quantity(HEDGE) == 0
    await trade(ledger, "1", Side.SELL, 30)
    assert await book.quantity(HEDGE) == Decimal("-0.3")


async def test_many_may_open_but_one_obligation_stands(book: PostgresHedgeBook) -> None:
    opened = await asyncio.gather(*(book.owe(SOURCE, HEDGE, 3, -30, 5) for _ in range(5)))
    assert len({one.number for one in opened}) == 1
    standing = await book.open_for(HEDGE)
    assert standing == opened[0]
    assert standing is not None
    assert (standing.source, standing.hedge, standing.epoch) == (SOURCE, HEDGE, 3)
    assert (standing.opening_owed, standing.opening_position, standing.filled) == (-30, 5, 0)
    assert await book.open_for(SOURCE) is None


async def test_it_grows_and_shrinks_with_the_need(book: PostgresHedgeBook) -> None:
    number = (await book.owe(SOURCE, HEDGE, 1, -30, 5)).number
    assert await book.progress(number, -50, -5)
    standing = await book.open_for(HEDGE)
    assert standing is not None
    assert (standing.owed, standing.filled, standing.opening_owed) == (-50, -10, -30)


async def test_only_the_ledger_discharges_it(
    book: PostgresHedgeBook, ledger: PostgresLedger
) -> None:
    number = (await book.owe(SOURCE, HEDGE, 1, -30, 0)).number
    hedged, flat = Decimal("-0.30"), Decimal(0)
    assert not await book.discharge(number, flat, hedged, "too early")
    assert await book.open_for(HEDGE) is not None
    await trade(ledger, "1", Side.SELL, 29)
    assert not await book.discharge(number, flat, hedged, "a lot is missing")
    await trade(ledger, "2", Side.SELL, 1)
    assert not await book.discharge(number, Decimal(1), hedged, "the source moved")
    assert await book.discharge(number, flat, hedged, "hedged")
    assert not await book.discharge(number, flat, hedged, "again")
    assert await book.open_for(HEDGE) is None
    (closed,) = await book.recent(SOURCE, 10)
    assert (closed.discharged_by, closed.reason, closed.owed) == ("fills", "hedged", 0)
    assert closed.discharged_at_ms is not None


async def test_a_person_may_release_it_by_name(book: PostgresHedgeBook) -> None:
    number = (await book.owe(SOURCE, HEDGE, 1, -30, 0)).number
    for nobody in ("", " ", "fills"):
        with pytest.raises(ValueError, match="is not a person's name"):
            await book.release(number, nobody, "why")
    assert await book.release(number, "ana", "hedged by hand elsewhere")
    assert not await book.release(number, "ben", "late")
    assert not await book.progress(number, -1, 0)
    (closed,) = await book.recent(SOURCE, 10)
    assert (closed.discharged_by, closed.owed) == ("ana", -30)
    again = await book.owe(SOURCE, HEDGE, 2, -10, 0)
    assert again.number != number
    assert [one.number for one in await book.recent(SOURCE, 10)] == [again.number, number]
    assert [one.number for one in await book.recent(SOURCE, 1)] == [again.number]
