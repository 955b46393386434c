"""What the ledger's history costs over 1,000,000 fills: PnL of any span, a page, a whole export.

A PostgreSQL of its own, in a temporary folder, as `flotilla up` runs it; the fills of 20 markets
and 90 days, every thousandth without a mid, a mark every five minutes.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import SystemRandom
from time import perf_counter_ns

import asyncpg

from benchmarks.results import Row, Table, percentile
from desk.history_ports import Series, Span
from desk.identity import MarketId
from infra.embedded.ports import PortBook, PortWishes
from infra.embedded.postgres import Postgres
from infra.embedded.supervision import Supervised
from infra.postgres.engine import open_database
from infra.postgres.history import PostgresHistory
from infra.postgres.partitions import keep_partitions
from infra.postgres.schema import upgrade
from infra.postgres.times import to_ms

_MARKETS = 20
_DAYS = 90
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_BATCH = 50_000
_PATIENCE_S = 120.0

_FILLS = """
INSERT INTO fills (
    venue, account, symbol, trade_id, side, price_ticks, lots, price, quantity, multiplier,
    liquidity, fee, fee_estimated, traded_at, client_order_id, mid
)
SELECT 'ocx', 'main', 'M' || n % $3, 't' || n,
       CASE n * 7919 % 13 % 2 WHEN 0 THEN 'buy' ELSE 'sell' END,
       100000 + n % 500, 1 + n % 9, (100000 + n % 500) * 0.1, (1 + n % 9) * 0.001, 1, 'maker',
       -0.0125, false, $4::timestamptz + n * $5::interval, 'c' || n,
       CASE WHEN n % 1000 <> 0 THEN (100000 + n % 500) * 0.1 + 0.05 END
FROM generate_series($1::bigint, $2::bigint - 1) AS n
"""

_POSITIONS = """
INSERT INTO positions (venue, account, symbol, fills, quantity, cash, fees, last_trade_at)
SELECT venue, account, symbol, sum(fills), sum(quantity), sum(cash), sum(fees), max(hour)
FROM fill_hours GROUP BY 1, 2, 3
"""

_INSTRUMENTS = """
INSERT INTO instruments SELECT 'ocx', 'M' || n, 0.1, 0.001, 1, now()
FROM generate_series(0, $1::int - 1) AS n
"""

_MARKS = """
INSERT INTO equity
SELECT 'ocx', 'main', 'M' || n, 1, at, 1, 1, 1, 10000
FROM generate_series(0, $1::int - 1) AS n,
     generate_series($2::timestamptz, $3::timestamptz, interval '5 minutes') AS at
"""

# The same sums without the hours that are kept: every fill is read.
_PLAIN = """
SELECT symbol, sum(signed) AS quantity, sum(-signed * price * multiplier) AS cash,
       sum(signed * COALESCE(mid, price) * multiplier) AS worth, sum(fee) AS fees
FROM (SELECT *, CASE side WHEN 'buy' THEN quantity ELSE -quantity END AS signed FROM fills) AS f
GROUP BY symbol
"""


def run(*, quick: bool) -> Table:
    """Fill the ledger and ask; the figures are of the client, decoding included."""
    return asyncio.run(_measured(100_000 if quick else 1_000_000, 5 if quick else 20))


async def _measured(fills: int, times: int) -> Table:
    async with _server() as url:
        await upgrade(url)
        seconds = await _filled(url, fills)
        database = open_database(url, timeout_s=_PATIENCE_S)
        try:
            rows = await _questions(PostgresHistory(database), fills, times)
        finally:
            await database.close()
        rows.append(await _plain(url))
    note = (
        f"{fills:,} fills were inserted in {seconds:.0f} s, their hours folded in the same "
        f"transactions ({fills / seconds:,.0f}/s, {_BATCH:,} a transaction)"
    )
    return Table(name=f"ledger: history over {fills:,} fills", rows=tuple(rows), notes=(note,))


async def _questions(history: PostgresHistory, fills: int, times: int) -> list[Row]:
    market, end = MarketId("ocx", "main", "M7"), _BEGIN + timedelta(days=_DAYS)
    always = Span(since_ms=0, until_ms=to_ms(end + timedelta(days=1)))
    odd = timedelta(minutes=17, seconds=3)
    month = Span(
        since_ms=to_ms(_BEGIN + timedelta(days=30) + odd),
        until_ms=to_ms(_BEGIN + timedelta(days=60) + odd),
    )
    day = Span(
        since_ms=to_ms(end - timedelta(days=1) + odd), until_ms=to_ms(end + timedelta(hours=1))
    )
    questions: dict[str, Callable[[], Awaitable[object]]] = {
        "PnL of all markets, their whole life": lambda: history.pnl(always),
        "PnL of all markets, 30 days, odd ends": lambda: history.pnl(month),
        "PnL of all markets, the last day": lambda: history.pnl(day),
        "PnL of one market, its whole life": lambda: history.pnl(always, market),
        "the newest 50 fills of all markets": lambda: history.newest(
            Series.FILLS, None, always, 50
        ),
    }
    rows = [await _asked(what, ask, times) for what, ask in questions.items()]
    made = await history.pnl(always)
    assert sum(one.fills for one in made) == fills
    return [*rows, await _exported(history, always)]


async def _asked(what: str, ask: Callable[[], Awaitable[object]], times: int) -> Row:
    await ask()
    took = []
    for _ in range(times):
        begun = perf_counter_ns()
        await ask()
        took.append(perf_counter_ns() - begun)
    took.sort()
    figures = {"p50 ms": percentile(took, 50) / 1e6, "max ms": took[-1] / 1e6, "n": float(times)}
    return Row(what=what, figures=figures)


async def _exported(history: PostgresHistory, span: Span) -> Row:
    begun, count = perf_counter_ns(), 0
    async for page in history.pages(Series.FILLS, None, span):
        count += len(page)
    took = perf_counter_ns() - begun
    return Row(
        what="all fills read page by page",
        figures={"p50 ms": took / 1e6, "rows/s": count / (took / 1e9)},
    )


async def _plain(url: str) -> Row:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        await connection.fetch(_PLAIN)
        begun = perf_counter_ns()
        await connection.fetch(_PLAIN)
        took = perf_counter_ns() - begun
    finally:
        await connection.close()
    return Row(what="for comparison: summing every fill", figures={"p50 ms": took / 1e6, "n": 1.0})


async def _filled(url: str, fills: int) -> float:
    """Seconds that inserting the fills took."""
    end = _BEGIN + timedelta(days=_DAYS)
    database = open_database(url)
    for month in range(4):
        await keep_partitions(database, _BEGIN + timedelta(days=31 * month), 1_000)
    await database.close()
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    await connection.execute(_INSTRUMENTS, _MARKETS)
    await connection.execute(_MARKS, _MARKETS, _BEGIN, end)
    apart = timedelta(days=_DAYS) / fills
    begun = perf_counter_ns()
    for first in range(0, fills, _BATCH):
        last = min(fills, first + _BATCH)
        await connection.execute(_FILLS, first, last, _MARKETS, _BEGIN, apart)
    took = (perf_counter_ns() - begun) / 1e9
    await connection.execute(_POSITIONS)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    return took


@asynccontextmanager
async def _server() -> AsyncIterator[str]:
    folder = _new_folder()
    ports = PortBook(folder / "ports.json", PortWishes(), SystemRandom())
    service = Postgres(
        folder=folder / "postgres",
        secret=folder / "secrets" / "postgres",
        port=ports.choose("postgres"),
    )
    running = Supervised(service, folder, lambda: None)
    try:
        await running.start()
        yield service.url
    finally:
        await running.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _new_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="flotilla-bench-"))
    folder.chmod(0o755)  # so that PostgreSQL's account may enter when this runs as root
    (folder / "logs").mkdir()
    return folder
