"""Positions by the account stream's own word: what one reading held, and every fill told after it.

Readings add nothing later, so a stream that kept something back is found out (zo.md section 3.4).
"""

from collections.abc import Mapping
from decimal import Decimal

from desk.units import Side
from venues.zo.payloads import WireAccount, WireAccountUpdate, WireFill, side_of

_REMEMBERED = 20_000


class Heard:
    """Signed base units by market id, on one connection. Updates must come without a gap."""

    def __init__(self) -> None:
        self._held: dict[int, Decimal] | None = None
        self._sides: dict[int, Side] = {}
        self.update_id = 0
        """Everything up to this number of the venue's own count is in."""
        self.doubted = False
        """Somebody found that it is not right: the stream is to be started anew."""

    def start(self, told: WireAccount) -> None:
        """A reading holds everything up to its number; ValueError for an unreadable order."""
        self._sides = {int(one.order_id): side_of(one.side) for one in told.orders}
        self._held = {
            one.market_id: one.perp.held for one in told.positions if one.perp is not None
        }
        self.update_id = told.update_id

    def forget(self) -> None:
        """The connection is gone."""
        self._held = None
        self.doubted = False

    def take(self, update: WireAccountUpdate) -> None:
        """The next update after `update_id`."""
        for order_id, place in update.places.items():
            if (side := _read(place.side)) is not None:
                self._sides[int(order_id)] = side
        for order_id, fill in update.fills.items():
            self._fill(int(order_id), fill, update.account_id)
        for order_id in update.cancels:
            self._sides.pop(int(order_id), None)
        while len(self._sides) > _REMEMBERED:
            del self._sides[next(iter(self._sides))]
        self.update_id = update.update_id

    @property
    def held(self) -> Mapping[int, Decimal] | None:
        """By market id, None while the stream cannot say."""
        return self._held

    def _fill(self, order_id: int, fill: WireFill, account_id: int) -> None:
        ours = account_id in {fill.maker_id, fill.taker_id}
        if self._held is None or (ours and fill.maker_id == fill.taker_id):
            return
        side = self._side(order_id, fill, account_id)
        if side is None:
            # A fill whose side nobody tells leaves the position unknown.
            self._held = None
            return
        before = self._held.get(fill.market_id, Decimal(0))
        self._held[fill.market_id] = before + side.sign * fill.quantity
        if fill.remaining == 0:
            self._sides.pop(order_id, None)

    def _side(self, order_id: int, fill: WireFill, account_id: int) -> Side | None:
        """Ours: a taker's either way of reading `side`, a maker's from the order it rested as."""
        told = _read(fill.side)
        return told if fill.taker_id == account_id else self._sides.get(order_id, told)


def _read(side: str | None) -> Side | None:
    """None for a word we do not know: the stream's other news must not be lost over it."""
    try:
        return None if side is None else side_of(side)
    except ValueError:
        return None
