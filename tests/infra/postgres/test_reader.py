"""Facts are exact folds over fills booked once; epochs and kills are given out once."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.errors import Unavailable
from desk.records import FillSeen, Kill, LedgerFacts, LedgerRecord
from desk.units import Side
from infra.postgres.alerts import PostgresAlerts
from infra.postgres.booking import SETTLE_FEES
from infra.postgres.engine import Database, open_database
from infra.postgres.reader import FILLS, PostgresLedger
from infra.postgres.rows import fill_columns
from infra.postgres.times import to_time
from tests.infra.postgres.conftest import StartWriter
from tests.infra.postgres.samples import (
    BTC,
    MARKET,
    OTHER,
    START_MS,
    answered,
    decision,
    fill,
    mark,
    sent,
)
from tests.infra.redis.link import Link

pytestmark = pytest.mark.services


async def test_a_market_never_traded_has_empty_facts(ledger: PostgresLedger) -> None:
    facts = await ledger.facts(MARKET, 1)
    assert facts == LedgerFacts(
        fills=0,
        position=0,
        cash=Decimal(0),
        fees=Decimal(0),
        last_trade_ms=None,
        peak_pnl=None,
    )


async def test_facts_fold_fills_in_lots_and_quote_currency(ledger: PostgresLedger) -> None:
    await ledger.remember_instrument(BTC)
    fills = [fill(1, price=100, lots=3), fill(2, side=Side.SELL, price=110, lots=5)]
    assert await ledger.book_fills(MARKET, fills) == 2
    facts = await ledger.facts(MARKET, 1)
    assert (facts.fills, facts.position, facts.last_trade_ms) == (2, -2, START_MS + 2)
    assert facts.cash == BTC.notional(110, 5) - BTC.notional(100, 3)
    assert facts.fees == Decimal("0.02")
    assert list(await ledger.fills(MARKET)) == fills


async def test_fills_are_booked_once_whoever_books_them(ledger_url: str) -> None:
    # Nine writers of one market wait for each other: on a busy machine longer than usual.
    database = open_database(ledger_url, timeout_s=30)
    ledger = PostgresLedger(database)
    await ledger.remember_instrument(BTC)
    fills = [fill(number) for number in range(200)]
    new = await asyncio.gather(
        *(ledger.book_fills(MARKET, fills if turn % 2 else fills[::-1]) for turn in range(8)),
        ledger.book_fills(MARKET, [*fills, *fills]),
    )
    assert sum(new) == 200
    facts = await ledger.facts(MARKET, 1)
    assert (facts.fills, facts.position) == (200, 600)
    assert facts.cash == -200 * BTC.notional(100, 3)
    assert await ledger.book_fills(MARKET, []) == 0
    await database.close()


async def test_an_estimated_fee_gives_way_to_the_venues_own_once(ledger: PostgresLedger) -> None:
    await ledger.remember_instrument(BTC)
    guessed = replace(fill(1), fee=Decimal("0.0123456789"), fee_estimated=True)
    assert await ledger.book_fills(MARKET, [guessed]) == 1
    told = replace(fill(1), fee=Decimal("0.01234568"), fee_estimated=False)
    assert await ledger.book_fills(MARKET, [told]) == 0
    assert await ledger.book_fills(MARKET, [guessed]) == 0
    assert await ledger.book_fills(MARKET, [replace(told, fee=Decimal(8))]) == 0
    assert (await ledger.facts(MARKET, 0)).fees == Decimal("0.01234568")
    (kept,) = await ledger.fills(MARKET)
    assert (kept.fee, kept.fee_estimated) == (told.fee, False)


async def test_whoever_books_first_the_fees_are_the_venues_own(ledger_url: str) -> None:
    database = open_database(ledger_url, timeout_s=30)
    ledger = PostgresLedger(database)
    await ledger.remember_instrument(BTC)
    told = [fill(number) for number in range(100)]
    guessed = [replace(one, fee=Decimal(7), fee_estimated=True) for one in told]
    mixed = [two for pair in zip(guessed, told, strict=True) for two in pair]
    lists = [guessed, told, mixed, guessed[::-1], told[50:], mixed[::-1], guessed, told[:70]]
    assert sum(await asyncio.gather(*(ledger.book_fills(MARKET, one) for one in lists))) == 100
    assert (await ledger.facts(MARKET, 0)).fees == 100 * Decimal("0.0100")
    assert list(await ledger.fills(MARKET)) == told
    await database.close()


async def test_a_fill_heard_again_is_found_by_its_key_whatever_the_statistics(
    ledger: PostgresLedger, database: Database
) -> None:
    await ledger.book_fills(MARKET, [fill(number) for number in range(2_000)])
    again = fill_columns([FillSeen(market=MARKET, fill=fill(1))])

    async def plan(connection: AsyncConnection) -> str:
        found = await connection.execute(text(f"EXPLAIN {SETTLE_FEES.text}"), again)
        return "\n".join(found.scalars())

    told = await database.transaction(plan)
    assert "Conflict Arbiter Indexes: fills_pkey" in told
    assert "Scan on fills" not in told
    assert "on fills f " not in told.replace("Insert on fills f ", "")


async def test_a_fill_of_an_unknown_instrument_is_booked_but_not_guessed(
    ledger: PostgresLedger,
) -> None:
    assert await ledger.book_fills(MARKET, [fill(1)]) == 1
    with pytest.raises(Unavailable, match="call remember_instrument"):
        await ledger.facts(MARKET, 1)
    await ledger.remember_instrument(BTC)
    await ledger.remember_instrument(BTC)
    facts = await ledger.facts(MARKET, 1)
    assert (facts.fills, facts.position, facts.cash) == (1, 3, -BTC.notional(100, 3))


async def test_a_changed_tick_and_lot_leaves_history_as_it_was(ledger: PostgresLedger) -> None:
    await ledger.remember_instrument(BTC)
    await ledger.book_fills(MARKET, [fill(1, price=100, lots=4)])
    before = await ledger.facts(MARKET, 1)
    finer = type(BTC)(
        venue=BTC.venue,
        symbol=BTC.symbol,
        tick_size=BTC.tick_size / 10,
        lot_size=BTC.lot_size / 4,
        multiplier=BTC.multiplier,
    )
    await ledger.remember_instrument(finer)
    after = await ledger.facts(MARKET, 1)
    assert (after.position, after.cash) == (16, before.cash)
    await ledger.remember_instrument(
        type(BTC)(venue=BTC.venue, symbol=BTC.symbol, tick_size=BTC.tick_size, lot_size=Decimal(1))
    )
    with pytest.raises(Unavailable, match="not a whole number of lots"):
        await ledger.facts(MARKET, 1)


async def test_a_fill_of_another_market_is_a_mistake(ledger: PostgresLedger) -> None:
    with pytest.raises(ValueError, match="are not of ocx/main/ETH-PERP"):
        await ledger.book_fills(OTHER, [fill(1)])


async def test_every_caller_gets_an_epoch_of_its_own(ledger: PostgresLedger) -> None:
    epochs = await asyncio.gather(
        *(ledger.open_epoch(MARKET, f"owner {n}", f"run {n}") for n in range(30))
    )
    assert sorted(epochs) == list(range(1, 31))
    assert await ledger.open_epoch(OTHER, "owner", "run") == 1
    assert await ledger.close_epoch(MARKET, 7, "stood down")
    assert not await ledger.close_epoch(MARKET, 7, "again")
    assert not await ledger.close_epoch(MARKET, 99, "never opened")


async def test_an_epoch_goes_past_what_others_remember(ledger: PostgresLedger) -> None:
    assert await ledger.open_epoch(MARKET, "owner", "run", beyond=41) == 42
    assert await ledger.open_epoch(MARKET, "owner", "run", beyond=7) == 43
    assert await ledger.open_epoch(MARKET, "owner", "run") == 44


async def test_a_kill_is_lifted_at_its_own_scope_only(ledger: PostgresLedger) -> None:
    kill = Kill(scope="venue:ocx", reason="drill", by="ann", at_ms=START_MS)
    await ledger.set_kill(kill)
    for scope in ("fleet", "account:ocx/main", "market:ocx/main/BTC-PERP"):
        assert not await ledger.lift_kill(scope, START_MS, "ann", "done")
    assert list(await ledger.active_kills()) == [kill]
    assert await ledger.lift_kill("venue:ocx", START_MS, "ann", "done")
    assert not await ledger.lift_kill("venue:ocx", START_MS, "ann", "done")
    assert list(await ledger.active_kills()) == []
    again = replace(kill, at_ms=START_MS + 1)
    await ledger.set_kill(again)
    assert list(await ledger.active_kills()) == [again]


@pytest.mark.parametrize("later_ms", [1, -1])
async def test_the_last_kill_of_a_scope_is_the_one_in_force(
    ledger: PostgresLedger, later_ms: int
) -> None:
    """Also when the clock of who set it is behind; lifting the one before does not touch it."""
    old = Kill(scope="venue:ocx", reason="drill", by="ann", at_ms=START_MS)
    new = replace(old, reason="flood", by="bob", at_ms=START_MS + later_ms)
    await ledger.set_kill(old)
    await ledger.set_kill(new)
    await ledger.set_kill(old)
    assert list(await ledger.active_kills()) == [new]
    assert not await ledger.lift_kill("venue:ocx", old.at_ms, "ann", "over")
    assert list(await ledger.active_kills()) == [new]


async def test_a_kill_lifted_before_it_was_recorded_does_not_come_late(
    ledger: PostgresLedger,
) -> None:
    kill = Kill(scope="fleet", reason="drill", by="ann", at_ms=START_MS)
    assert not await ledger.lift_kill("fleet", START_MS, "bob", "over")
    await ledger.set_kill(kill)
    assert list(await ledger.active_kills()) == []


async def test_of_kills_set_at_once_one_is_in_force_and_one_set_while_it_is_lifted_stays(
    ledger: PostgresLedger,
) -> None:
    kills = [Kill(scope="fleet", reason="drill", by="ann", at_ms=START_MS + n) for n in range(8)]
    await asyncio.gather(*(ledger.set_kill(kill) for kill in kills))
    (standing,) = await ledger.active_kills()
    new = replace(standing, by="bob", at_ms=START_MS + 9)
    await asyncio.gather(
        ledger.lift_kill("fleet", standing.at_ms, "ann", "over"), ledger.set_kill(new)
    )
    assert list(await ledger.active_kills()) == [new]


async def test_decisions_are_recorded_once(ledger: PostgresLedger, database: Database) -> None:
    for _ in range(2):
        await ledger.record_decision(decision(1, evidence="a\x00b"))
    await ledger.record_decision(decision(2))

    async def count(connection: AsyncConnection) -> int:
        found = await connection.execute(text("SELECT count(*) FROM control_decisions"))
        return int(found.scalar_one())

    assert await database.transaction(count) == 2


async def test_alerts_are_recorded_newest_first(ledger: PostgresLedger, database: Database) -> None:
    alerts = PostgresAlerts(database)
    await alerts.alert(None, "info", "first\x00")
    await alerts.alert(MARKET, "page", "second")
    found = await ledger.alerts(0)
    assert [(one.market, one.severity, one.text) for one in found] == [
        (MARKET, "page", "second"),
        (None, "info", "first?"),
    ]
    assert await alerts.told("fir", found[1].at_ms)
    assert not await alerts.told("irst", 0)
    assert not await alerts.told("first", found[0].at_ms + 60_000)


async def test_series_and_counts(ledger: PostgresLedger, start_writer: StartWriter) -> None:
    marks = [mark(1, pnl="1", peak="1"), mark(2, pnl="9", peak="9"), mark(3, pnl="4", peak="9")]
    async with start_writer() as running:
        records: list[LedgerRecord] = [*marks, sent(1), sent(2), answered(1)]
        for record in records:
            running.writer.record(record)
        assert await running.writer.flush(5)
    assert list(await ledger.equity(MARKET, START_MS + 2)) == marks[1:]
    assert await ledger.peak_since(MARKET, START_MS) == 9
    assert await ledger.peak_since(MARKET, START_MS + 3) == 4
    assert await ledger.peak_since(OTHER, START_MS) is None
    assert (await ledger.facts(MARKET, 1)).peak_pnl == 9
    assert (await ledger.facts(MARKET, 2)).peak_pnl is None
    assert await ledger.order_counts(MARKET, 0) == {"accepted": 1, "unanswered": 1}


async def test_a_peak_belongs_to_the_life_it_was_marked_in(
    ledger: PostgresLedger, start_writer: StartWriter
) -> None:
    marks = [
        mark(1, epoch=4, peak="90"),
        mark(2, epoch=5, peak="-30"),
        mark(3, epoch=6, peak="-20"),
        mark(4, epoch=6, peak="-25"),
    ]
    async with start_writer() as running:
        for one in (*marks, *marks):
            running.writer.record(one)
        assert await running.writer.flush(5)
    peaks = [(await ledger.facts(MARKET, epoch)).peak_pnl for epoch in (4, 5, 6, 7)]
    assert peaks == [90, -20, -20, None]


async def test_fills_by_market_and_time_use_an_index(
    ledger: PostgresLedger, database: Database
) -> None:
    for first in range(0, 20_000, 5_000):
        await ledger.book_fills(MARKET, [fill(n) for n in range(first, first + 5_000)])

    async def plan(connection: AsyncConnection) -> str:
        await connection.execute(text("ANALYZE fills"))
        given = {
            "venue": "ocx",
            "account": "main",
            "symbol": "BTC-PERP",
            "since": to_time(START_MS + 19_900),
        }
        found = await connection.execute(text(f"EXPLAIN {FILLS.text}"), given)
        return "\n".join(found.scalars())

    assert "fills_market_time" in await database.transaction(plan)


@pytest.mark.parametrize("trouble", ["cut", "freeze"])
async def test_trouble_is_unavailable_soon_and_passes(ledger_url: str, trouble: str) -> None:
    port = urlsplit(ledger_url).port or 5432
    async with Link(port).running() as link:
        url = ledger_url.replace(f":{port}", f":{link.port}")
        database = open_database(url, timeout_s=0.3)
        ledger = PostgresLedger(database)
        assert await ledger.open_epoch(MARKET, "owner", "run") == 1
        getattr(link, trouble)()
        async with asyncio.timeout(3):
            with pytest.raises(Unavailable):
                await ledger.facts(MARKET, 1)
        link.mend()
        link.thaw()
        assert (await ledger.facts(MARKET, 1)).fills == 0
        await database.close()


async def test_a_ledger_without_its_tables_is_unavailable(database_url: str) -> None:
    database = open_database(database_url)
    with pytest.raises(Unavailable, match='relation "positions" does not exist'):
        await PostgresLedger(database).facts(MARKET, 1)
    await database.close()
