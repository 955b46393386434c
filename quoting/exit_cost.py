"""What an order of a flatten cost: its fills, their worth at the mid, how much worse they were.

The one rule: a fill is new only where two readings say so; one that failed says nothing.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from desk.errors import VenueError
from desk.instrument import Instrument
from desk.orders import Fill
from desk.ports import Clock, Venue
from desk.units import NS_PER_MS, Ticks

_BACK_MS = 60_000


async def recent_fills(
    venue: Venue, instrument: Instrument, clock: Clock
) -> Mapping[str, Fill] | None:
    """Fills of the last minute by trade id; None where they cannot be read just now."""
    since_ms = clock.wall_ns() // NS_PER_MS - _BACK_MS
    try:
        found = await venue.account.fills(instrument, since_ms)
    except VenueError:
        return None
    return {fill.trade_id: fill for fill in found}


def fills_between(
    known: Mapping[str, Fill] | None, seen: Mapping[str, Fill] | None
) -> Sequence[Fill]:
    """What the later reading has and the earlier one has not; none where either failed."""
    if known is None or seen is None:
        return ()
    return [fill for trade_id, fill in seen.items() if trade_id not in known]


def worth_and_cost(
    instrument: Instrument, mid_x2: Ticks | None, fills: Sequence[Fill]
) -> tuple[Decimal, Decimal]:
    """Worth of these fills at the mid, and how much worse than that they were; quote currency.

    Without a mid they are worth what they traded at, and cost nothing.
    """
    traded = cost = Decimal(0)
    for fill in fills:
        worth = instrument.notional(mid_x2 or 2 * fill.price, fill.lots) / 2
        traded += worth
        cost += (instrument.notional(fill.price, fill.lots) - worth) * fill.side.sign
    return traded, cost
