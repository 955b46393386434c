"""What was recorded reaches PostgreSQL once and in order, or lies in the spool."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from desk.identity import Slot
from desk.orders import Batch, NewOrder, OutcomeKind
from desk.records import LedgerRecord, OrderEnded
from desk.units import Side
from infra.postgres.engine import open_database
from infra.postgres.reader import PostgresLedger
from infra.postgres.schema import upgrade
from quoting.journal import record_fill, record_sent
from tests.infra.postgres.clock import RunningClock
from tests.infra.postgres.conftest import StartWriter
from tests.infra.postgres.running import running_writer
from tests.infra.postgres.samples import (
    BTC,
    MARKET,
    START_MS,
    answered,
    decision,
    fill,
    mark,
    seen,
    sent,
)
from tests.infra.postgres.server import ScratchPostgres
from tests.infra.redis.link import Link

pytestmark = pytest.mark.services

_MARKET = '{"venue": "ocx", "account": "main", "symbol": "BTC-PERP"}'
_SPOOL_0003 = (
    f'{{"kind": "OrderSent", "record": {{"market": {_MARKET}, "epoch": 1, '
    '"client_order_id": "c1", "batch_id": "b1", "side": "sell", "price": 200, "lots": 5, '
    '"reduce_only": false, "sent_at_ms": 1700000000001}}\n'
    f'{{"kind": "OrderAnswered", "record": {{"market": {_MARKET}, "client_order_id": "c1", '
    '"kind": "accepted", "venue_order_id": "v1", "message": "", '
    '"answered_at_ms": 1700000000011}}\n'
    f'{{"kind": "FillSeen", "record": {{"market": {_MARKET}, "fill": {{"venue": "ocx", '
    '"account": "main", "symbol": "BTC-PERP", "trade_id": "t1", "side": "buy", "price": 100, '
    '"lots": 3, "liquidity": "maker", "fee": "0.0100", "fee_estimated": false, '
    '"traded_at_ms": 1700000000001, "client_order_id": "c1", "venue_order_id": null}}}\n'
    f'{{"kind": "EquityMark", "record": {{"market": {_MARKET}, "epoch": 1, "pnl": "1.5", '
    '"peak": "2.5", "position": 4, "mid": "50.25", "at_ms": 1700000000001}}\n'
    f'{{"kind": "KillAnswer", "record": {{"scope": "fleet", "set_at_ms": 1, "market": {_MARKET}, '
    '"stage": "gate_closed", "at_ms": 2, "evidence": ""}}\n'
)
"""Lines as the release before wrote them."""


async def fetch(url: str, query: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    rows = await connection.fetch(query)
    await connection.close()
    return [tuple(row) for row in rows]


async def count(url: str, table: str) -> object:
    return (await fetch(url, f"SELECT count(*) FROM {table}"))[0][0]  # noqa: S608


async def orders(url: str) -> list[tuple[object, ...]]:
    return await fetch(
        url, "SELECT client_order_id, epoch, outcome, message FROM orders ORDER BY sent_at"
    )


def some_of_each(number: int) -> Sequence[LedgerRecord]:
    return sent(number), answered(number), seen(number), mark(number), decision(number)


async def test_every_kind_is_written_once_however_often_recorded(
    start_writer: StartWriter, ledger_url: str, ledger: PostgresLedger
) -> None:
    await ledger.remember_instrument(BTC)
    async with start_writer() as running:
        for _ in range(3):
            for number in range(700):
                for record in some_of_each(number):
                    running.writer.record(record)
        assert running.writer.behind_s() > 0
        assert await running.writer.flush(20)
        assert running.writer.behind_s() == 0
    for table in ("orders", "fills", "equity", "control_decisions"):
        assert await count(ledger_url, table) == 700
    facts = await ledger.facts(MARKET, 1)
    assert (facts.fills, facts.position) == (700, 2100)
    priced = await fetch(ledger_url, "SELECT DISTINCT price, quantity FROM orders")
    assert priced == [(BTC.price(200), BTC.quantity(5))]
    assert not running.folder.exists()


async def test_later_answers_win_and_stale_ones_do_not(
    start_writer: StartWriter, ledger_url: str
) -> None:
    async with start_writer() as running:
        running.writer.record(sent(1))
        running.writer.record(answered(1, OutcomeKind.UNRESOLVED))
        running.writer.record(answered(1, after_ms=50))
        assert await running.writer.flush(5)
        running.writer.record(answered(1, OutcomeKind.UNRESOLVED))
        running.writer.record(answered(2, OutcomeKind.DENIED, message="a\x00\ud800b"))
        assert await running.writer.flush(5)
        running.writer.record(sent(2))
        assert await running.writer.flush(5)
    assert await orders(ledger_url) == [("c1", 1, "accepted", ""), ("c2", 1, "denied", "a??b")]


async def test_a_refused_record_is_put_aside_and_blocks_nobody(
    start_writer: StartWriter, ledger_url: str, ledger: PostgresLedger
) -> None:
    refused: list[LedgerRecord] = [
        seen(1_000, lots=2**63),
        seen(1_001, lots=-1),
        mark(1_002, pnl="NaN"),
        sent(10**15),
    ]
    async with start_writer() as running:
        for number in range(40):
            running.writer.record(seen(number))
            if number % 10 == 5:
                running.writer.record(refused[number // 10])
        assert not await running.writer.flush(10), "not everything is in PostgreSQL"
        running.writer.record(seen(50))
        assert await running.writer.flush(5)
    assert await fetch(ledger_url, "SELECT count(*), sum(lots) FROM fills") == [(41, 123)]
    (path,) = running.folder.iterdir()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    kinds = [line["kind"] for line in lines]
    assert kinds == ["FillSeen", "FillSeen", "EquityMark", "OrderSent"]
    assert all(line["reason"] for line in lines)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(await ledger.alerts(0)) == 4


@pytest.mark.parametrize("trouble", ["cut", "freeze"])
async def test_a_lost_line_delays_and_loses_nothing(
    start_writer: StartWriter, ledger_url: str, trouble: str
) -> None:
    port = urlsplit(ledger_url).port or 5432
    async with Link(port).running() as link:
        url = ledger_url.replace(f":{port}", f":{link.port}")
        async with start_writer(url=url, timeout_s=0.5) as running:
            running.writer.record(seen(1))
            assert await running.writer.flush(5)
            getattr(link, trouble)()
            for number in range(1_200):
                running.writer.record(seen(number))
            assert not await running.writer.flush(1)
            assert running.writer.behind_s() > 0.9
            link.mend()
            link.thaw()
            assert await running.writer.flush(10)
    assert await fetch(ledger_url, "SELECT count(*) FROM fills") == [(1_200,)]
    assert await fetch(ledger_url, "SELECT fills FROM positions") == [(1_200,)]


async def test_what_cannot_be_written_is_spooled_and_loaded_at_the_next_start(
    start_writer: StartWriter, ledger_url: str
) -> None:
    nowhere = "postgresql://app@127.0.0.1:1/none"
    recorded = [record for number in range(300) for record in some_of_each(number)]
    async with start_writer(url=nowhere, drain_s=0.1) as running:
        for record in recorded:
            running.writer.record(record)
    running.writer.record(seen(300))
    files = sorted(running.folder.iterdir())
    assert [path.name for path in files] == ["worker-000001.jsonl", "worker-000002.jsonl"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    async with start_writer(url=nowhere, drain_s=0.1, name="next") as running:
        running.writer.record(seen(301))
        assert not await running.writer.flush(0.2)
    assert len(list(running.folder.iterdir())) == 3, "spool files are not spooled again"
    async with start_writer(name="third") as running:
        running.writer.record(answered(0, OutcomeKind.REJECTED, after_ms=60))
        assert await running.writer.flush(10)
        assert list(running.folder.iterdir()) == []
    assert await fetch(ledger_url, "SELECT count(*) FROM fills") == [(302,)]
    assert (await orders(ledger_url))[0] == ("c0", 1, "rejected", "")
    for table in ("orders", "equity", "control_decisions"):
        assert await count(ledger_url, table) == 300


async def test_a_writer_cancelled_in_mid_air_leaves_the_rest_on_the_disk(
    start_writer: StartWriter, ledger_url: str
) -> None:
    async with start_writer(drain_s=0.0) as running:
        for number in range(5_000):
            running.writer.record(seen(number))
        await asyncio.sleep(0)
    left = sum(len(path.read_bytes().splitlines()) for path in running.folder.iterdir())
    assert left > 0
    async with start_writer(name="next") as running:
        running.writer.record(seen(5_000))
        assert await running.writer.flush(20)
    assert await count(ledger_url, "fills") == 5_001
    assert await fetch(ledger_url, "SELECT fills FROM positions") == [(5_001,)]


async def test_a_damaged_spool_line_costs_only_itself(
    start_writer: StartWriter, ledger_url: str, tmp_path: Path
) -> None:
    async with start_writer(url="postgresql://app@127.0.0.1:1/none", drain_s=0.1) as running:
        running.writer.record(seen(1))
    (path,) = running.folder.iterdir()
    path.write_bytes(path.read_bytes() + b'{"kind": "FillSeen", "rec')
    async with start_writer() as running:
        running.writer.record(seen(2))
        assert await running.writer.flush(5)
    assert await fetch(ledger_url, "SELECT count(*) FROM fills") == [(2,)]
    assert [left.suffix for left in running.folder.iterdir()] == [".unreadable"]


async def test_a_spool_of_the_release_before_still_loads(
    start_writer: StartWriter, ledger_url: str, ledger: PostgresLedger, tmp_path: Path
) -> None:
    await ledger.remember_instrument(BTC)
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / "worker-000001.jsonl").write_text(_SPOOL_0003)
    async with start_writer(name="next") as running:
        running.writer.record(decision(1))
        assert await running.writer.flush(10)
    assert list(folder.iterdir()) == [], "every line was understood"
    assert await orders(ledger_url) == [("c1", 1, "accepted", "")]
    assert await fetch(ledger_url, "SELECT trade_id, fee::text, mid FROM fills") == [
        ("t1", "0.0100", None)
    ]
    assert (await ledger.facts(MARKET, 1)).peak_pnl == 2.5
    assert await count(ledger_url, "kill_answers") == 1


async def test_endings_and_mids_come_through_the_spool(
    start_writer: StartWriter, ledger_url: str
) -> None:
    end = OrderEnded(market=MARKET, client_order_id="c1", how="filled", ended_at_ms=START_MS + 30)
    async with start_writer(url="postgresql://app@127.0.0.1:1/none", drain_s=0.1) as running:
        for record in (sent(1), answered(1), end, replace(seen(1), mid=Decimal("50.25"))):
            running.writer.record(record)
    async with start_writer(name="next") as running:
        running.writer.record(decision(1))
        assert await running.writer.flush(10)
    assert await fetch(ledger_url, "SELECT outcome, ending FROM orders") == [("accepted", "filled")]
    assert await fetch(ledger_url, "SELECT mid FROM fills") == [(Decimal("50.25"),)]


async def test_what_waited_while_the_venue_changed_its_lots_keeps_the_lots_it_was_heard_in(
    start_writer: StartWriter, ledger_url: str, ledger: PostgresLedger
) -> None:
    slot = Slot(Side.BUY, 0)
    order = NewOrder(client_order_id="c1", slot=slot, side=Side.BUY, price=100, lots=4)
    batch = Batch(batch_id="b1", symbol=BTC.symbol, orders=(order,))
    async with start_writer(url="postgresql://app@127.0.0.1:1/none", drain_s=0.1) as running:
        record_sent(running.writer, RunningClock(), MARKET, BTC, 1, batch)
        record_fill(running.writer, MARKET, BTC, fill(1, price=100, lots=4), None)
    await ledger.remember_instrument(
        replace(BTC, tick_size=BTC.tick_size / 5, lot_size=BTC.lot_size / 10, multiplier=Decimal(1))
    )
    async with start_writer(name="next") as running:
        running.writer.record(decision(1))
        assert await running.writer.flush(10)
    price, quantity = BTC.price(100), BTC.quantity(4)
    assert await fetch(ledger_url, "SELECT price, quantity FROM orders") == [(price, quantity)]
    booked = await fetch(ledger_url, "SELECT price, quantity, multiplier FROM fills")
    assert booked == [(price, quantity, BTC.multiplier)]
    facts = await ledger.facts(MARKET, 1)
    assert (facts.position, facts.cash) == (40, -BTC.notional(100, 4))


@pytest.mark.chaos
async def test_postgres_killed_under_load_loses_and_doubles_nothing(
    scratch: ScratchPostgres, tmp_path: Path
) -> None:
    await upgrade(scratch.url)
    database = open_database(scratch.url)
    ledger = PostgresLedger(database)
    await ledger.remember_instrument(BTC)
    known = 0
    async with running_writer(url=scratch.url, folder=tmp_path / "spool") as running:

        async def trade() -> None:
            nonlocal known
            while True:
                for record in (sent(known), answered(known), seen(known), mark(known)):
                    running.writer.record(record)
                known += 1
                # About four thousand records a second, whatever the machine can do.
                await asyncio.sleep(0.01 if known % 10 == 0 else 0)

        async with asyncio.TaskGroup() as tasks:
            load = tasks.create_task(trade())
            for _ in range(3):
                goal = known + 1_000
                async with asyncio.timeout(20):
                    while known < goal:
                        await asyncio.sleep(0.01)
                scratch.kill()
                await asyncio.sleep(0.2)
                await scratch.start()
            load.cancel()
        assert await running.writer.flush(60)
    counts = "SELECT count(*), count(outcome) FROM orders"
    assert await fetch(scratch.url, counts) == [(known, known)]
    assert await fetch(scratch.url, "SELECT count(*) FROM fills") == [(known,)]
    facts = await ledger.facts(MARKET, 1)
    assert (facts.fills, facts.position) == (known, 3 * known)
    assert facts.cash == -known * BTC.notional(100, 3)
    assert await ledger.book_fills(MARKET, [fill(n) for n in range(known)]) == 0
    await database.close()
