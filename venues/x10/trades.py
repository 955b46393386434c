"""Our fills: told once each by the venue's trade id, kept a while for who listens later.

The account stream names our order, REST does not; what we know of an order's id fills that in.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from decimal import Decimal

from desk.errors import OutOfReach
from desk.instrument import Instrument
from desk.orders import Fill, Liquidity
from venues.x10.config import VENUE
from venues.x10.grid import Grid
from venues.x10.reads import Params, Reads
from venues.x10.wire import Reply, WireTrade, decode_trades, side_of

_KEPT_PER_MARKET = 500
_REMEMBERED = 50_000
_LONGEST_HISTORY = 10_000
"""The venue lists no more rows than this (section 4.1)."""


class OrderNames:
    """External ids by venue order id, of the last orders we heard of."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def learn(self, venue_id: str, name: str) -> None:
        """Remember one, and forget the oldest when there are too many."""
        self._names[venue_id] = name
        if len(self._names) > _REMEMBERED:
            self._names.pop(next(iter(self._names)))

    def of(self, trade: WireTrade) -> str | None:
        """Our id of the order that a fill belongs to."""
        if trade.external_order_id:
            return trade.external_order_id
        return None if trade.order_id is None else self._names.get(str(trade.order_id))


class RecentTrades:
    """Fills heard so far, per market; markets nobody asked for are kept too."""

    def __init__(self) -> None:
        self._seen: dict[int, None] = {}
        self._recent: dict[str, deque[WireTrade]] = {}
        self.last_id: int | None = None

    def add(self, trades: Iterable[WireTrade]) -> list[WireTrade]:
        """Take fills in; gives those not seen before, oldest first."""
        fresh = []
        for trade in sorted(trades, key=_order):
            if trade.id in self._seen:
                continue
            self._seen[trade.id] = None
            fresh.append(trade)
            kept = self._recent.setdefault(trade.market, deque(maxlen=_KEPT_PER_MARKET))
            kept.append(trade)
            self.last_id = max(trade.id, self.last_id or 0)
        while len(self._seen) > _REMEMBERED:
            self._seen.pop(next(iter(self._seen)))
        return fresh

    def recent(self, symbol: str) -> tuple[WireTrade, ...]:
        """The last fills of a market, oldest first."""
        return tuple(self._recent.get(symbol, ()))


class History:
    """Pages through `/user/trades`, newest first, by the last id of the page before."""

    def __init__(self, *, reads: Reads, page: int) -> None:
        self._reads = reads
        self._page = page

    async def back_to_id(self, known: int | None) -> list[WireTrade]:
        """All fills of the account newer than a known id; one page when none is known.

        Raises Refused, NotSent or Unresolved; OutOfReach where the venue lists no more.
        """
        return await self._back({}, known=known, since_ms=None)

    async def since(self, symbol: str, since_ms: int) -> list[WireTrade]:
        """Fills of one market since a venue time, oldest first. Raises as `back_to_id` does."""
        found = await self._back({"market": symbol}, known=None, since_ms=since_ms)
        mine = {
            one.id: one for one in found if one.market == symbol and one.created_time >= since_ms
        }
        return sorted(mine.values(), key=_order)

    async def _back(
        self, scope: Params, *, known: int | None, since_ms: int | None
    ) -> list[WireTrade]:
        found: list[WireTrade] = []
        cursor: int | None = None
        while True:
            page = await self._one(scope, cursor)
            found += page.data
            if known is None and since_ms is None:
                return found
            if not page.data or _reaches(page.data, known=known, since_ms=since_ms):
                return found
            if len(found) >= _LONGEST_HISTORY:
                raise OutOfReach(
                    "own trades: the venue's history ends before the time asked for",
                    whole_since_ms([one.created_time for one in found]),
                )
            last = page.pagination.cursor if page.pagination is not None else None
            last = min(one.id for one in page.data) if last is None else last
            if last == cursor:
                return found
            cursor = last

    async def _one(self, scope: Params, cursor: int | None) -> Reply[list[WireTrade]]:
        params = {**scope, "limit": self._page}
        if cursor is not None:
            params["cursor"] = cursor
        return await self._reads.get("/user/trades", decode_trades, params)


def fill_of(
    trade: WireTrade,
    instrument: Instrument,
    account: str,
    *,
    grids: tuple[Grid, Grid],
    name: str | None,
) -> Fill:
    """The desk's fill; the fee comes from the rate when the venue gives none.

    ValueError when a price or a quantity is off the grid.
    """
    price, lots = grids[0][trade.price], grids[1].read(trade.qty)
    liquidity = Liquidity.TAKER if trade.is_taker else Liquidity.MAKER
    estimate = instrument.fee(price, lots, maker=liquidity is Liquidity.MAKER)
    return Fill(
        venue=VENUE,
        account=account,
        symbol=trade.market,
        trade_id=str(trade.id),
        side=side_of(trade.side),
        price=price,
        lots=lots,
        liquidity=liquidity,
        fee=estimate if trade.fee is None else Decimal(trade.fee),
        fee_estimated=trade.fee is None,
        traded_at_ms=trade.created_time,
        client_order_id=name,
        venue_order_id=None if trade.order_id is None else str(trade.order_id),
    )


def whole_since_ms(times: Sequence[int]) -> int:
    """From when on a history is whole whose newest rows have these times, newest first.

    A tenth is left out, so that rows that come meanwhile do not push it out of reach again.
    """
    return times[len(times) * 9 // 10]


def _order(trade: WireTrade) -> tuple[int, int]:
    return trade.created_time, trade.id


def _reaches(page: list[WireTrade], *, known: int | None, since_ms: int | None) -> bool:
    if known is not None and min(one.id for one in page) <= known:
        return True
    return since_ms is not None and min(one.created_time for one in page) < since_ms
