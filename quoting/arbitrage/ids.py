"""Which id the next order of a leg has, so that no two orders that may both arrive can both trade.

The rule: an id is left behind only when the venue is known to have had its order. So the venue
refuses every id before the last one that was used, and who walks up from any of them meets refusals
only, until the last: of the order that may still be on its way under it, and the one that is sent
again, the venue takes one. That holds whatever of the record died with a process that had not
written it, as long as the orders go the same way, for an id names its side; a record that knows
less costs a few refusals more.
"""

from collections.abc import Collection, Mapping
from typing import Final

from desk.identity import MarketId, OrderIdentity, Slot
from desk.orders import RejectReason
from desk.ports import LedgerReader
from desk.units import Side
from quoting.arbitrage.leg import LiveLeg
from quoting.arbitrage.shot import FIRED_CYCLE
from quoting.hedge import HedgeSliceReport

TAKEN: Final = (None, RejectReason.DUPLICATE, RejectReason.NOT_FILLED)
"""What the venue says of an order that it remembers by its id; it need not remember a refused one.

None: it was taken, or a fill of it is booked.
"""
_WIDTH: Final = 64
_STRIDES: Final = (_WIDTH * _WIDTH, _WIDTH, 1)
"""Ids are used one after the other: three short reads find the last of a quarter of a million."""


class Ids:
    """Which id comes next on each leg, under the epoch on record of a trade."""

    def __init__(self, epochs: Mapping[MarketId, int], begin: Mapping[MarketId, int]) -> None:
        self._epochs = epochs
        self._next = dict(begin)

    def next(self, leg: LiveLeg) -> tuple[int, int]:
        """Epoch and cycle of the next order."""
        epoch = self._epochs.get(leg.market, leg.epoch)
        return epoch, self._next.get(leg.market, FIRED_CYCLE + 1)

    def took(self, market: MarketId, report: HedgeSliceReport) -> None:
        """Leave the id behind if the venue has had its order, and it is over."""
        if report.spent and report.reason in TAKEN:
            self._next[market] = self._next.get(market, FIRED_CYCLE + 1) + 1


async def last_recorded(ledger: LedgerReader, market: MarketId, epoch: int) -> int:
    """The highest cycle of which an order is on record under this epoch; 0 when there is none.

    Raises Unavailable.
    """
    last = 0
    for stride in _STRIDES:
        cycles = range(last + stride, last + _WIDTH * stride + 1, stride)
        found = await ledger.recorded_orders(market, _names(market, epoch, cycles))
        last = max([last, *(one.cycle for name in found if (one := OrderIdentity.decode(name)))])
    return last


def _names(market: MarketId, epoch: int, cycles: Collection[int]) -> list[str]:
    """All ids that orders of these cycles may have had."""
    return [
        OrderIdentity(
            tag=market.tag, epoch=epoch, cycle=cycle, slot=Slot(side, 0), exit=leaving
        ).encode()
        for cycle in cycles
        for side in Side
        for leaving in (False, True)
    ]
