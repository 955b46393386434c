"""The engine's memory of what happened: bounded, numbered, and delivered once a call is complete.

Numbers grow by one for each event; they are missing where the oldest were dropped or where the
crowd traded with itself, which is told to listeners but not kept.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal
from enum import Enum
from itertools import takewhile
from typing import Any

from desk.orders import TimeInForce
from venues.simulation.events import Event, LoggedEvent, OrderAccepted, OrderCancelled, Trade

Listener = Callable[[Event], None]


class EventLog:
    """Events kept for tests and waiting for listeners."""

    def __init__(self, history: int) -> None:
        self.sequence = 0
        self._kept: deque[LoggedEvent] = deque(maxlen=history)
        self._listeners: list[Listener] = []
        self._waiting: deque[Event] = deque()
        self._delivering = False

    def next_sequence(self) -> int:
        """The number of the event about to be recorded."""
        self.sequence += 1
        return self.sequence

    def record(self, event: LoggedEvent) -> None:
        """Keep an event and queue it for delivery."""
        self._kept.append(event)
        self.announce(event)

    def announce(self, event: Event) -> None:
        """Queue an event for delivery without keeping it."""
        if self._listeners:
            self._waiting.append(event)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Add a listener; returns what removes it (calling it twice is harmless)."""
        self._listeners.append(listener)

        def undo() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return undo

    def deliver(self) -> None:
        """Hand out what waits, in order, also what listeners cause meanwhile."""
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._waiting:
                event = self._waiting.popleft()
                for listener in tuple(self._listeners):
                    listener(event)
        finally:
            self._delivering = False

    def since(self, sequence: int) -> list[LoggedEvent]:
        """Kept events with a higher number."""
        newest = takewhile(lambda event: event.sequence > sequence, reversed(self._kept))
        return list(newest)[::-1]

    def resting_between(self, account: str, start_ns: int, end_ns: int) -> list[str]:
        """Ids of the account's orders that rested at some moment of [start, end)."""
        resting: dict[str, int] = {}
        found: list[str] = []
        for event in self._kept:
            if isinstance(event, OrderAccepted):
                if event.account == account and event.time_in_force is TimeInForce.GTC:
                    resting[event.order_id] = event.at_ns
                continue
            for order_id in _left(event):
                since = resting.pop(order_id, None)
                if since is not None and max(since, start_ns) < min(event.at_ns, end_ns):
                    found.append(order_id)
        return found + [order_id for order_id, since in resting.items() if since < end_ns]


def _left(event: LoggedEvent) -> list[str]:
    """Orders that left the book with this event."""
    if isinstance(event, OrderCancelled):
        return [] if event.remaining else [event.order_id]
    if isinstance(event, Trade):
        sides = (
            (event.maker_order_id, event.maker_remaining),
            (
                event.taker_order_id,
                event.taker_remaining,
            ),
        )
        return [order_id for order_id, remaining in sides if remaining == 0]
    return []


def as_json(event: LoggedEvent) -> dict[str, Any]:
    """The event as JSON-ready values: decimals as text, enums as their words."""
    return {"event": type(event).__name__} | {
        each.name: _plain(getattr(event, each.name)) for each in fields(event)
    }


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    return value.value if isinstance(value, Enum) else value
