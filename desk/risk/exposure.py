"""Worst-case positions: everything open, in flight or unresolved counts at once, before answers.

An order counts until it is known to be closed, so an order under replacement counts beside its
replacement: it may fill before the venue acts on the replace.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from desk.orders import NewOrder
from desk.units import Lots, Side
from desk.working import WorkingOrder, WorkingState

# An enum member costs 50 ns to look up in Python 3.11, and this asks for dozens.
_BUY: Final = Side.BUY
_CLOSED: Final = WorkingState.CLOSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Signed position, and unsigned lots that may still trade on each side.

    `buys` and `sells` may open risk; `reducing_buys` and `reducing_sells` are reduce-only, which
    the venue never lets go beyond a flat position.
    """

    position: Lots
    buys: Lots
    sells: Lots
    reducing_buys: Lots
    reducing_sells: Lots

    @property
    def worst_long(self) -> Lots:
        """Highest signed position if everything on the buy side fills and nothing else."""
        start = self.position
        if start < 0:
            start = min(start + self.reducing_buys, 0)
        return start + self.buys

    @property
    def worst_short(self) -> Lots:
        """Lowest signed position if everything on the sell side fills and nothing else."""
        start = self.position
        if start > 0:
            start = max(start - self.reducing_sells, 0)
        return start - self.sells


def exposure_of(
    position: Lots, working: Iterable[WorkingOrder], orders: Iterable[NewOrder] = ()
) -> Exposure:
    """Exposure with `orders` on top of all working orders that are not closed.

    What a batch cancels or replaces is not taken off: it counts until the venue confirmed.
    """
    lots = [0, 0, 0, 0]
    for one in working:
        if one.state is not _CLOSED:
            lots[_place(one.order)] += one.remaining
    for order in orders:
        lots[_place(order)] += order.lots
    sells, buys, reducing_sells, reducing_buys = lots
    return Exposure(
        position=position,
        buys=buys,
        sells=sells,
        reducing_buys=reducing_buys,
        reducing_sells=reducing_sells,
    )


def _place(order: NewOrder) -> int:
    return 2 * order.reduce_only + (order.side is _BUY)
