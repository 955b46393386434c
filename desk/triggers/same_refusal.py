"""The repeat breaker: the same request met with the same refusal, time after time.

What was refused so will be refused again; only what differs in price, size or flags is new.
"""

from dataclasses import dataclass
from typing import TypeAlias

from desk.orders import NewOrder, RejectReason, TimeInForce
from desk.units import Lots, Side, Ticks

MOST = 3
_REMEMBERED = 256

_Request: TypeAlias = tuple[Side, Ticks, Lots, TimeInForce, bool, bool]


@dataclass(frozen=True, slots=True)
class _Seen:
    """How often, and the id of the last order that was refused so."""

    times: int
    client_order_id: str


class SameRefusal:
    """Refusals of one session, by what was asked and why it was refused.

    One order counts once, however often its end is told. An accepted order clears every refusal of
    the same request. The oldest are forgotten when there are more than 256 different ones.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[_Request, RejectReason], _Seen] = {}

    def refused(self, order: NewOrder, reason: RejectReason) -> int:
        """One order was refused; how often this very request met this very refusal so far."""
        key = (_request(order), reason)
        before = self._seen.pop(key, None)
        if before is None:
            seen = _Seen(1, order.client_order_id)
        elif before.client_order_id == order.client_order_id:
            seen = before
        else:
            seen = _Seen(before.times + 1, order.client_order_id)
        self._seen[key] = seen
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return seen.times

    def accepted(self, order: NewOrder) -> None:
        """The same request was taken: what refused it before has passed."""
        if not self._seen:
            return
        request = _request(order)
        for key in [key for key in self._seen if key[0] == request]:
            del self._seen[key]


def _request(order: NewOrder) -> _Request:
    return (
        order.side,
        order.price,
        order.lots,
        order.time_in_force,
        order.post_only,
        order.reduce_only,
    )
