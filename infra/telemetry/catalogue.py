"""Every metric this house records: name, unit and meaning, once.

The one rule: a metric that is not here does not exist; attributes never hold an order id.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One instrument. `unit` is a UCUM word (`ms`, `s`, `1`, `{order}`)."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    unit: str
    description: str
    bounds: tuple[float, ...] | None = None
    """Upper bucket bounds of a histogram, in its unit."""


def _counter(name: str, unit: str, description: str) -> Metric:
    return Metric(name=name, kind="counter", unit=unit, description=description)


def _gauge(name: str, unit: str, description: str) -> Metric:
    return Metric(name=name, kind="gauge", unit=unit, description=description)


def _milliseconds(name: str, description: str, *bounds: float) -> Metric:
    return Metric(name=name, kind="histogram", unit="ms", description=description, bounds=bounds)


TICK_TO_WIRE = _milliseconds(
    "flotilla.tick_to_wire",
    "From a book message read to the order's bytes handed to the socket.",
    *(0.05, 0.1, 0.15, 0.25, 0.4, 0.6, 1.0, 2.0, 5.0, 10.0, 50.0, 250.0),
)
VENUE_ANSWER = _milliseconds(
    "flotilla.venue.answer",
    "From an order's bytes handed to the socket to the venue's answer.",
    *(1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 5_000.0),
)
KILL_LATENCY = _milliseconds(
    "flotilla.kill.latency",
    "From a kill being set to this process's gates being closed.",
    *(1.0, 5.0, 10.0, 20.0, 50.0, 100.0, 250.0, 1_000.0, 5_000.0),
)

ORDERS_SENT = _counter("flotilla.orders.sent", "{order}", "Orders handed to a venue.")
ORDERS_ACCEPTED = _counter("flotilla.orders.accepted", "{order}", "Orders the venue took.")
ORDERS_REJECTED = _counter("flotilla.orders.rejected", "{order}", "Orders the venue refused.")
ORDERS_DENIED = _counter("flotilla.orders.denied", "{order}", "Orders our own gate refused.")
ORDERS_UNRESOLVED = _counter(
    "flotilla.orders.unresolved", "{order}", "Orders sent whose outcome was unknown at first."
)
CANCEL_ALLS = _counter("flotilla.cancel_all", "{call}", "Cancel-all calls, by outcome.")
FILLS = _counter("flotilla.fills", "{fill}", "Own trades seen.")
BREAKS = _counter("flotilla.breaks", "{break}", "Differences found between our books and a venue.")
LEASE_RENEWALS = _counter(
    "flotilla.lease.renewals", "{renewal}", "Lease renewals, by outcome: renewed, lost, failed."
)
SESSION_CYCLES = _counter("flotilla.session.cycles", "{cycle}", "Quote cycles decided.")
SESSION_STARTS = _counter("flotilla.session.starts", "{session}", "Sessions started.")
FEED_LOSSES = _counter("flotilla.feed.losses", "{loss}", "Times a market's feed was lost.")
KILLS = _counter("flotilla.kill", "{kill}", "Kills that closed this process's gates.")
ALERTS = _counter("flotilla.alerts", "{alert}", "Alerts raised, by severity.")

LEDGER_BEHIND = _gauge("flotilla.ledger.behind", "s", "Age of the oldest record not yet written.")
CLOCK_OFFSET = _gauge("flotilla.clock.offset", "ms", "Venue clock minus ours.")
SESSIONS = _gauge("flotilla.sessions", "{session}", "Sessions that quote in this process.")

CATALOGUE: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
