"""Gives every fill one id, the same on the stream and on REST, though OCX may give none.

The id is the market, the time, the side, the price, the quantity, and how many equal fills came
before it; equal fills within one millisecond are told apart by that count alone.
"""

from collections import Counter, deque
from collections.abc import Iterable
from decimal import Decimal
from typing import TypeAlias

from desk.instrument import Instrument
from desk.orders import Fill, Liquidity
from desk.units import Side
from venues.ocx.config import VENUE
from venues.ocx.grid import Grid
from venues.ocx.wire import WireTrade, liquidity_of, side_of

Numbered: TypeAlias = tuple[str, WireTrade]
"""A trade with its id."""

_KEPT_PER_MARKET = 500
_SEEN = 50_000


def number(trades: Iterable[WireTrade], *, by_venue: bool) -> list[Numbered]:
    """Ids for a list that is complete from its first millisecond on, oldest first."""
    counts: Counter[str] = Counter()
    found = []
    for trade in trades:
        base = _base(trade)
        found.append((_id(trade, base, counts[base], by_venue=by_venue), trade))
        counts[base] += 1
    return found


class RecentTrades:
    """What the user stream told so far, per market; markets nobody asked for are kept too."""

    def __init__(self, *, by_venue: bool) -> None:
        self._by_venue = by_venue
        self._counts: dict[str, int] = {}
        self._ids: set[str] = set()
        self._recent: dict[str, deque[Numbered]] = {}

    def snapshot(self, trades: Iterable[WireTrade]) -> list[Numbered]:
        """Take in a snapshot, which repeats trades; gives the ones not seen before."""
        ordered = sorted(trades, key=lambda trade: trade.created_ms)
        told = number(ordered, by_venue=self._by_venue)
        for base, count in Counter(_base(trade) for trade in ordered).items():
            self._counts[base] = max(count, self._counts.get(base, 0))
        return self._remember(told)

    def change(self, trades: Iterable[WireTrade]) -> list[Numbered]:
        """Take in newly seen trades, none of which was told before."""
        told = []
        for trade in sorted(trades, key=lambda trade: trade.created_ms):
            base = _base(trade)
            count = self._counts.get(base, 0)
            told.append((_id(trade, base, count, by_venue=self._by_venue), trade))
            self._counts[base] = count + 1
        return self._remember(told)

    def recent(self, symbol: str) -> tuple[Numbered, ...]:
        """The last trades of a market, oldest first."""
        return tuple(self._recent.get(symbol, ()))

    def _remember(self, told: list[Numbered]) -> list[Numbered]:
        fresh = [one for one in told if one[0] not in self._ids]
        for one in fresh:
            self._ids.add(one[0])
            kept = self._recent.setdefault(one[1].market_id, deque(maxlen=_KEPT_PER_MARKET))
            kept.append(one)
        if len(self._ids) > _SEEN:
            self._shrink()
        return fresh

    def _shrink(self) -> None:
        """Forget what no snapshot can repeat any more: all but the kept trades."""
        kept = [one for trades in self._recent.values() for one in trades]
        bases = {_base(trade) for _, trade in kept}
        self._ids = {trade_id for trade_id, _ in kept}
        self._counts = {base: n for base, n in self._counts.items() if base in bases}


def fill_of(
    numbered: Numbered, instrument: Instrument, account: str, grids: tuple[Grid, Grid]
) -> Fill:
    """The desk's fill; the fee comes from the tier when the venue gives none.

    ValueError when a price or a quantity is off the grid.
    """
    trade_id, trade = numbered
    price, lots = grids[0][trade.price], grids[1][trade.quantity]
    liquidity = liquidity_of(trade.liquidity)
    estimate = instrument.fee(price, lots, maker=liquidity is Liquidity.MAKER)
    return Fill(
        venue=VENUE,
        account=account,
        symbol=trade.market_id,
        trade_id=trade_id,
        side=side_of(trade.side),
        price=price,
        lots=lots,
        liquidity=liquidity,
        fee=estimate if trade.fee is None else Decimal(trade.fee),
        fee_estimated=trade.fee is None,
        traded_at_ms=trade.created_ms,
        client_order_id=trade.client_order_id,
        venue_order_id=trade.order_id,
    )


def _base(trade: WireTrade) -> str:
    side = "b" if side_of(trade.side) is Side.BUY else "s"
    price, quantity = _plain(trade.price), _plain(trade.quantity)
    return f"{trade.market_id}:{trade.created_ms}:{side}:{price}:{quantity}"


def _id(trade: WireTrade, base: str, count: int, *, by_venue: bool) -> str:
    given = trade.trade_id or trade.id
    return given if by_venue and given else f"{base}:{count}"


def _plain(number: str) -> str:
    return format(Decimal(number).normalize(), "f")
