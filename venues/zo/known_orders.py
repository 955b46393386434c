"""Which engine order belongs to which of our client order ids, as answers and lists told.

What a stream says of an order before we know it is kept until we do.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from desk.units import Lots

_KEPT = 8_192


@dataclass(slots=True)
class KnownOrder:
    """One order of ours at the engine. `filled` are lots known to be filled so far."""

    order_id: int
    client_id: str
    symbol: str
    lots: Lots
    known_ns: int
    filled: Lots = 0
    open: bool = True


class KnownOrders:
    """Orders by engine id, and by market and client order id. Ended ones are kept for a while.

    Foreign client order ids are plain numbers, and two markets may use the same one.
    """

    def __init__(self, *, kept: int = _KEPT) -> None:
        self._kept = kept
        self._by_id: dict[int, KnownOrder] = {}
        self._by_client: dict[tuple[str, str], KnownOrder] = {}
        self._ended_early: dict[int, Lots | None] = {}
        self._takers: dict[int, str | None] = {}

    def posted(
        self, order_id: int, client_id: str, symbol: str, lots: Lots, now_ns: int
    ) -> KnownOrder:
        """An order rests, of so many lots in all; ended already if a stream said so before."""
        known = self._by_id.get(order_id)
        if known is None:
            known = KnownOrder(order_id, client_id, symbol, lots, now_ns)
            self._by_id[order_id] = self._by_client[symbol, client_id] = known
            if order_id in self._ended_early:
                self._end(known, self._ended_early.pop(order_id))
            self._shrink()
        return known

    def took(self, action_id: int, client_ids: Iterable[str]) -> None:
        """An action of ours traded at once; its orders, if it was not only one, stay unnamed."""
        names = tuple(client_ids)
        self._takers[action_id] = names[0] if len(names) == 1 else None
        _bound(self._takers, self._kept)

    def ended(self, order_id: int, left: Lots | None) -> KnownOrder | None:
        """An order rests no more; so many lots were left of it (None: unknown)."""
        known = self._by_id.get(order_id)
        if known is None:
            self._ended_early[order_id] = left
            _bound(self._ended_early, self._kept)
            return None
        self._end(known, left)
        return known

    def get(self, order_id: int) -> KnownOrder | None:
        """Order with this engine id."""
        return self._by_id.get(order_id)

    def named(self, symbol: str, client_id: str) -> KnownOrder | None:
        """Order of a market with this client order id."""
        return self._by_client.get((symbol, client_id))

    def taker(self, action_id: int) -> str | None:
        """Client order id of what traded at once in an action, where that is certain."""
        return self._takers.get(action_id)

    def open(self, before_ns: int) -> list[KnownOrder]:
        """Orders believed to rest that were known before a moment."""
        return [one for one in self._by_id.values() if one.open and one.known_ns < before_ns]

    def _end(self, known: KnownOrder, left: Lots | None) -> None:
        known.open = False
        if left is not None:
            known.filled = max(known.filled, known.lots - left)

    def _shrink(self) -> None:
        if len(self._by_id) <= self._kept:
            return
        gone = next((one for one in self._by_id.values() if not one.open), None)
        if gone is not None:
            del self._by_id[gone.order_id]
            name = gone.symbol, gone.client_id
            if self._by_client.get(name) is gone:
                del self._by_client[name]


def _bound(mapping: dict[int, Lots | None] | dict[int, str | None], kept: int) -> None:
    while len(mapping) > kept:
        del mapping[next(iter(mapping))]
