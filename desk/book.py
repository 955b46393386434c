"""One market's order book, kept from snapshots and deltas in integer ticks and lots.

A book that cannot be trusted shows nothing: after any problem it is empty until a snapshot.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum

from desk.market import BookDelta, BookSnapshot
from desk.units import Level, Lots, Side, Ticks

_SHARE = Decimal("0.0001")


class BookProblem(StrEnum):
    """Why an event was refused and the book emptied."""

    NO_SNAPSHOT = "no_snapshot"
    GAP = "gap"
    CROSSED = "crossed"


class Book:
    """Both sides of one market. Neither side may be read while `ready` is False: all is None.

    `depth` is the number of levels per side the venue keeps us informed of; what falls out of
    that window is forgotten after each event, for its later changes are not told. A side without
    levels is no problem: the best price is None. Bids and asks are kept as an ascending list of
    signed prices (asks negated), so that the best is the last and changes near it move little.
    """

    __slots__ = (
        "_ask_order",
        "_asks",
        "_bid_order",
        "_bids",
        "_depth",
        "_sequence",
        "ready",
        "updated_ns",
    )

    def __init__(self, depth: int | None = None) -> None:
        self.ready = False
        self.updated_ns = 0
        self._depth = depth
        self._sequence: int | None = None
        self._bids: dict[int, Lots] = {}
        self._asks: dict[int, Lots] = {}
        self._bid_order: list[int] = []
        self._ask_order: list[int] = []

    def apply(self, event: BookSnapshot | BookDelta) -> BookProblem | None:
        """Take one event whole; the problem it showed, if any, has emptied the book.

        A delta already contained in the book (its sequence is not above the last) changes
        nothing, not even `updated_ns`. Without sequence numbers nothing can be checked.
        """
        if isinstance(event, BookSnapshot):
            self._replace(event)
        elif not self.ready:
            return BookProblem.NO_SNAPSHOT
        elif self._contains(event):
            return None
        elif self._leaves_gap(event):
            self.clear()
            return BookProblem.GAP
        else:
            self._change(event)
        if self._depth is not None:
            _trim(self._bids, self._bid_order, self._depth)
            _trim(self._asks, self._ask_order, self._depth)
        if self._bid_order and self._ask_order and self._bid_order[-1] >= -self._ask_order[-1]:
            self.clear()
            return BookProblem.CROSSED
        self.updated_ns = event.received_ns
        return None

    def clear(self) -> None:
        """Forget everything; nothing is shown until the next snapshot."""
        self.ready = False
        self._sequence = None
        self._bids.clear()
        self._asks.clear()
        self._bid_order.clear()
        self._ask_order.clear()

    @property
    def sequence(self) -> int | None:
        """The venue's number of the last event taken, if it numbers them."""
        return self._sequence

    @property
    def best_bid(self) -> Ticks | None:
        """Highest bid."""
        return self._bid_order[-1] if self._bid_order else None

    @property
    def best_ask(self) -> Ticks | None:
        """Lowest ask."""
        return -self._ask_order[-1] if self._ask_order else None

    @property
    def mid_x2(self) -> int | None:
        """Best bid plus best ask: the mid in half ticks, never rounded; None if a side is empty."""
        if not self._bid_order or not self._ask_order:
            return None
        return self._bid_order[-1] - self._ask_order[-1]

    @property
    def spread(self) -> Ticks | None:
        """Best ask less best bid, at least one tick; None if a side is empty."""
        if not self._bid_order or not self._ask_order:
            return None
        return -self._ask_order[-1] - self._bid_order[-1]

    def age_ns(self, now_ns: int) -> int | None:
        """Time since the last event taken; None while not ready."""
        return now_ns - self.updated_ns if self.ready else None

    def levels(self, side: Side, depth: int | None = None) -> tuple[Level, ...]:
        """The best `depth` levels of a side (all of them for None), best first."""
        order, sizes, sign = self._side(side)
        chosen = order[::-1] if depth is None else order[: -depth - 1 : -1]
        return tuple((sign * key, sizes[key]) for key in chosen)

    def lots_at(self, side: Side, price: Ticks) -> Lots:
        """Lots shown at a price; zero where none are."""
        _, sizes, sign = self._side(side)
        return sizes.get(sign * price, 0)

    def best_of_others(self, side: Side, own: Mapping[Ticks, Lots]) -> Ticks | None:
        """Best price of a side where more rests than our own lots; None when there is none.

        The venue's book contains our orders. A mid taken from them follows our own skew.
        """
        order, sizes, sign = self._side(side)
        for key in reversed(order):
            if sizes[key] > own.get(sign * key, 0):
                return sign * key
        return None

    def of_others(self, side: Side, own: Mapping[Ticks, Lots], depth: int) -> tuple[Level, ...]:
        """The best `depth` levels of a side as others made them, best first: our lots taken out."""
        order, sizes, sign = self._side(side)
        found: list[Level] = []
        for key in reversed(order):
            if len(found) == depth:
                break
            price = sign * key
            lots = sizes[key] - own.get(price, 0)
            if lots > 0:
                found.append((price, lots))
        return tuple(found)

    def imbalance(self, depth: int) -> Decimal | None:
        """(bids - asks) / (bids + asks) by lots over the best `depth` (1 or more) levels.

        Between -1 and 1, to four places; None when both sides are empty.
        """
        bids = sum(self._bids[key] for key in self._bid_order[-depth:])
        asks = sum(self._asks[key] for key in self._ask_order[-depth:])
        if not bids + asks:
            return None
        return (Decimal(bids - asks) / (bids + asks)).quantize(_SHARE)

    def _side(self, side: Side) -> tuple[list[int], dict[int, Lots], int]:
        if side is Side.BUY:
            return self._bid_order, self._bids, 1
        return self._ask_order, self._asks, -1

    def _replace(self, event: BookSnapshot) -> None:
        self._bids = {price: lots for price, lots in event.bids if lots > 0}
        self._asks = {-price: lots for price, lots in event.asks if lots > 0}
        self._bid_order = sorted(self._bids)
        self._ask_order = sorted(self._asks)
        self._sequence = event.sequence
        self.ready = True

    def _change(self, event: BookDelta) -> None:
        _merge(event.bids, self._bids, self._bid_order)
        _merge_negated(event.asks, self._asks, self._ask_order)
        if event.sequence is not None:
            self._sequence = event.sequence

    def _contains(self, event: BookDelta) -> bool:
        return (
            self._sequence is not None
            and event.sequence is not None
            and event.sequence <= self._sequence
        )

    def _leaves_gap(self, event: BookDelta) -> bool:
        if self._sequence is None:
            return False
        if event.previous is not None:
            return event.previous != self._sequence
        return event.sequence is not None and event.sequence != self._sequence + 1


def _merge(levels: Sequence[Level], sizes: dict[int, Lots], order: list[int]) -> None:
    for price, lots in levels:
        if lots > 0:
            if price not in sizes:
                insort(order, price)
            sizes[price] = lots
        elif price in sizes:
            del sizes[price]
            del order[bisect_left(order, price)]


def _merge_negated(levels: Sequence[Level], sizes: dict[int, Lots], order: list[int]) -> None:
    # The same as _merge on -price, written out: building negated pairs would double its cost.
    for price, lots in levels:
        key = -price
        if lots > 0:
            if key not in sizes:
                insort(order, key)
            sizes[key] = lots
        elif key in sizes:
            del sizes[key]
            del order[bisect_left(order, key)]


def _trim(sizes: dict[int, Lots], order: list[int], depth: int) -> None:
    excess = len(order) - depth
    if excess > 0:
        for key in order[:excess]:
            del sizes[key]
        del order[:excess]
