"""A venue whose book has one side, or another far away: an order trades only where its price meets.

The one rule: what is shown is what trades, so that a price that reaches nobody fills nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from desk.instrument import Instrument
from desk.market import BookSnapshot, FeedEvent
from desk.orders import NewOrder
from desk.units import Level, Lots, Side
from tests.quoting.exit_venue import ExitVenue, Fate


@dataclass
class LopsidedVenue(ExitVenue):
    """Levels of both sides as given, best first; the venue's own close meets at any price."""

    bids: list[Level] = field(default_factory=list)
    asks: list[Level] = field(default_factory=list)

    async def run(self, instrument: Instrument, sink: Callable[[FeedEvent], None]) -> None:
        sink(
            BookSnapshot(
                bids=list(self.bids),
                asks=list(self.asks),
                sequence=None,
                received_ns=time.monotonic_ns(),
            )
        )

    def _take(self, order: NewOrder, fate: Fate) -> Lots:
        closed = any(one is order for one in self.closed)
        met = self.bids if order.side is Side.SELL else self.asks
        reached = any((price - order.price) * order.side.sign <= 0 for price, _ in met)
        return super()._take(order, fate if closed or reached else Fate.NOTHING)


def closing(venue: LopsidedVenue) -> LopsidedVenue:
    """The same, with a close of its own."""
    venue.capabilities = replace(venue.capabilities, closes_positions=True)
    return venue
