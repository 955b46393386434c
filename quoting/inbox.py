"""One ordered inbox for everything a session hears: book, account, answers and timer.

Events that arrive in one turn of the event loop are handed over together, so that a burst leads to
one decision and not to one per event.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from desk.market import FeedEvent
from desk.orders import AccountEvent, Balance, Batch, BatchOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A batch was answered, or its outcome is unknown.

    `round_trip_ns` is from the bytes handed over to the answer read, None when nothing was sent or
    nothing was answered.
    """

    batch: Batch
    outcome: BatchOutcome
    round_trip_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """A cancel-all was confirmed by listing zero orders twice (or given up: `verified` False)."""

    verified: bool
    attempts: int
    message: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class AuditBegun:
    """The venue is being asked what rests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What the venue lists as resting, by client order id (None: not one of ours).

    `asked_ns` is when the list was asked for: orders sent or cancelled later are not judged by it.
    """

    resting: tuple[str | None, ...]
    asked_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What the venue says of one order; its fills, if any, were put into the inbox before this."""

    client_order_id: str
    resting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FundsSeen:
    """The account's funds as the venue tells them; `asked_ns` is when they were asked for.

    `sharers` is how many sessions of this process quote with them.
    """

    funds: Balance
    asked_ns: int
    sharers: int = 1


@dataclass(frozen=True, slots=True)
class Tick:
    """Time went by."""

    now_ns: int


InboxEvent: TypeAlias = (
    FeedEvent
    | AccountEvent
    | Answered
    | Cleared
    | AuditBegun
    | Audited
    | Settled
    | FundsSeen
    | Tick
)


class Inbox:
    """Collects events and calls `handle(events)` once per turn of the event loop."""

    def __init__(self, handle: Callable[[list[InboxEvent]], None]) -> None:
        self._handle = handle
        self._events: list[InboxEvent] = []
        self._open = True

    def put(self, event: InboxEvent) -> None:
        """Add one event; never blocks. Events after `close` are dropped."""
        if not self._open:
            return
        self._events.append(event)
        if len(self._events) == 1:
            asyncio.get_running_loop().call_soon(self._drain)

    def close(self) -> None:
        """Take no more events."""
        self._open = False

    def _drain(self) -> None:
        events, self._events = self._events, []
        if self._open and events:
            self._handle(events)
