"""Which orders are on record: by their exact ids, in one market, through the primary key."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.identity import OrderIdentity, Slot
from desk.ports import LedgerReader
from desk.records import LedgerRecord, OrderSent
from desk.units import Side
from infra.postgres.engine import Database
from infra.postgres.reader import RECORDED, PostgresLedger
from quoting.arbitrage.ids import last_recorded
from tests.infra.postgres.conftest import StartWriter
from tests.infra.postgres.samples import MARKET, OTHER, answered, sent

pytestmark = pytest.mark.services

_EPOCH = 7


def hedge(cycle: int, *, epoch: int = _EPOCH, leaving: bool = False) -> OrderSent:
    side = Side.SELL if leaving else Side.BUY
    identity = OrderIdentity(
        tag=MARKET.tag, epoch=epoch, cycle=cycle, slot=Slot(side, 0), exit=leaving
    )
    order = sent(cycle)
    return OrderSent(
        market=MARKET,
        epoch=epoch,
        client_order_id=identity.encode(),
        batch_id=identity.encode(),
        side=side,
        price=order.price,
        lots=order.lots,
        reduce_only=leaving,
        sent_at_ms=order.sent_at_ms,
    )


async def write(start_writer: StartWriter, *records: LedgerRecord) -> None:
    async with start_writer() as running:
        for one in records:
            running.writer.record(one)
        assert await running.writer.flush(10)


async def test_orders_on_record_in_any_way_are_found(
    ledger: PostgresLedger, start_writer: StartWriter
) -> None:
    await write(start_writer, sent(1), answered(2))
    assert await ledger.recorded_orders(MARKET, ["c1", "c2", "c3"]) == {"c1", "c2"}
    assert await ledger.recorded_orders(OTHER, ["c1"]) == frozenset()
    assert await ledger.recorded_orders(MARKET, []) == frozenset()


async def test_the_last_cycle_is_found_however_many_there_are(
    ledger: PostgresLedger, start_writer: StartWriter
) -> None:
    reader: LedgerReader = ledger
    assert await last_recorded(reader, MARKET, _EPOCH) == 0
    await write(start_writer, hedge(1), hedge(900, epoch=_EPOCH + 1))
    assert await last_recorded(reader, MARKET, _EPOCH) == 1
    await write(start_writer, *(hedge(cycle) for cycle in range(2, 130)), hedge(130, leaving=True))
    assert await last_recorded(reader, MARKET, _EPOCH) == 130
    await write(start_writer, *(hedge(cycle) for cycle in range(131, 5_000)))
    assert await last_recorded(reader, MARKET, _EPOCH) == 4_999
    assert await last_recorded(reader, OTHER, _EPOCH) == 0


async def test_they_are_found_by_the_primary_key(
    database: Database, start_writer: StartWriter
) -> None:
    await write(start_writer, *(hedge(cycle) for cycle in range(1, 5_000)))
    given = {
        "venue": MARKET.venue,
        "account": MARKET.account,
        "symbol": MARKET.symbol,
        "client_order_ids": [hedge(cycle).client_order_id for cycle in range(1, 257)],
    }

    async def plan(connection: AsyncConnection) -> str:
        await connection.execute(text("ANALYZE orders"))
        rows = await connection.execute(text(f"EXPLAIN {RECORDED.text}"), given)
        return "\n".join(row[0] for row in rows)

    assert "orders_pkey" in await database.transaction(plan)
