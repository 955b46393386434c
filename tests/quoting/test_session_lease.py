"""Who cannot take its orders away gives the lease up, so that somebody else may."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

from desk.errors import NotSent
from desk.identity import MarketId
from desk.orders import CancelOutcome
from quoting.gates import Gates
from quoting.session import Session, SessionEnd, SessionPorts
from tests.quoting.builders import INSTRUMENT, MARKET, make_loop
from tests.support.alone import Counts, NoKillFile, OwnBoard, OwnLease, OwnLedger

_SPEED = 20
_ALONE_NS = 2_000_000_000
_SLACK_NS = 2_000_000_000


class FastClock:
    """Twenty seconds go by in one, so that patience is short."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns() * _SPEED

    def wall_ns(self) -> int:
        return time.time_ns()


@dataclass
class CountedLease(OwnLease):
    clock: FastClock = field(default_factory=FastClock)
    renewed_ns: list[int] = field(default_factory=list)

    async def renew(self, market: MarketId, epoch: int, owner: str, ttl_ms: int) -> bool:
        self.renewed_ns.append(self.clock.monotonic_ns())
        return await self.acquire(market, epoch, owner, ttl_ms)


class CutOff:
    """A venue that hears nothing we say."""

    capabilities = SimpleNamespace(settling_ms=10)
    dead_man = None

    def __init__(self, *, hears: Callable[[], bool]) -> None:
        self.feed = self.account = self.execution = self
        self._hears = hears
        self.asked: list[int] = []

    async def run(self, *given: object) -> None:
        await asyncio.Event().wait()

    async def clock_offset_ms(self) -> int:
        return 0

    async def balance(self) -> object:
        raise NotSent("no line")

    async def cancel_all(self, instrument: object) -> object:
        self.asked.append(FastClock().monotonic_ns())
        if not self._hears():
            raise NotSent("no line")
        return CancelOutcome(confirmed=True)

    async def open_orders(self, instrument: object) -> list[object]:
        if not self._hears():
            raise NotSent("no line")
        return []


async def left(lease: CountedLease, venue: CutOff) -> tuple[Session, SessionEnd]:
    """A session that goes, because it is asked to or because the fast clock outruns its board."""
    loop = make_loop()
    session = Session(
        market=MARKET,
        instrument=INSTRUMENT,
        epoch=1,
        owner="me",
        lease_ttl_ms=150,
        window_s=60,
        audit_s=60,
        loop=loop,
        ports=SessionPorts(
            venue=venue,  # type: ignore[arg-type]
            lease=lease,
            board=OwnBoard(),
            gates=Gates(),
            kill_file=NoKillFile(),
            ledger=OwnLedger(),
            clock=lease.clock,
            meter=Counts(),
        ),
        report=lambda progress: None,
    )
    running = asyncio.create_task(session.run())
    await asyncio.sleep(0.2)
    running.cancel()
    return session, await running


async def test_a_session_that_cannot_clear_stops_renewing_its_lease() -> None:
    lease, venue = CountedLease(), CutOff(hears=lambda: False)
    session, end = await left(lease, venue)
    asked_ns = venue.asked[0]
    assert not end.cleared
    assert not session.cleared
    assert lease.renewed_ns[0] < asked_ns, "it was renewed while all was well"
    assert lease.renewed_ns[-1] < asked_ns + _ALONE_NS + _SLACK_NS
    assert lease.clock.monotonic_ns() > asked_ns + 3 * _ALONE_NS, "it went on clearing alone"


async def test_a_session_that_leaves_in_good_order_is_cleared() -> None:
    session, end = await left(CountedLease(), CutOff(hears=lambda: True))
    assert end.cleared
    assert session.cleared
