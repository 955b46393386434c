"""What a venue's tests must supply: a running adapter and levers on the venue behind it.

The levers tell the truth about the venue without passing through the adapter.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn, Protocol

import pytest

from desk.instrument import Instrument
from desk.orders import VenueOrder
from desk.ports import Venue
from desk.units import Level, Lots, Side, Ticks
from tests.venues.conformance.levers import Levers
from venues._transport.http import HttpPool
from venues.simulation.faults import Fault, FaultKind, FaultPlan


class Trouble(StrEnum):
    """What can be made to go wrong. The words are those of the simulators."""

    REQUEST_LOST = "request_lost"
    RESPONSE_LOST = "response_lost"
    TRUNCATED_BODY = "truncated_body"
    NOT_JSON = "not_json"
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"
    RATE_LIMITED = "rate_limited"
    MARGIN_REJECT = "margin_reject"
    SESSION_EXPIRED = "session_expired"
    IP_FORBIDDEN = "ip_forbidden"
    FILL_RACING_CANCEL = "fill_racing_cancel"
    DROP_EVENT = "drop_event"
    DUPLICATE_EVENT = "duplicate_event"
    CUT_FRAME = "cut_frame"
    SPLIT_FRAMES = "split_frames"
    SNAPSHOT_REPEATS = "snapshot_repeats"
    SILENT_STREAM = "silent_stream"
    CLOCK_SKEW = "clock_skew"


class Target(StrEnum):
    """Where it goes wrong."""

    ORDERS = "orders"
    CANCELS = "cancels"
    CANCEL_ONE = "cancel_one"
    CLOSES = "closes"
    BOOK_STREAM = "book_stream"
    ACCOUNT_STREAM = "account_stream"
    EVERYWHERE = "everywhere"


class TroubleUnavailable(Exception):
    """This venue's simulator cannot make that happen; the case is skipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """One execution of the adapter's account, as the venue booked it."""

    side: Side
    price: Ticks
    lots: Lots


class Harness(Protocol):
    """One venue under test. The adapter's `run` is held, and its account starts flat and clean.

    `secrets` are the credentials it was configured with; `idle_timeout_s` is the configured time
    without a byte after which a stream counts as dead, best below two seconds. Where the venue does
    not say how long a rate limit lasts (`tells_retry_after` is False), any time above zero will do.
    `levers` pull on the engine behind the venue; `base_url` is where the adapter reaches it.
    """

    venue: Venue
    instrument: Instrument
    levers: Levers
    base_url: str
    secrets: Sequence[str]
    idle_timeout_s: float
    tells_retry_after: bool

    async def trade(self, side: Side, lots: Lots, price: Ticks | None = None) -> Lots:
        """Let somebody else take liquidity, down (up) to a price; lots traded."""

    async def add_fault(self, kind: str, **match: object) -> None:
        """Arm one `Trouble`, once unless said.

        `match` may hold `target` (a Target), and by their names in the simulators `count`, `skip`,
        `for_s`, `delay_s`, `skew_s`, `at`. TroubleUnavailable when the simulator has no such fault.
        """

    async def book(self) -> tuple[Sequence[Level], Sequence[Level]]:
        """Bids and asks at the venue now, best first, to the depth the feed asks for."""

    async def open_orders(self) -> Sequence[VenueOrder]:
        """What really rests of the adapter's account in this market."""

    async def fills(self) -> Sequence[Traded]:
        """All executions of the adapter's account in this market, oldest first."""

    async def quiet(self) -> None:
        """Stop everybody else: from now on the book changes only by the test's own doing."""

    def keep_order_connections_busy(self, for_s: float) -> Awaitable[object]:
        """Occupy every connection of the adapter for orders, on return; done when all are free."""

    async def venue_at(self, base_url: str) -> Venue:
        """Another adapter for another address, not running; raises what building raises."""


def occupy(pool: HttpPool, faults: FaultPlan, path: str, for_s: float) -> Awaitable[object]:
    """Have as many reads answered late as the pool has connections."""
    faults.add(Fault(kind=FaultKind.SLOW_RESPONSE, path=f"*{path}", delay_s=for_s, count=None))
    reads = [pool.request("GET", path, timeout_s=2 * for_s + 5) for _ in range(pool.connected)]
    return asyncio.gather(*reads)


def skip_without(capability: str, *, has: bool) -> None:
    """Skip the running case when the venue lacks a capability."""
    if not has:
        pytest.skip(f"the venue lacks {capability}")


async def trouble(harness: Harness, kind: Trouble, target: Target, **match: object) -> None:
    """Arm a fault, or skip the running case when the simulator cannot."""
    try:
        await harness.add_fault(kind, target=target, **match)
    except TroubleUnavailable:
        _unavailable(kind, target)


def _unavailable(kind: Trouble, target: Target) -> NoReturn:
    pytest.skip(f"the simulator cannot make {kind} happen at {target}")
