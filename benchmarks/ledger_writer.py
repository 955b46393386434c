"""The background writer on a PostgreSQL of its own: fills booked a second, and what the loop feels.

Every commit is durable (fsync and synchronous_commit on); records are made before the clock runs.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, perf_counter_ns, process_time

import uvloop
from sqlalchemy import text

from benchmarks.cores import keep_to, split
from benchmarks.fleet import EMPTY, LIMITS
from benchmarks.ladders import SyntheticLadder, instrument
from benchmarks.micro import CAPABILITIES
from benchmarks.results import Row, Table, microseconds
from desk.identity import MarketId
from desk.market import BookDelta, BookSnapshot
from desk.orders import (
    AccountAlive,
    AccountSnapshot,
    BatchOutcome,
    Fill,
    Liquidity,
    OrderOutcome,
    OutcomeKind,
    VenuePosition,
)
from desk.permit import Permit
from desk.quoting.parameters import QuoteParameters
from desk.records import FillSeen, LedgerRecord, OrderAnswered, OrderEnded, OrderSent
from desk.units import NS_PER_MS, Side
from infra.clock import SystemClock
from infra.embedded.directory import Addresses
from infra.embedded.stack import EmbeddedStack
from infra.postgres.alerts import PostgresAlerts
from infra.postgres.engine import Database, open_database
from infra.postgres.reader import PostgresLedger
from infra.postgres.schema import upgrade
from infra.postgres.spool import Spool
from infra.postgres.writer import PostgresLedgerWriter
from quoting.actions import SendBatch
from quoting.inbox import Answered
from quoting.loop import MarketLoop
from quoting.setup import LoopSetup

_MARKET = instrument(0)
_ID = MarketId(_MARKET.venue, "main", _MARKET.symbol)
_MID = 30_000
_START_MS = 1_767_225_600_000
_TURN_S = 0.005
_TICK_S = 0.01
_BLOCK_S = 2.0
_NOT_OURS = Addresses(redis_url="not used", temporal_address="not used")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    database: Database
    writer: PostgresLedgerWriter


@dataclass(slots=True, kw_only=True)
class _Felt:
    """Nanoseconds of each step, and how late each turn began."""

    steps: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)


def run(*, quick: bool) -> list[Table]:
    """Two tables: how much is booked, and what a market's loop in the same process feels of it."""
    ours, theirs = split()
    keep_to(theirs)
    with TemporaryDirectory(prefix="flotilla-bench-") as folder:
        # PostgreSQL's account has to walk through it.
        Path(folder).chmod(0o755)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_measure(Path(folder), ours, quick=quick))


async def _measure(folder: Path, ours: set[int], *, quick: bool) -> list[Table]:
    async with EmbeddedStack(folder, external=_NOT_OURS) as stack:
        keep_to(ours)
        await upgrade(stack.database_url)
        database = open_database(stack.database_url, connections=2)
        await PostgresLedger(database).remember_instrument(_MARKET)
        writer = PostgresLedgerWriter(
            database=database,
            spool=Spool(folder / "spool", name="benchmark"),
            clock=SystemClock(),
            alerts=PostgresAlerts(database),
        )
        writing = asyncio.create_task(writer.run())
        ground = _Ground(database=database, writer=writer)
        try:
            return [await _booked(ground, quick=quick), await _felt(ground, quick=quick)]
        finally:
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing
            await database.close()


# --- how much is booked --------------------------------------------------------------------------


async def _booked(ground: _Ground, *, quick: bool) -> Table:
    count = 10_000 if quick else 50_000
    fills = [_seen(number) for number in range(count)]
    rows = [await _rate(ground, "fills alone", fills, count)]
    rounds = count // 4
    words = [word for number in range(count, count + rounds) for word in _round(number)]
    what = "fills, each with an intent, an answer and an end"
    rows.append(await _rate(ground, what, words, rounds))
    rows.append(await _rate(ground, "fills heard again", fills, count))
    said = await ground.database.transaction(
        lambda c: c.execute(
            text("SELECT current_setting('synchronous_commit'), current_setting('fsync')")
        )
    )
    commit, fsync = said.one()
    return Table(
        name="ledger_writer: booked by one process, handed over at once",
        rows=tuple(rows),
        notes=(f"synchronous_commit {commit}, fsync {fsync}; target: 5,000 fills a second",),
    )


async def _rate(ground: _Ground, what: str, records: Sequence[LedgerRecord], fills: int) -> Row:
    begun, cpu = perf_counter(), process_time()
    for record in records:
        ground.writer.record(record)
    if not await ground.writer.flush(600):
        raise RuntimeError(f"{what}: not everything was written")
    seconds = perf_counter() - begun
    return Row(
        what=what,
        figures={
            "fills/s": fills / seconds,
            "records/s": len(records) / seconds,
            "our CPU us/record": (process_time() - cpu) / len(records) * 1e6,
        },
    )


# --- what the loop feels -------------------------------------------------------------------------


async def _felt(ground: _Ground, *, quick: bool) -> Table:
    """Blocks without and with the writer in turn, in one run of one loop."""
    manners = {"without the writer": 0, "with 500 fills/s": 500, "with 5,000 fills/s": 5_000}
    felt = {what: _Felt() for what in manners}
    turns, number = _turns(), 1_000_000
    await _block(turns, _Felt())
    for _ in range(2 if quick else 6):
        for what, per_s in manners.items():
            fills = [_seen(number + one) for one in range(int(per_s * _BLOCK_S))]
            number += len(fills)
            feeding = asyncio.create_task(_feed(ground, fills, per_s))
            await _block(turns, felt[what])
            await feeding
            if not await ground.writer.flush(600):
                raise RuntimeError("not everything was written")
    rows = []
    for what, samples in felt.items():
        rows.append(microseconds(f"step, {what}", samples.steps))
        rows.append(microseconds(f"turn begins late, {what}", samples.late))
    return Table(
        name="ledger_writer: the loop beside it, a turn every 5 ms",
        rows=tuple(rows),
        notes=("a step is one 34-level delta applied and decided, most of them to a batch of 6",),
    )


async def _feed(ground: _Ground, fills: Sequence[FillSeen], per_s: int) -> None:
    if not fills:
        return
    begun, given = perf_counter(), 0
    while given < len(fills):
        due = min(len(fills), int((perf_counter() - begun) * per_s))
        for fill in fills[given:due]:
            ground.writer.record(fill)
        given = max(given, due)
        await asyncio.sleep(_TICK_S)


async def _block(turns: Iterator[int], felt: _Felt) -> None:
    begun = perf_counter()
    for number in range(1, int(_BLOCK_S / _TURN_S) + 1):
        due = begun + number * _TURN_S
        await asyncio.sleep(max(0.0, due - perf_counter()))
        felt.late.append(max(0, int((perf_counter() - due) * 1e9)))
        felt.steps.append(next(turns))


def _turns() -> Iterator[int]:
    """Nanoseconds of one step of a market's loop after another, without end."""
    ladder = SyntheticLadder(mid=_MID, seed=7, moves=True, changes=34)
    loop = _loop()
    bids, asks = ladder.snapshot()
    loop.apply(BookSnapshot(bids=bids, asks=asks, sequence=None, received_ns=0))
    position = VenuePosition(symbol=_MARKET.symbol, lots=0)
    loop.apply(AccountSnapshot(position=position, fills=(), received_ns=0))
    at_ns = 0
    while True:
        at_ns += 250 * NS_PER_MS
        change = ladder.step()
        assert change is not None
        loop.apply(AccountAlive(received_ns=at_ns))
        delta = BookDelta(
            bids=change[0], asks=change[1], sequence=None, previous=None, received_ns=at_ns
        )
        begun = perf_counter_ns()
        loop.apply(delta)
        actions = loop.decide(at_ns)
        took = perf_counter_ns() - begun
        for action in actions:
            assert isinstance(action, SendBatch)
            _accept(loop, action)
        yield took


def _accept(loop: MarketLoop, action: SendBatch) -> None:
    batch = action.approved.value
    orders = tuple(
        OrderOutcome(client_order_id=order.client_order_id, kind=OutcomeKind.ACCEPTED)
        for order in batch.orders
    )
    outcome = BatchOutcome(batch_id=batch.batch_id, orders=orders, old_gone=True, sent_ns=0)
    loop.apply(Answered(batch=batch, outcome=outcome))


def _loop() -> MarketLoop:
    forever = 1 << 62
    return MarketLoop(
        LoopSetup(
            market=_ID,
            instrument=_MARKET,
            epoch=1,
            parameters=QuoteParameters(debounce_ms=100, spread_bps=Decimal(8)),
            limits=LIMITS,
            capabilities=CAPABILITIES,
            facts=EMPTY,
            known_since_ms=0,
            known=frozenset(),
        ),
        Permit(
            max_clock_offset_ms=2_000,
            max_ledger_behind_s=5.0,
            lease_until_ns=forever,
            board_until_ns=forever,
            clock_offset_ms=0,
        ),
    )


# --- records -------------------------------------------------------------------------------------


def _seen(number: int) -> FillSeen:
    fill = Fill(
        venue=_ID.venue,
        account=_ID.account,
        symbol=_ID.symbol,
        trade_id=f"t-{number}",
        side=Side.BUY if number % 2 else Side.SELL,
        price=_MID + number % 40,
        lots=1 + number % 900,
        liquidity=Liquidity.MAKER,
        fee=Decimal(number % 700) / 10_000,
        fee_estimated=False,
        traded_at_ms=_START_MS + number,
        client_order_id=f"f-{number}",
        venue_order_id=f"v-{number}",
    )
    return FillSeen(market=_ID, fill=fill, mid=Decimal("3000.5"))


def _round(number: int) -> Iterator[LedgerRecord]:
    name, at_ms = f"f-{number}", _START_MS + number
    yield OrderSent(
        market=_ID,
        epoch=1,
        client_order_id=name,
        batch_id=f"b-{number}",
        side=Side.BUY,
        price=_MID,
        lots=900,
        reduce_only=False,
        sent_at_ms=at_ms,
    )
    yield OrderAnswered(
        market=_ID,
        client_order_id=name,
        kind=OutcomeKind.ACCEPTED,
        venue_order_id=f"v-{number}",
        message="",
        answered_at_ms=at_ms,
    )
    yield _seen(number)
    yield OrderEnded(market=_ID, client_order_id=name, how="filled", ended_at_ms=at_ms)
