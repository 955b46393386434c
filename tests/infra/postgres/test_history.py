"""History is read by index, page by page, and what a period made ties to its fills exactly."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any

import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.book_ports import Adjustment, ReconciliationRun
from desk.breaks import BreakDecision, BreakKind, FoundBreak
from desk.history_ports import FIELDS, Line, Series, Span
from desk.identity import MarketId
from desk.payments import Payment, PaymentKind
from desk.pnl import AccountMoney, EquityReading, Holding, Readings, decompose, pnl_of
from desk.records import FillSeen
from desk.units import Side
from infra.postgres import booking
from infra.postgres.breaks import PostgresBreaks
from infra.postgres.engine import Database, open_database
from infra.postgres.history import PostgresHistory
from infra.postgres.history_sql import FOREIGN, MARKETS, PAGES, PNL, READINGS
from infra.postgres.losses import PostgresLossBook
from infra.postgres.payments import PostgresPayments
from infra.postgres.reader import PostgresLedger
from infra.postgres.reconciliations import PostgresReconciliations
from infra.postgres.schema import downgrade, upgrade
from tests.infra.postgres.conftest import StartWriter
from tests.infra.postgres.samples import BTC, MARKET, OTHER, START_MS, fill, mark, sent
from tests.infra.postgres.test_migration_0004 import connect, up_to

pytestmark = pytest.mark.services

ALWAYS = Span(since_ms=0, until_ms=4_000_000_000_000)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ETH = replace(BTC, symbol="ETH-PERP")
EXACT = Context(prec=80)

HOURS_OF_FILLS = """
SELECT venue, account, symbol, date_trunc('hour', traded_at, 'UTC') AS hour,
       count(*) AS fills, count(*) FILTER (WHERE price IS NULL) AS unpriced,
       count(*) FILTER (WHERE mid IS NULL) AS unmeasured,
       COALESCE(sum(signed), 0) AS quantity,
       COALESCE(sum(quantity * price * multiplier), 0) AS turnover,
       COALESCE(sum(-signed * price * multiplier), 0) AS cash,
       COALESCE(sum(signed * COALESCE(mid, price) * multiplier), 0) AS worth, sum(fee) AS fees
FROM (SELECT *, CASE side WHEN 'buy' THEN quantity ELSE -quantity END AS signed FROM fills) AS f
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""


@pytest.fixture
def history(database: Database) -> PostgresHistory:
    return PostgresHistory(database, page=3)


async def rows(database: Database, statement: str | TextClause, **given: object) -> list[Any]:
    async def read(connection: AsyncConnection) -> list[Any]:
        asked = text(statement) if isinstance(statement, str) else statement
        done = await connection.execute(asked, given)
        return [tuple(row) for row in done] if done.returns_rows else []

    return await database.transaction(read)


async def book(database: Database, *seen: FillSeen) -> None:
    async def write(connection: AsyncConnection) -> None:
        await booking.book_fills(connection, seen)

    await database.transaction(write)


def heard(number: int, mid: str | None = "50", **given: Any) -> FillSeen:
    at_ms = given.pop("at_ms", START_MS + number)
    one = replace(fill(number, **given), traded_at_ms=at_ms)
    market = given.get("market", MARKET)
    return FillSeen(market=market, fill=one, mid=None if mid is None else Decimal(mid))


async def hours_agree(database: Database) -> bool:
    kept = await rows(
        database,
        "SELECT * FROM fill_hours WHERE fills > 0 ORDER BY venue, account, symbol, hour",
    )
    return bool(kept) and kept == await rows(database, HOURS_OF_FILLS)


async def all_of(history: PostgresHistory, series: Series, market: MarketId | None) -> list[Line]:
    return [line async for page in history.pages(series, market, ALWAYS) for line in page]


async def test_hours_are_what_the_fills_are_whatever_happens_to_them(
    database: Database, ledger: PostgresLedger
) -> None:
    """Booked, doubled, late, priced afterwards, completed, across hours and markets."""
    chance = random.Random(7)
    await ledger.remember_instrument(BTC)
    many = [
        heard(
            number,
            chance.choice(["50", "50.75", None]),
            market=chance.choice([MARKET, OTHER]),
            side=chance.choice(list(Side)),
            price=chance.randint(90, 110),
            lots=chance.randint(1, 9),
            at_ms=START_MS + chance.randint(0, 5 * HOUR_MS),
        )
        for number in range(60)
    ]
    for start in range(0, 60, 20):
        await book(database, *many[start : start + 20], *many[:start])
    assert await hours_agree(database), "fills of OTHER are not priced yet"
    await ledger.remember_instrument(ETH)
    assert await hours_agree(database)
    again = [replace(one, mid=Decimal(51)) for one in many]
    await book(database, *again)
    assert await hours_agree(database)
    await rows(database, "UPDATE fills SET fee = fee + 1 WHERE trade_id = 't3'")
    await rows(database, "DELETE FROM fills WHERE trade_id IN ('t4', 't5')")
    assert await hours_agree(database)
    assert (await rows(database, "SELECT sum(fills) FROM fill_hours"))[0][0] == 58


async def test_fills_of_the_release_before_are_in_their_hours(database_url: str) -> None:
    await up_to(database_url, "0003")
    connection = await connect(database_url)
    for number in range(7):
        await connection.execute(
            "INSERT INTO fills (venue, account, symbol, trade_id, side, price_ticks, lots, price, "
            "quantity, multiplier, liquidity, fee, fee_estimated, traded_at) VALUES "
            "('ocx', 'main', 'X', $1, 'sell', 1, 3, 50, 0.003, 2, 'maker', 0.01, false, $2)",
            f"t{number}",
            datetime(2026, 1, 1, number // 3, 59, tzinfo=UTC),
        )
    await connection.close()
    await upgrade(database_url)
    database = open_database(database_url)
    assert await hours_agree(database)
    assert await rows(database, "SELECT fills FROM fill_hours ORDER BY hour") == [(3,), (3,), (1,)]
    await book(database, heard(1))
    assert await hours_agree(database)
    await downgrade(database_url, "0004")
    await upgrade(database_url)
    assert await hours_agree(database)
    await database.close()


async def test_a_fold_that_fails_takes_the_fill_with_it(
    database: Database, ledger: PostgresLedger
) -> None:
    await ledger.remember_instrument(BTC)
    await rows(database, "ALTER TABLE fill_hours ADD CONSTRAINT never CHECK (fills < 2)")
    await book(database, heard(1))
    with pytest.raises(Exception, match="never"):
        await book(database, heard(2))
    assert await hours_agree(database)


def folded(fills: list[FillSeen], span: Span) -> dict[str, Decimal]:
    """Sums of a span, the plain way."""
    sums = dict.fromkeys(("quantity", "cash", "worth", "fees"), Decimal(0))
    for one in fills:
        if not span.since_ms <= one.fill.traded_at_ms < span.until_ms:
            continue
        signed = BTC.quantity(one.fill.side.sign * one.fill.lots) * BTC.multiplier
        price = BTC.tick_size * one.fill.price
        sums["quantity"] += BTC.quantity(one.fill.side.sign * one.fill.lots)
        sums["cash"] -= signed * price
        sums["worth"] += signed * (price if one.mid is None else one.mid)
        sums["fees"] += one.fill.fee
    return sums


async def test_any_span_is_the_sum_of_its_fills(
    database: Database, ledger: PostgresLedger, history: PostgresHistory
) -> None:
    chance = random.Random(11)
    await ledger.remember_instrument(BTC)
    fills = [
        heard(
            number,
            chance.choice(["50", "49.5", None]),
            side=chance.choice(list(Side)),
            price=chance.randint(90, 110),
            lots=chance.randint(1, 9),
            at_ms=START_MS + chance.randint(0, 6 * HOUR_MS),
        )
        for number in range(80)
    ]
    edges = [START_MS - START_MS % HOUR_MS + hour * HOUR_MS for hour in range(-1, 9)]
    fills += [heard(100 + place, at_ms=edge) for place, edge in enumerate(edges[1:4])]
    await book(database, *fills)
    moments = edges + [one.fill.traded_at_ms for one in fills[:6]] + [START_MS, START_MS + 1]
    for _ in range(40):
        since_ms, until_ms = sorted(chance.sample(moments, 2))
        span = Span(since_ms=since_ms, until_ms=until_ms)
        (sums,) = await history.pnl(span)
        expected = folded(fills, span)
        assert (sums.cash, sums.worth, sums.fees) == (
            expected["cash"],
            expected["worth"],
            expected["fees"],
        )
        before = folded(fills, Span(since_ms=0, until_ms=since_ms))["quantity"]
        assert sums.opening.quantity == before
        assert sums.closing.quantity == before + expected["quantity"]
        parts = decompose(sums)
        assert (None if parts is None else parts.total) == pnl_of(sums)


async def test_a_whole_life_is_what_the_loss_limits_say(
    database: Database, ledger: PostgresLedger, history: PostgresHistory, start_writer: StartWriter
) -> None:
    """PnL since the beginning is the PnL of the day's books: one truth, two ways to it."""
    await ledger.remember_instrument(BTC)
    await book(database, heard(1), heard(2, side=Side.SELL, price=120), heard(3, lots=5))
    await PostgresPayments(database).book([funding("f1", "0.25", START_MS + 5)])
    async with start_writer() as running:
        running.writer.record(mark(9))
        assert await running.writer.flush(5)
    (known,) = await PostgresLossBook(database).pnl()
    (sums,) = await history.pnl(ALWAYS)
    parts = decompose(sums)
    assert parts is not None
    assert parts.total == known.pnl
    assert parts.funding == Decimal("0.25")
    assert sums.closing == Holding(
        quantity=known.quantity, mid=Decimal("50.25"), marked_at_ms=START_MS + 9
    )


def funding(name: str, amount: str, at_ms: int) -> Payment:
    return Payment(
        venue="ocx",
        account="main",
        payment_id=name,
        kind=PaymentKind.FUNDING,
        amount=Decimal(amount),
        paid_at_ms=at_ms,
        symbol="BTC-PERP",
    )


async def test_a_fill_without_a_mid_is_measured_against_a_mark_that_is_near(
    database: Database, ledger: PostgresLedger, history: PostgresHistory, start_writer: StartWriter
) -> None:
    await ledger.remember_instrument(BTC)
    near, far = START_MS + 30_000, START_MS + 60_001
    await book(database, heard(1, None, at_ms=near), heard(2, None, at_ms=far))
    async with start_writer() as running:
        running.writer.record(mark(0))  # at 50.25, of START_MS
        running.writer.record(mark(2 * DAY_MS))
        assert await running.writer.flush(5)
    (sums,) = await history.pnl(ALWAYS)
    parts = decompose(sums)
    assert (sums.fills, sums.estimated, sums.unmeasured) == (2, 1, 1)
    assert parts is not None
    # 0.003 units worth two each, bought at 50 where the mark said 50.25; the other counts nothing.
    assert parts.spread == Decimal("0.003") * 2 * Decimal("0.25")
    assert parts.total == pnl_of(sums)


async def test_an_adjustment_moves_the_holding_and_makes_nothing(
    database: Database, ledger: PostgresLedger, history: PostgresHistory
) -> None:
    await ledger.remember_instrument(BTC)
    await book(database, heard(1, "50", price=100))
    breaks = PostgresBreaks(database)
    opened = await breaks.open(
        FoundBreak(
            venue="ocx",
            account="main",
            symbol="BTC-PERP",
            kind=BreakKind.POSITION,
            text="differs",
            ours="{}",
            theirs="{}",
            found_by="run",
            found_at_ms=START_MS,
        )
    )
    adjustment = Adjustment(
        number=opened.number,
        venue="ocx",
        account="main",
        symbol="BTC-PERP",
        quantity=Decimal("0.007"),
        price=Decimal(50),
        amount=Decimal(0),
        by="ana",
        reason="missed",
        at_ms=START_MS + DAY_MS,
    )
    assert await breaks.settle(opened.number, BreakDecision.VENUE, "ana", "missed", adjustment)
    (sums,) = await history.pnl(ALWAYS)
    assert sums.closing.quantity == Decimal("0.010")
    parts = decompose(sums)
    assert parts is not None
    assert not any((parts.spread, parts.inventory, parts.adjustments))
    (before,) = await history.pnl(Span(since_ms=0, until_ms=START_MS + DAY_MS))
    assert before.closing.quantity == Decimal("0.003")


async def test_what_nobody_priced_is_said(database: Database, history: PostgresHistory) -> None:
    await book(database, heard(1))
    (sums,) = await history.pnl(ALWAYS)
    assert not sums.priced
    assert decompose(sums) is None


async def test_every_row_comes_once_oldest_first_however_small_the_pages(
    database: Database, ledger: PostgresLedger, history: PostgresHistory, start_writer: StartWriter
) -> None:
    """Rows of one moment are many here: a page may end between them."""
    await ledger.remember_instrument(BTC)
    await ledger.remember_instrument(ETH)
    fills = [heard(n, at_ms=START_MS + n // 4, market=(MARKET, OTHER)[n % 2]) for n in range(20)]
    await book(database, *fills)
    async with start_writer() as running:
        for number in range(11):
            running.writer.record(replace(sent(number), sent_at_ms=START_MS + number // 5))
            running.writer.record(mark(number // 3, epoch=number))
        assert await running.writer.flush(5)
    for series, count in ((Series.FILLS, 20), (Series.ORDERS, 11), (Series.EQUITY, 11)):
        found = await all_of(history, series, None)
        names = list(FIELDS[series])
        assert [len(line) for line in found] == [len(names)] * count
        assert len(set(found)) == count
        places = [(str(line[names.index("symbol")]), str(line[0])) for line in found]
        assert places == sorted(places)
        newest = await history.newest(series, None, ALWAYS, 4)
        latest = sorted((str(line[0]) for line in found), reverse=True)[:4]
        assert [str(line[0]) for line in newest] == latest
    span = Span(since_ms=START_MS + 1, until_ms=START_MS + 2)
    within = [line async for page in history.pages(Series.FILLS, MARKET, span) for line in page]
    assert {line[0] for line in within} == {
        datetime.fromtimestamp(START_MS / 1000, UTC).replace(microsecond=1000)
    }
    assert len(within) == 2
    assert await history.markets(Series.FILLS) == (MARKET, OTHER)
    assert await history.markets(Series.ORDERS) == (MARKET,)


def run(began_ms: int, theirs: dict[str, object], **given: Any) -> ReconciliationRun:
    said = {"venue": "ocx", "account": "main", "kind": "account", "trouble": "", **given}
    return ReconciliationRun(
        run_id=f"r{began_ms}",
        began_ms=began_ms,
        ended_ms=began_ms,
        requests=1,
        ours="{}",
        theirs=json.dumps(theirs),
        differences="[]",
        found=0,
        **said,
    )


async def test_days_share_the_equity_between_them(
    database: Database, history: PostgresHistory
) -> None:
    """So that nothing that happens around midnight escapes both days."""
    book = PostgresReconciliations(database)
    for run_ms, equity in ((-60_000, "100"), (HOUR_MS, "101"), (DAY_MS - 60_000, "103.5")):
        await book.record(run(START_MS + run_ms, {"equity": equity, "views": []}))
    await book.record(run(START_MS + 2 * HOUR_MS, {"views": [{"equity": "7"}]}))
    await book.record(run(START_MS + 3 * HOUR_MS, {"equity": "9"}, trouble="away"))
    await book.record(run(START_MS + DAY_MS - 1, {"equity": "9"}, kind="orders"))
    await book.record(run(START_MS + DAY_MS - 1, {"equity": "9"}, account="other"))
    day = Span(since_ms=START_MS, until_ms=START_MS + DAY_MS)
    assert await history.readings("ocx", "main", day) == Readings(
        opening=EquityReading(equity=Decimal(100), at_ms=START_MS - 60_000),
        closing=EquityReading(equity=Decimal("103.5"), at_ms=START_MS + DAY_MS - 60_000),
    )
    late = Span(since_ms=START_MS + DAY_MS, until_ms=START_MS + 2 * DAY_MS)
    assert await history.readings("ocx", "main", late) is None
    first = Span(since_ms=START_MS - 2 * DAY_MS, until_ms=START_MS + 2 * HOUR_MS)
    found = await history.readings("ocx", "main", first)
    assert found is not None
    assert [one.equity for one in (found.opening, found.closing)] == [100, 101]


async def test_money_that_no_market_made_is_told_apart(
    database: Database, ledger: PostgresLedger, history: PostgresHistory
) -> None:
    await ledger.remember_instrument(BTC)
    await book(database, heard(1))
    transfer = replace(funding("x", "40", START_MS), kind=PaymentKind.TRANSFER, symbol=None)
    await PostgresPayments(database).book(
        [transfer, replace(transfer, payment_id="y", paid_at_ms=START_MS - 1)]
    )
    span = Span(since_ms=START_MS, until_ms=START_MS + 1)
    assert await history.moneys(span) == (
        AccountMoney(venue="ocx", account="main", transfers=Decimal(40)),
    )


FILLS_MADE = """
INSERT INTO fills (
    venue, account, symbol, trade_id, side, price_ticks, lots, price, quantity, multiplier,
    liquidity, fee, fee_estimated, traded_at, mid
)
SELECT 'ocx', 'main', 'M' || n % 20, 't' || n, CASE n % 2 WHEN 0 THEN 'buy' ELSE 'sell' END,
       100, 1, 50, 0.001, 1, 'maker', 0.01, false,
       timestamptz '2026-01-01 00:00+00' + n * interval '90 seconds',
       CASE WHEN n % 1000 = 0 THEN NULL ELSE 50 END
FROM generate_series(1, 30000) AS n
"""


def used(plan: dict[str, Any]) -> set[str]:
    """Indices a plan reads, and what it reads whole."""
    found = {plan["Index Name"]} if "Index Name" in plan else set()
    if plan["Node Type"] == "Seq Scan":
        found.add(f"all of {plan['Relation Name']}")
    return found.union(*(used(part) for part in plan.get("Plans", [])))


async def explained(database: Database, statement: TextClause, **given: object) -> set[str]:
    asked = text(f"EXPLAIN (FORMAT JSON) {statement.text}")
    ((told,),) = await rows(database, asked, **given)
    (plan,) = told if isinstance(told, list) else json.loads(told)
    return used(plan["Plan"])


async def test_every_question_is_answered_by_an_index(
    database: Database, history: PostgresHistory
) -> None:
    await rows(database, FILLS_MADE)
    await rows(
        database,
        "INSERT INTO positions (venue, account, symbol, fills) "
        "SELECT venue, account, symbol, count(*) FROM fills GROUP BY 1, 2, 3",
    )
    for table in ("fills", "fill_hours", "positions"):
        await rows(database, f"ANALYZE {table}")
    where = {"venue": "ocx", "account": "main", "symbol": "M7"}
    since, until = datetime(2026, 1, 3, tzinfo=UTC), datetime(2026, 1, 4, tzinfo=UTC)
    time = {"since": since, "until": until}
    pages = PAGES[Series.FILLS]
    for statement, given in (
        (pages.first, {"page": 50}),
        (pages.after, {"page": 50, "after": 77}),
        (pages.newest, {"page": 50}),
    ):
        plan = await explained(database, statement, **where, **time, **given)
        assert plan == {"fills_market_time"}
    plan = await explained(database, PNL, **where, **time, since_hour=since, until_hour=until)
    assert {"fills_market_time", "fills_unmeasured", "fill_hours_pkey"} <= plan
    assert not plan & {"all of fills", "all of fill_hours", "all of equity"}
    plan = await explained(database, MARKETS[Series.FILLS])
    assert plan == {"fill_hours_pkey"}
    account = {"venue": "ocx", "account": "main"}
    plan = await explained(database, READINGS, **account, **time, earliest=since)
    assert [name for name in plan if name.startswith("all of")] == []
    plan = await explained(database, FOREIGN, **account, first=since, last=until)
    assert [name for name in plan if name.startswith("all of")] == []
    assert (await history.pnl(ALWAYS, MarketId("ocx", "main", "M7")))[0].fills == 1500
