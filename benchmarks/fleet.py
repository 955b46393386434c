"""A fleet of real sessions in one process, at a benchmark's exchange, with every turn timed.

The adapter, loop, dispatcher and session are the product's; the services beside them (lease, kill
board, ledger) stand in memory.
"""

import asyncio
import cProfile
import gc
import random
import resource
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from benchmarks.turns import MarketMarks, StampedReader, Turns
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.lifecycle import SessionReason
from desk.market import FeedEvent
from desk.permit import Permit
from desk.ports import (
    AccountPort,
    Capabilities,
    Clock,
    DeadManPort,
    ExecutionPort,
    FeedPort,
    Venue,
)
from desk.quoting.parameters import QuoteParameters
from desk.rate_ports import RequestPurse
from desk.records import Kill, LedgerFacts, LedgerRecord, OrderSent
from desk.risk.limits import RiskLimits
from infra.clock import SystemClock
from quoting.loop import MarketLoop
from quoting.session import Session, SessionEnd, SessionPorts
from quoting.setup import LoopSetup
from venues.ocx import OcxConfig, build
from venues.ocx.signing import Secret

ACCOUNT = "main"
LIMITS = RiskLimits(max_orders_per_minute=1_000_000)
PARAMETERS = QuoteParameters(debounce_ms=100, spread_bps=Decimal(8))
EMPTY = LedgerFacts(
    fills=0, position=0, cash=Decimal(0), fees=Decimal(0), last_trade_ms=None, peak_pnl=None
)
_LEASE_MS = 6_000
_FOREVER_NS = 1 << 62
_AFTER_S = 0.5
_APART_S = 0.0137


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """How long to quote, and how: nothing is counted during `warm_up_s`."""

    seconds: float
    warm_up_s: float = 2.0
    parameters: QuoteParameters = PARAMETERS
    freeze_gc: bool = False
    profiler: cProfile.Profile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What one stretch of quoting showed. Times are nanoseconds, memory is bytes."""

    turns: Turns
    cpu_s: float
    seconds: float
    resident_bytes: int
    peak_bytes: int
    markets: int


class MemoryLease:
    """A lease nobody else wants."""

    async def acquire(self, market: MarketId, epoch: int, owner: str, ttl_ms: int) -> bool:
        """Ours."""
        return bool(market.symbol and owner and epoch + ttl_ms)

    renew = acquire

    async def release(self, market: MarketId, epoch: int, owner: str) -> bool:
        """No longer ours."""
        return bool(market.symbol and owner and epoch)

    async def fence(self, market: MarketId) -> int:
        """Nobody before."""
        del market
        return 0

    async def shared(self, market: MarketId) -> bool:
        """Nobody else."""
        return not market.symbol


@dataclass(slots=True)
class MemoryBoard:
    """A kill board of this process, armed from the start."""

    by_scope: dict[str, Kill] = field(default_factory=dict)
    sinks: list[Callable[[], None]] = field(default_factory=list)

    async def kills(self, market: MarketId) -> tuple[Kill, ...]:
        """Kills whose scope covers this market."""
        return tuple(kill for kill in self.by_scope.values() if kill.covers(market))

    async def watch(self, sink: Callable[[], None]) -> None:
        """Call `sink` now and at each change, until cancelled."""
        self.sinks.append(sink)
        sink()
        try:
            await asyncio.Event().wait()
        finally:
            self.sinks.remove(sink)

    async def set(self, kill: Kill) -> None:
        """Put a kill on."""
        self.by_scope[kill.scope] = kill
        self._tell()

    async def named(self, scope: str) -> frozenset[int]:
        """`at_ms` of the kill set at this scope."""
        return frozenset(kill.at_ms for kill in self.by_scope.values() if kill.scope == scope)

    async def lift(self, scope: str, at_ms: Collection[int]) -> bool:
        """Take it off when it is one of these; False when it is not."""
        lifted = scope in self.by_scope and self.by_scope[scope].at_ms in at_ms
        if lifted:
            del self.by_scope[scope]
        self._tell()
        return lifted

    async def armed(self) -> bool:
        """It never was emptied."""
        return True

    async def rearm(self, kills: Sequence[Kill]) -> None:
        """Add what is missing."""
        for kill in kills:
            await self.set(kill)

    def _tell(self) -> None:
        for sink in self.sinks:
            sink()


@dataclass(slots=True)
class MemoryLedger:
    """Takes records as the writer does, and forgets the oldest; tells `marks` what was sent."""

    marks: MarketMarks
    records: deque[LedgerRecord] = field(default_factory=lambda: deque(maxlen=10_000))

    def record(self, record: LedgerRecord) -> None:
        """Queue one."""
        self.records.append(record)
        if isinstance(record, OrderSent):
            self.marks.sending(record.client_order_id)

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


class TimedFeed:
    """The venue's feed, with a note of every event on its way to the inbox."""

    def __init__(self, feed: FeedPort, turns: Turns) -> None:
        self._feed = feed
        self._turns = turns

    async def run(self, instrument: Instrument, sink: Callable[[FeedEvent], None]) -> None:
        """As the venue's."""
        market = self._turns.of(instrument.symbol)

        def noted(event: FeedEvent) -> None:
            market.heard(event)
            sink(event)

        await self._feed.run(instrument, noted)

    def resnapshot(self, symbol: str, reason: str) -> None:
        """As the venue's."""
        self._feed.resnapshot(symbol, reason)


class TimedVenue:
    """A venue whose feed is timed; all else is the venue's own."""

    def __init__(self, venue: Venue, turns: Turns) -> None:
        self._venue = venue
        self._feed = TimedFeed(venue.feed, turns)

    @property
    def capabilities(self) -> Capabilities:
        """The venue's."""
        return self._venue.capabilities

    @property
    def feed(self) -> FeedPort:
        """The timed feed."""
        return self._feed

    @property
    def account(self) -> AccountPort:
        """The venue's."""
        return self._venue.account

    @property
    def dead_man(self) -> DeadManPort | None:
        """The venue's."""
        return self._venue.dead_man

    @property
    def execution(self) -> ExecutionPort:
        """The venue's."""
        return self._venue.execution

    @property
    def requests(self) -> int:
        """The venue's."""
        return self._venue.requests

    @property
    def purse(self) -> RequestPurse | None:
        """The venue's."""
        return self._venue.purse

    async def run(self) -> None:
        """The venue's."""
        await self._venue.run()

    async def instruments(self) -> Sequence[Instrument]:
        """The venue's."""
        return await self._venue.instruments()

    async def clock_offset_ms(self) -> int:
        """The venue's."""
        return await self._venue.clock_offset_ms()

    async def diagnose(self) -> Sequence[str]:
        """The venue's."""
        return await self._venue.diagnose()

    async def close(self) -> None:
        """The venue's."""
        await self._venue.close()


def adapter(base_url: str, clock: Clock) -> Venue:
    """The real OCX adapter, with a rate budget that does not bind."""
    config = OcxConfig(
        base_url=base_url,
        api_key=Secret("ocx_sk_" + "k" * 40),
        order_per_min=1_000_000,
        depth=100,
        order_connections=4,
    )
    return build(config, account=ACCOUNT, clock=clock, random=random.Random(0))


async def quote(connect: Callable[[Clock], Venue], stretch: Stretch) -> Observed:
    """Quote every market of an exchange through its adapter, which `connect` makes.

    RuntimeError when a session ends early.
    """
    StampedReader.install()
    clock = SystemClock()
    turns = Turns(clock)
    venue = TimedVenue(connect(clock), turns)
    instruments = await venue.instruments()
    offset_ms = await venue.clock_offset_ms()
    sessions = [await _session(each, venue, turns, stretch, offset_ms) for each in instruments]
    async with asyncio.TaskGroup() as tasks:
        holding = tasks.create_task(venue.run())
        watching = tasks.create_task(_watch(turns, stretch, len(sessions)))
        running = [tasks.create_task(_started(*each)) for each in enumerate(sessions)]
        ends = [await each for each in running]
        observed = await watching
        holding.cancel()
    await venue.close()
    early = {end.message or end.reason for end in ends if end.reason is not SessionReason.WINDOW}
    if early:
        raise RuntimeError(f"sessions did not last: {'; '.join(sorted(early))}")
    return observed


async def _started(number: int, session: Session) -> SessionEnd:
    # Sessions of a real fleet begin at different times; together, their timers would fall due at
    # once for as long as they live.
    await asyncio.sleep(number * _APART_S % 0.1)
    return await session.run()


async def _watch(turns: Turns, stretch: Stretch, markets: int) -> Observed:
    await asyncio.sleep(stretch.warm_up_s)
    gc.collect()
    if stretch.freeze_gc:
        gc.freeze()
    begun_s, cpu_s = time.perf_counter(), time.process_time()
    gc.callbacks.append(turns.collecting)
    turns.counting = True
    with stretch.profiler or nullcontext():
        await asyncio.sleep(stretch.seconds)
    turns.counting = False
    gc.callbacks.remove(turns.collecting)
    return Observed(
        turns=turns,
        cpu_s=time.process_time() - cpu_s,
        seconds=time.perf_counter() - begun_s,
        resident_bytes=_resident_bytes(),
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        markets=markets,
    )


async def _session(
    instrument: Instrument, venue: TimedVenue, turns: Turns, stretch: Stretch, offset_ms: int
) -> Session:
    market, clock = MarketId(instrument.venue, ACCOUNT, instrument.symbol), turns.clock
    timer = venue.dead_man
    now_ns = clock.monotonic_ns()
    loop = MarketLoop(
        LoopSetup(
            market=market,
            instrument=instrument,
            epoch=1,
            parameters=stretch.parameters,
            limits=LIMITS,
            capabilities=venue.capabilities,
            facts=EMPTY,
            known_since_ms=0,
            known=frozenset(),
        ),
        Permit(
            max_clock_offset_ms=LIMITS.max_clock_offset_ms,
            max_ledger_behind_s=5.0,
            lease_until_ns=now_ns + _FOREVER_NS,
            board_until_ns=now_ns + _FOREVER_NS,
            clock_offset_ms=offset_ms,
            dead_man_until_ns=None if timer is None else await timer.keep(market.path),
        ),
    )
    marks = turns.of(instrument.symbol)
    return Session(
        market=market,
        instrument=instrument,
        epoch=1,
        owner="benchmark",
        lease_ttl_ms=_LEASE_MS,
        window_s=stretch.warm_up_s + stretch.seconds + _AFTER_S,
        audit_s=15.0,
        loop=loop,
        ports=SessionPorts(
            venue=venue,
            lease=MemoryLease(),
            board=MemoryBoard(),
            kill_file=marks,
            ledger=MemoryLedger(marks),
            clock=clock,
            meter=marks,
        ),
        report=_ignore,
    )


def _ignore(_: object) -> None:
    """Progress is not looked at."""


def _resident_bytes() -> int:
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize()
    return 0
