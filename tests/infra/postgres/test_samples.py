"""Sampled decisions are written once, and an order is found with what may have taken it away."""

from dataclasses import replace

import pytest

from desk.identity import MarketId, OrderIdentity, Slot
from desk.records import OrderEnded, OrderSent
from desk.trace_ports import REPLACES_ALL, DecisionSample
from desk.units import Side
from infra.postgres.engine import Database
from infra.postgres.journal import write_batch
from infra.postgres.reader import PostgresLedger
from infra.postgres.samples import PostgresSamples

pytestmark = pytest.mark.services

MARKET = MarketId("ocx", "main", "BTC-PERP")
AT_MS = 1_800_000_000_000


def sample(step: int, at_ms: int, kind: str = "pull", reason: str = "feed lost") -> DecisionSample:
    return DecisionSample(
        run_id="run",
        market=MARKET,
        epoch=1,
        at_ms=at_ms,
        step=step,
        kind=kind,
        reason=reason,
        frame=b"\x00frame",
    )


def name(cycle: int, level: int = 0, epoch: int = 1) -> str:
    slot = Slot(Side.BUY, level)
    return OrderIdentity(tag=MARKET.tag, epoch=epoch, cycle=cycle, slot=slot).encode()


def sending(client_order_id: str, at_ms: int) -> OrderSent:
    return OrderSent(
        market=MARKET,
        epoch=1,
        client_order_id=client_order_id,
        batch_id="b1",
        side=Side.BUY,
        price=100,
        lots=2,
        reduce_only=False,
        sent_at_ms=at_ms,
    )


async def send(database: Database, *orders: OrderSent) -> None:
    ledger = PostgresLedger(database)
    await ledger.open_epoch(MARKET, "me", "run of the session")
    await database.transaction(lambda connection: write_batch(connection, orders))


async def test_a_sample_is_kept_once_however_often_it_is_written(database: Database) -> None:
    samples = PostgresSamples(database)
    await send(database, sending(name(1), AT_MS))
    given = [sample(3, AT_MS + 5), sample(3, AT_MS + 5, kind="leave"), sample(4, AT_MS + 9)]
    for _ in range(2):
        await samples.record(given)
    await samples.record([replace(given[0], reason="told otherwise")])
    await samples.record([])
    record = await samples.order(name(1))
    assert record is not None
    assert sorted(record.samples, key=lambda one: (one.step, one.kind)) == [
        given[1],
        given[0],
        given[2],
    ]


async def test_text_and_frames_of_any_bytes_are_kept(database: Database) -> None:
    samples = PostgresSamples(database)
    await send(database, sending(name(1), AT_MS))
    await samples.record([replace(sample(1, AT_MS + 1, reason="a\x00b"), frame=bytes(range(256)))])
    record = await samples.order(name(1))
    assert record is not None
    assert (record.samples[0].reason, record.samples[0].frame) == ("a?b", bytes(range(256)))


async def test_an_order_is_found_by_its_id_with_the_next_one_in_its_place(
    database: Database,
) -> None:
    orders = [sending(name(1), AT_MS), sending(name(1, level=1), AT_MS)]
    later = [sending(name(2, level=1), AT_MS + 500), sending(name(3), AT_MS + 900)]
    await send(database, *orders, *later, sending(name(35), AT_MS + 2_000))
    record = await PostgresSamples(database).order(name(1))
    assert record is not None
    assert (record.market, record.epoch, record.run_id) == (MARKET, 1, "run of the session")
    assert record.next_order is not None
    assert record.next_order.client_order_id == name(3)


async def test_only_decisions_of_its_own_session_and_time_are_told(database: Database) -> None:
    samples = PostgresSamples(database)
    await send(database, sending(name(1), AT_MS))
    mine = sample(2, AT_MS + 10)
    others = [
        sample(1, AT_MS - 60_000),
        replace(sample(2, AT_MS + 11), epoch=2),
        replace(sample(2, AT_MS + 12), market=MarketId("ocx", "other", "BTC-PERP")),
    ]
    await samples.record([mine, *others])
    record = await samples.order(name(1))
    assert record is not None
    assert record.samples == (mine,)


async def test_what_took_it_is_found_behind_any_number_of_other_decisions(
    database: Database,
) -> None:
    samples, mine = PostgresSamples(database), name(1, level=4)
    await send(database, sending(mine, AT_MS))
    others = [
        sample(number, AT_MS + number, "send", f"b2-{number}: 1 orders, cancels {name(number)}")
        for number in range(1, 300)
    ]
    own = sample(0, AT_MS, "send", f"b1: 5 orders, {REPLACES_ALL}")
    took = [
        sample(301, AT_MS + 301, "send", f"b3: 0 orders, cancels {mine}"),
        sample(302, AT_MS + 302, "send", f"b4: 5 orders, {REPLACES_ALL}"),
        sample(303, AT_MS + 303, "withdraw", mine),
        sample(304, AT_MS + 304, "pull", "feed lost: cut"),
        sample(305, AT_MS + 305, "leave", "asked"),
    ]
    await samples.record([own, *others, *took])
    record = await samples.order(mine)
    assert record is not None
    assert record.samples == tuple(took)


async def test_what_came_after_its_end_is_left_out(database: Database) -> None:
    samples, mine = PostgresSamples(database), name(1)
    end = OrderEnded(
        market=MARKET, client_order_id=mine, how="post_only", ended_at_ms=AT_MS + 5_000
    )
    await send(database, sending(mine, AT_MS), sending(name(2), AT_MS + 9_000))
    await database.transaction(lambda connection: write_batch(connection, [end]))
    await samples.record([sample(9, AT_MS + 20_000)])
    record = await samples.order(mine)
    assert record is not None
    assert (record.ending, record.samples, record.next_order) == ("post_only", (), None)


@pytest.mark.parametrize("client_order_id", [name(1, epoch=7), name(2), "no id of ours"])
async def test_an_order_that_is_not_on_record_is_none(
    database: Database, client_order_id: str
) -> None:
    await send(database, sending(name(1), AT_MS))
    assert await PostgresSamples(database).order(client_order_id) is None
