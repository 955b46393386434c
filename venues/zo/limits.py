"""What we allow ourselves to send: orders and cancels a second, requests a minute.

The venue states no limits (zo.md section 2.6): these are settings. Only the minute is shared
between processes; a share of it is for cancels alone.
"""

from desk.ports import Clock
from venues._transport.rate_limit import Budget, RateBudget, RequestKind
from venues.zo.config import ZoConfig

_LOOK_AGAIN_S = 0.25


class Limits:
    """Three budgets that are drawn together. `requests` is the minute's, perhaps shared."""

    def __init__(self, *, config: ZoConfig, requests: Budget, clock: Clock) -> None:
        self._orders = RateBudget(
            clock=clock, capacity=config.orders_per_s, reserved=0, window_s=1.0
        )
        self._cancels = RateBudget(
            clock=clock, capacity=config.cancels_per_s, reserved=0, window_s=1.0
        )
        self._requests = requests

    def take(self, *, orders: int, cancels: int, requests: int) -> float:
        """Take for so many orders, cancels and requests: 0.0 when taken, else seconds to wait."""
        if self._orders.left(RequestKind.ORDER) < orders:
            return _LOOK_AGAIN_S
        if self._cancels.left(RequestKind.CANCEL) < cancels:
            return _LOOK_AGAIN_S
        kind = RequestKind.ORDER if orders else RequestKind.CANCEL
        for _ in range(requests):
            wait_s = self._requests.take(kind)
            if wait_s > 0:
                return wait_s
        for _ in range(orders):
            self._orders.take(RequestKind.ORDER)
        for _ in range(cancels):
            self._cancels.take(RequestKind.CANCEL)
        return 0.0

    def overdraw(self, *, cancels: int) -> None:
        """Count one request of cancels that goes out whatever we believe of the budgets."""
        for _ in range(cancels):
            self._cancels.overdraw()
        if self._requests.take(RequestKind.CANCEL) > 0:
            self._requests.overdraw()
