"""Price-time priority: who rests where, and who is first. It never trades and never judges."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from desk.orders import TimeInForce
from desk.units import Level, Lots, Side, Ticks
from venues.simulation.orders import Order, OrderSource
from venues.simulation.rules import SelfTrade


@dataclass(slots=True, kw_only=True, eq=False)
class LiveOrder:
    """An order inside the engine; `price` is None for a market order, which never rests.

    `binds` is whether something must stand behind it as long as it rests.
    """

    order_id: str
    client_order_id: str | None
    account: str
    symbol: str
    side: Side
    price: Ticks | None
    lots: Lots
    remaining: Lots
    time_in_force: TimeInForce
    post_only: bool
    reduce_only: bool
    tag: str | None
    source: OrderSource
    margin_mode: str | None
    created_ns: int
    binds: bool = True
    self_trade: SelfTrade | None = None
    self_trade_wide: bool = False
    filled: Lots = 0
    cost: int = 0
    """Sum of ticks times lots over the fills."""

    def view(self) -> Order:
        """Snapshot for the outside."""
        return Order(
            order_id=self.order_id,
            client_order_id=self.client_order_id,
            account=self.account,
            symbol=self.symbol,
            side=self.side,
            price=self.price or 0,
            lots=self.lots,
            remaining=self.remaining,
            filled=self.filled,
            time_in_force=self.time_in_force,
            post_only=self.post_only,
            reduce_only=self.reduce_only,
            tag=self.tag,
            source=self.source,
            margin_mode=self.margin_mode,
            created_ns=self.created_ns,
        )


@dataclass(slots=True, eq=False)
class Queue:
    """Orders at one price, first come first (a dict keeps insertion order)."""

    orders: dict[str, LiveOrder] = field(default_factory=dict)
    lots: Lots = 0


class BookSide:
    """One side. Prices are kept as `sign * ticks` ascending, so that the best stands last."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self._sign = side.sign
        self._queues: dict[Ticks, Queue] = {}
        self._keys: list[int] = []

    def add(self, order: LiveOrder, price: Ticks) -> None:
        """Put an order at the back of its price's queue."""
        queue = self._queues.get(price)
        if queue is None:
            queue = self._queues[price] = Queue()
            insort(self._keys, price * self._sign)
        queue.orders[order.order_id] = order
        queue.lots += order.remaining

    def reduce(self, order: LiveOrder, lots: Lots) -> None:
        """Take lots off a resting order, which keeps its place; at zero it leaves the book."""
        price = order.price
        if price is None:
            raise ValueError(f"order {order.order_id} has no price, so it cannot rest")
        queue = self._queues[price]
        order.remaining -= lots
        queue.lots -= lots
        if order.remaining == 0:
            del queue.orders[order.order_id]
            if not queue.orders:
                del self._queues[price]
                del self._keys[bisect_left(self._keys, price * self._sign)]

    def grow_last(self, order: LiveOrder, lots: Lots) -> None:
        """Add lots to an order that stands last in its queue, so nobody loses a place."""
        if order.price is None:
            raise ValueError(f"order {order.order_id} has no price, so it cannot rest")
        order.remaining += lots
        order.lots += lots
        self._queues[order.price].lots += lots

    @property
    def best(self) -> Ticks | None:
        """Best price, None when empty."""
        return self._keys[-1] * self._sign if self._keys else None

    def first(self) -> LiveOrder | None:
        """The order that trades next."""
        if not self._keys:
            return None
        return next(iter(self._queues[self._keys[-1] * self._sign].orders.values()))

    def queue(self, price: Ticks) -> Queue | None:
        """Orders at a price, first come first; None when there are none."""
        return self._queues.get(price)

    def levels(self, depth: int | None = None) -> list[Level]:
        """(ticks, lots) aggregated, best first."""
        keys = self._keys if depth is None else self._keys[max(0, len(self._keys) - depth) :]
        sign, queues = self._sign, self._queues
        return [(key * sign, queues[key * sign].lots) for key in reversed(keys)]

    def orders(self, limit: Ticks | None = None) -> Iterator[LiveOrder]:
        """Orders in priority, down to a limit price; the book must not change meanwhile."""
        floor = None if limit is None else limit * self._sign
        for key in reversed(self._keys):
            if floor is not None and key < floor:
                return
            yield from self._queues[key * self._sign].orders.values()


class MatchBook:
    """Both sides of one market and the number of changes they have seen."""

    def __init__(self) -> None:
        self.bids = BookSide(Side.BUY)
        self.asks = BookSide(Side.SELL)
        self.sequence = 0

    def own(self, side: Side) -> BookSide:
        """Where an order of this side rests."""
        return self.bids if side is Side.BUY else self.asks

    def against(self, side: Side) -> BookSide:
        """What an order of this side trades with."""
        return self.asks if side is Side.BUY else self.bids

    def crosses(self, side: Side, price: Ticks | None) -> bool:
        """Whether an order of this side at this price (None: market) would trade now."""
        best = self.against(side).best
        return best is not None and within(side, price, best)


def within(side: Side, limit: Ticks | None, price: Ticks) -> bool:
    """Whether a taker of this side with this limit (None: market) accepts this price."""
    if limit is None:
        return True
    return price <= limit if side is Side.BUY else price >= limit
