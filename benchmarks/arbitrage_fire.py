"""From a book update read to all legs' bytes with their sockets, three legs, the claim included.

The product's own way: OCX streams, the set's watch, a claim in a Valkey of its own, the second
look, the gate, the record, three sends. Lease, board and ledger stand in memory. Every update of
the benchmark's exchange shows an edge, so the next trade fires as soon as the last was answered.
"""

import asyncio
import gc
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvloop
from redis.asyncio import Redis

from benchmarks.cores import keep_to, split
from benchmarks.exchange import ExchangePlan, serving
from benchmarks.fleet import ACCOUNT, MemoryBoard, MemoryLease, adapter
from benchmarks.results import Table, microseconds
from benchmarks.turns import StampedReader
from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage_ports import CapitalCap, Claim, ClaimGranted, ClaimRefused
from desk.arbitrage_records import ClaimRecord
from desk.identity import MarketId
from desk.instrument import Instrument, Settlement
from desk.market import FeedEvent
from desk.orders import AccountSnapshot, VenuePosition
from desk.permit import Permit
from desk.ports import Venue
from desk.records import LedgerRecord
from desk.risk.limits import RiskLimits
from infra.clock import SystemClock
from infra.embedded.directory import Addresses
from infra.embedded.stack import EmbeddedStack
from infra.redis.arbitrage_claims import SETTLE_MS, RedisArbitrageClaims
from infra.redis.connection import open_redis
from infra.redis.kill_board import RedisKillBoard
from quoting.arbitrage.answers import Fired, heard
from quoting.arbitrage.firing import Firing
from quoting.arbitrage.leg import LiveLeg
from quoting.arbitrage.ports import LegMarket, SetPorts
from quoting.arbitrage.report import RunOrder, SetKind
from quoting.arbitrage.sight import SetSight, sets_of
from quoting.arbitrage.vigil import Vigil

TARGET_P50_MS = 1.0
_FLEET, _NAME, _LEGS = "benchmark", "bench", 3
_MUCH = Decimal(1_000_000_000)
_FOREVER_NS = 1 << 62
_NOT_OURS = Addresses(database_url="postgresql://not@used/at_all", temporal_address="not used")
_RULES = ArbitrageRules(max_units=Decimal(10), max_capital=_MUCH, max_exposure=_MUCH, depth=20)
_LIMITS = RiskLimits(max_order_notional=_MUCH, max_position=_MUCH, max_orders_per_minute=1_000_000)
_OUTCOME_TICK = Decimal("0.00001")


@dataclass(slots=True)
class Marks:
    """What one run of the benchmark counts, nanoseconds."""

    whole: list[int] = field(default_factory=list)
    from_event: list[int] = field(default_factory=list)
    before: list[int] = field(default_factory=list)
    claims: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    claim_ns: tuple[int, int] = (0, 0)
    entered: dict[int, int] = field(default_factory=dict)


class TimedClaims(RedisArbitrageClaims):
    """The claims, with a note of how long each took."""

    def __init__(self, redis: Redis, marks: Marks) -> None:
        super().__init__(redis, fleet=_FLEET)
        self._marks = marks

    async def claim(self, claim: Claim) -> ClaimGranted | ClaimRefused:
        """Ask, and note the time."""
        begun_ns = time.monotonic_ns()
        answer = await super().claim(claim)
        self._marks.claim_ns = begun_ns, time.monotonic_ns()
        return answer


class Backlog:
    """Takes records as the writer does, and forgets the oldest."""

    def __init__(self) -> None:
        self._records: deque[LedgerRecord] = deque(maxlen=10_000)

    def record(self, record: LedgerRecord) -> None:
        """Queue one."""
        self._records.append(record)

    def behind_s(self) -> float:
        """Never behind."""
        return 0.0

    def unrecorded(self, market: MarketId) -> int:
        """All is written."""
        del market
        return 0

    async def flush(self, timeout_s: float) -> bool:
        """All is written."""
        return timeout_s >= 0


class NoKillFile:
    """There is none."""

    def present(self) -> bool:
        """Never."""
        return False


def run(*, quick: bool) -> Table:
    """Microseconds of each fire."""
    ours, theirs = split()
    keep_to(theirs)
    with (
        TemporaryDirectory(prefix="flotilla-bench-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_measure(Path(folder), ours, theirs, 5.0 if quick else 30.0))


async def _measure(folder: Path, ours: set[int], theirs: set[int], seconds: float) -> Table:
    StampedReader.install()
    marks = Marks()
    plan = ExchangePlan(markets=_LEGS, cores=tuple(theirs))
    async with EmbeddedStack(folder, external=_NOT_OURS) as stack, serving(plan) as base_url:
        keep_to(ours)
        redis = open_redis(stack.redis_url)
        venue = adapter(base_url, SystemClock())
        try:
            await RedisKillBoard(redis, fleet=_FLEET).rearm([])
            claims = TimedClaims(redis, marks)
            caps = [
                CapitalCap(scope=scope, quote="USDC", amount=_MUCH)
                for scope in ("fleet", f"account:ocx/{ACCOUNT}", f"set:{_NAME}")
            ]
            assert await claims.rearm(ClaimRecord(), caps, await claims.memory())
            await asyncio.sleep(SETTLE_MS / 1_000)
            fires = await _fires(venue, claims, marks, seconds)
        finally:
            await venue.close()
            await redis.aclose()
    return _table(marks, fires, seconds)


async def _fires(venue: Venue, claims: TimedClaims, marks: Marks, seconds: float) -> int:
    clock = SystemClock()
    listed = await venue.instruments()
    ports = _ports(claims, clock)
    legs = [
        LiveLeg(_leg(venue, each, number), _LIMITS, ports) for number, each in enumerate(listed)
    ]
    order = _order(legs)
    sight = SetSight(order, sets_of(order, legs), legs)
    firing = Firing(order, epoch=1, legs=legs, sight=sight, ports=ports)
    vigil = Vigil(legs=legs, sight=sight, firing=firing, ports=ports)
    for leg in legs:
        flat = VenuePosition(symbol=leg.market.symbol, lots=0)
        now_ns = clock.monotonic_ns()
        leg.hear_account(AccountSnapshot(position=flat, fills=(), received_ns=now_ns))
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(venue.run())]
        for leg, each in zip(legs, listed, strict=True):
            sink = partial(_hear, vigil, leg, marks)
            running.append(tasks.create_task(venue.feed.run(each, sink)))
        await asyncio.sleep(2.0)
        gc.collect()
        fires = await _until(clock.monotonic_ns() + int(seconds * 1e9), vigil, ports, marks)
        for task in running:
            task.cancel()
    return fires


async def _until(until_ns: int, vigil: Vigil, ports: SetPorts, marks: Marks) -> int:
    fires, free_ns = 0, 0
    while ports.clock.monotonic_ns() < until_ns:
        fired = await vigil.until(until_ns)
        if not isinstance(fired, Fired):
            break
        fires += 1
        entered_ns = marks.entered.get(fired.caused_ns)
        # Not counted: what waited for the trade before, and what a look found between updates.
        if entered_ns is not None and fired.caused_ns >= free_ns:
            asked_ns, granted_ns = marks.claim_ns
            marks.before.append(asked_ns - fired.caused_ns)
            marks.claims.append(granted_ns - asked_ns)
            marks.after.append(fired.caused_ns + fired.sent_ns - granted_ns)
            marks.from_event.append(fired.sent_ns)
            marks.whole.append(fired.sent_ns + fired.caused_ns - entered_ns)
        answers = await heard(fired, ports)
        assert all(one.known for one in answers), answers
        await ports.claims.release(fired.shot.key)
        marks.entered.clear()
        free_ns = ports.clock.monotonic_ns()
    return fires


def _hear(vigil: Vigil, leg: LiveLeg, marks: Marks, event: FeedEvent) -> None:
    marks.entered[event.received_ns] = StampedReader.entered_ns
    vigil.hear_feed(leg, event)


def _leg(venue: Venue, listed: Instrument, number: int) -> LegMarket:
    """A market of the exchange, taken as an outcome whose price is about 0.3."""
    settlement = Settlement(event="BENCH", outcome=str(number), outcomes=_LEGS)
    made = replace(listed, tick_size=_OUTCOME_TICK, quote="USDC", settlement=settlement)
    return LegMarket(
        market=MarketId("ocx", ACCOUNT, listed.symbol),
        venue=venue,
        instrument=made,
        epoch=1,
        permit=Permit(
            max_clock_offset_ms=1_000,
            max_ledger_behind_s=5.0,
            lease_until_ns=_FOREVER_NS,
            board_until_ns=_FOREVER_NS,
            clock_offset_ms=0,
        ),
    )


def _order(legs: Sequence[LiveLeg]) -> RunOrder:
    return RunOrder(
        name=_NAME,
        kind=SetKind.OUTCOME_SET,
        legs=tuple(leg.market for leg in legs),
        owner="benchmark",
        run_id="benchmark",
        rules=_RULES,
        limits=_LIMITS,
        lease_ttl_ms=6_000,
        window_s=60.0,
        rounds=1,
    )


def _ports(claims: TimedClaims, clock: SystemClock) -> SetPorts:
    unread: Any = None
    return SetPorts(
        lease=MemoryLease(),
        board=MemoryBoard(),
        kill_file=NoKillFile(),
        writer=Backlog(),
        ledger=unread,
        claims=claims,
        trades=unread,
        waivers=unread,
        clock=clock,
    )


def _table(marks: Marks, fires: int, seconds: float) -> Table:
    whole = microseconds("bytes read → last leg's order bytes sent", marks.whole)
    rows = (
        whole,
        microseconds("  received_ns → last leg's order bytes sent", marks.from_event),
        microseconds("  received_ns → claim asked for", marks.before),
        microseconds("  the claim, call to answer", marks.claims),
        microseconds("  claim granted → last leg's order bytes sent", marks.after),
    )
    p50_ms = whole.figures.get("p50 us", 0) / 1_000
    notes = (
        f"{fires:,} fires in {seconds:.0f} s, {len(marks.whole):,} of them led to by an update",
        f"target: p50 {TARGET_P50_MS} ms; here {p50_ms:.2f}",
    )
    return Table(name="arbitrage_fire: three legs, claim included, uvloop", rows=rows, notes=notes)
