"""Cancel first, then look: the short code path that takes every order of a market away.

"Cleared" is said on evidence only: the venue lists zero orders twice, further apart than it takes
to settle.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from desk.errors import Refused, VenueError
from desk.instrument import Instrument
from desk.orders import VenueOrder
from desk.ports import Clock, Venue

_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearReport:
    """What was seen. `left` is what the venue still listed when giving up, None if unreadable.

    `found` are orders that rested as it began, as far as the venue still listed them; `cancelled`
    how many the venue says it took away, None where it does not say.
    """

    verified: bool
    attempts: int
    left: int | None
    message: str
    confirmed_ns: int | None
    verified_ns: int | None
    found: tuple[VenueOrder, ...] = ()
    cancelled: int | None = None


async def clear(
    venue: Venue,
    instrument: Instrument,
    clock: Clock,
    *,
    give_up_s: float,
    beat: Callable[[], None] = lambda: None,
) -> ClearReport:
    """Cancel everything of one market until the venue lists zero orders twice, or time is up.

    Never raises for what a venue does. `beat` is called on every round (heartbeats).
    """
    deadline_ns = clock.monotonic_ns() + int(give_up_s * 1e9)
    wait_s, attempts, message, left = _FIRST_WAIT_S, 0, "", None
    confirmed_ns: int | None = None
    cancelled: int | None = None
    while True:
        beat()
        attempts += 1
        try:
            outcome = await venue.execution.cancel_all(instrument)
            cancelled = summed(cancelled, outcome.cancelled)
            if outcome.confirmed and confirmed_ns is None:
                confirmed_ns = clock.monotonic_ns()
            left = await _listed_twice(venue, instrument)
            if left == 0:
                return ClearReport(
                    verified=True,
                    attempts=attempts,
                    left=0,
                    message=message,
                    confirmed_ns=confirmed_ns,
                    verified_ns=clock.monotonic_ns(),
                    cancelled=cancelled,
                )
            message = f"{left} orders still listed after a cancel-all"
        except VenueError as error:
            message = str(error) or type(error).__name__
            # The venue knows better than we when it listens again.
            wait_s = _asked_to_wait(error) or wait_s
        if clock.monotonic_ns() + int(wait_s * 1e9) >= deadline_ns:
            return ClearReport(
                verified=False,
                attempts=attempts,
                left=left,
                message=message,
                confirmed_ns=confirmed_ns,
                verified_ns=None,
                cancelled=cancelled,
            )
        await asyncio.sleep(wait_s)
        wait_s = min(_LONGEST_WAIT_S, wait_s * 2)


def summed(known: int | None, more: int | None) -> int | None:
    """A count and what a venue says came to it; None while it never said."""
    return known if more is None else (known or 0) + more


async def _listed_twice(venue: Venue, instrument: Instrument) -> int:
    first = len(await venue.account.open_orders(instrument))
    if first:
        return first
    await asyncio.sleep(venue.capabilities.settling_ms / 1000)
    return len(await venue.account.open_orders(instrument))


def _asked_to_wait(error: VenueError) -> float:
    if isinstance(error, Refused) and error.retry_after_s is not None:
        return min(_LONGEST_WAIT_S, error.retry_after_s)
    return 0.0


async def clear_and_tell(
    venue: Venue,
    instrument: Instrument,
    clock: Clock,
    *,
    give_up_s: float,
    beat: Callable[[], None] = lambda: None,
) -> ClearReport:
    """The same, and what rested: an order that nobody recorded is told by its id alone.

    Asked for as the first cancel leaves, never before it: the list may come too late to tell all.
    """
    looking = asyncio.ensure_future(venue.account.open_orders(instrument))  # begins at our wait
    try:
        report = await clear(venue, instrument, clock, give_up_s=give_up_s, beat=beat)
        answered = looking.done() and looking.exception() is None
        return replace(report, found=tuple(looking.result()) if answered else ())
    finally:
        if not looking.cancel():
            looking.exception()  # asked for, lest the event loop complain that nobody did
