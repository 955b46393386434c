"""Faults a simulated venue can inject, and the plan that says when each strikes.

Not every venue has every fault. A plan is deterministic for a given seed and order of requests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from random import Random
from typing import Annotated, Any

import msgspec

from desk.units import NS_PER_S, Side


class FaultKind(StrEnum):
    """What goes wrong. The field named in a comment tunes it."""

    REQUEST_LOST = "request_lost"  # connection closed, nothing applied
    RESPONSE_LOST = "response_lost"  # applied, connection closed without an answer
    ERROR_BEFORE = "error_before"  # status (500), nothing applied
    ERROR_AFTER = "error_after"  # status (500), applied
    SLOW_RESPONSE = "slow_response"  # applied at once, answered delay_s later
    TRUNCATED_BODY = "truncated_body"  # applied, half a body, connection closed
    NOT_JSON = "not_json"  # applied, a page of HTML instead of JSON
    RATE_LIMITED = "rate_limited"  # 429, delay_s is the time to wait
    SESSION_EXPIRED = "session_expired"  # 401
    IP_FORBIDDEN = "ip_forbidden"  # 403
    KEY_REVOKED = "key_revoked"  # 401; the key used is revoked for good
    MARGIN_REJECT = "margin_reject"  # the order or the batch
    POST_ONLY_REJECT = "post_only_reject"  # level (one level), or the whole batch without it
    DUPLICATE_ID = "duplicate_id"
    ORDER_REFUSED = "order_refused"  # code: the venue's own; nothing applied
    ENGINE_REJECT = "engine_reject"  # reason: accepted, then rejected by the matching engine
    FILL_RACING_CANCEL = "fill_racing_cancel"  # fraction; fills shown delay_s after the answer
    FILL_RACING_REPLACE = "fill_racing_replace"  # fraction; fills shown delay_s after the answer
    FILL_INSIDE_REPLACE = "fill_inside_replace"  # fraction; between validation and matching
    MAINTENANCE_MODE = "maintenance_mode"  # a window
    POST_ONLY_MODE = "post_only_mode"  # a window
    REDUCE_ONLY_MODE = "reduce_only_mode"  # a window
    LATENCY = "latency"  # a window: delay_s at the median, spread its log-normal sigma
    CONNECT_REFUSED = "connect_refused"  # status (500) instead of a stream
    STREAM_CLOSED = "stream_closed"  # the venue closes the stream properly
    EMPTY_SNAPSHOT = "empty_snapshot"  # of orders, although some rest
    DEEP_SNAPSHOT = "deep_snapshot"  # levels in all, most of them far away
    DROP_EVENT = "drop_event"
    DUPLICATE_EVENT = "duplicate_event"
    DELAY_EVENT = "delay_event"  # delay_s
    SILENT_STREAM = "silent_stream"  # a window: socket open, not even a heartbeat
    CUT_FRAME = "cut_frame"  # at bytes into the frame (half of it), then closed
    SPLIT_FRAMES = "split_frames"  # at bytes a write (1)
    ERROR_EVENT = "error_event"  # retryable
    SNAPSHOT_OMITS_TRADES = "snapshot_omits_trades"  # the newest `trades` are never told
    SNAPSHOT_REPEATS = "snapshot_repeats"  # a second snapshot in mid-stream, old trades in it
    MARK_MISSING = "mark_missing"  # a window: reads show no mark
    INDEX_STALE = "index_stale"  # a window: the engine has no index and loses its mark
    HALT = "halt"  # a window
    EXPIRY = "expiry"
    BAND_MOVE = "band_move"  # a window: low, high
    LIQUIDATION = "liquidation"  # a window: index moved bps against the account
    CLOCK_SKEW = "clock_skew"  # a window: skew_s
    FILL_UNTOLD = "fill_untold"  # one execution no account stream ever tells; by market, account
    ENDPOINT_DIFFERS = "endpoint_differs"  # a window: reads show lots more, and amount more money
    LEG_VANISHES = "leg_vanishes"  # the crowd an immediate order would take is gone; by side
    LEG_FILLS_IN_PART = "leg_fills_in_part"  # fraction of an immediate order is left; by side
    EDGE = "edge"  # a window: the crowd is amount better to takers of side (buy)


Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault: where it matches, how often, when, and how strong.

    `path` is a glob over the URL path, `side` that of an order. `skip` matches are let through
    first, then at most `count` strike (None: all), each with `probability`. It sleeps for `after_s`
    once added and ends `for_s` later (None: never). Window kinds hold for that whole time and
    ignore `count`.
    """

    kind: FaultKind
    method: str | None = None
    path: str | None = None
    market: str | None = None
    account: str | None = None
    side: Side | None = None
    count: Annotated[int, msgspec.Meta(ge=1)] | None = 1
    skip: Annotated[int, msgspec.Meta(ge=0)] = 0
    probability: Fraction = 1.0
    after_s: Seconds = 0.0
    for_s: Seconds | None = None
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 500
    code: int | None = None
    reason: str | None = None
    delay_s: Seconds = 0.5
    spread: Annotated[float, msgspec.Meta(ge=0, le=3)] = 0.5
    levels: Annotated[int, msgspec.Meta(ge=1)] = 6_000
    retryable: bool = True
    at: Annotated[int, msgspec.Meta(ge=1)] | None = None
    level: Annotated[int, msgspec.Meta(ge=0)] | None = None
    trades: Annotated[int, msgspec.Meta(ge=1)] = 1
    fraction: Fraction = 1.0
    bps: Annotated[int, msgspec.Meta(ge=0, lt=10_000)] = 5_000
    low: str | None = None
    high: str | None = None
    skew_s: float = 0.0
    lots: int = 0
    amount: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where in the protocol something is about to happen."""

    method: str | None = None
    path: str | None = None
    market: str | None = None
    account: str | None = None
    side: Side | None = None


@dataclass(slots=True, kw_only=True)
class _Armed:
    fault: Fault
    starts_ns: int
    ends_ns: int | None
    to_skip: int
    left: int | None
    struck: int = 0

    def open(self, now_ns: int) -> bool:
        return self.starts_ns <= now_ns and (self.ends_ns is None or now_ns < self.ends_ns)

    def fits(self, site: Site) -> bool:
        fault = self.fault
        if fault.path is not None and not fnmatchcase(site.path or "", fault.path):
            return False
        return (
            fault.method in {None, site.method}
            and fault.market in {None, site.market}
            and fault.account in {None, site.account}
            and fault.side in {None, site.side}
        )


class FaultPlan:
    """All faults armed, by number."""

    def __init__(self, now_ns: Callable[[], int], random: Random) -> None:
        self._now_ns = now_ns
        self._random = random
        self._armed: dict[int, _Armed] = {}
        self._last = 0

    def add(self, fault: Fault) -> int:
        """Arm a fault; returns its number."""
        starts = self._now_ns() + int(fault.after_s * NS_PER_S)
        self._last += 1
        self._armed[self._last] = _Armed(
            fault=fault,
            starts_ns=starts,
            ends_ns=None if fault.for_s is None else starts + int(fault.for_s * NS_PER_S),
            to_skip=fault.skip,
            left=fault.count,
        )
        return self._last

    def remove(self, number: int) -> bool:
        """Disarm one; False when there is none of this number."""
        return self._armed.pop(number, None) is not None

    def clear(self) -> int:
        """Disarm all; returns how many there were."""
        count = len(self._armed)
        self._armed.clear()
        return count

    def armed(self, kind: FaultKind) -> bool:
        """Whether any fault of this kind is armed, used up or not."""
        return any(each.fault.kind is kind for each in self._armed.values())

    def take(self, site: Site, *kinds: FaultKind) -> Fault | None:
        """The first fault of these kinds that strikes here and now; it is used up by one."""
        if not self._armed:
            return None
        now = self._now_ns()
        for armed in self._armed.values():
            if armed.fault.kind in kinds and self._strikes(armed, site, now):
                return armed.fault
        return None

    def active(self, kind: FaultKind, site: Site) -> Fault | None:
        """The first open window of this kind that covers the site."""
        if not self._armed:
            return None
        now = self._now_ns()
        for armed in self._armed.values():
            if armed.fault.kind is kind and armed.open(now) and armed.fits(site):
                armed.struck = max(1, armed.struck)
                return armed.fault
        return None

    def listing(self) -> list[dict[str, Any]]:
        """What is armed, JSON-ready, with how often each struck."""
        return [
            {"id": number, "struck": armed.struck, **msgspec.to_builtins(armed.fault)}
            for number, armed in self._armed.items()
        ]

    def _strikes(self, armed: _Armed, site: Site, now_ns: int) -> bool:
        if armed.left == 0 or not armed.open(now_ns) or not armed.fits(site):
            return False
        if armed.to_skip > 0:
            armed.to_skip -= 1
            return False
        if armed.fault.probability < 1 and self._random.random() >= armed.fault.probability:
            return False
        armed.left = None if armed.left is None else armed.left - 1
        armed.struck += 1
        return True
