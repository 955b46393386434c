"""Our trades, from the venue's list: the one place where fills get their ids (zo.md section 2.3).

The stream only says that there are some, perhaps several in one figure; the list tells them apart.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from desk.errors import Unresolved
from desk.instrument import Instrument
from desk.orders import Fill, Liquidity
from desk.units import Lots
from venues.zo.config import VENUE
from venues.zo.instruments import Catalog
from venues.zo.known_orders import KnownOrders
from venues.zo.payloads import WireTrade, decode_trades, rfc3339, side_of
from venues.zo.reads import Reads, readable

_OVERLAP_MS = 2_000
_KEPT_PER_MARKET = 500
_SEEN = 50_000
_MAX_PAGES = 400
_ROLES = {"maker": "makerId", "taker": "takerId"}


@dataclass(frozen=True, slots=True)
class OwnTrade:
    """One side of a trade: ours. `fill_id` is unique also when both sides are."""

    trade: WireTrade
    maker: bool

    @property
    def fill_id(self) -> str:
        """Market and trade, and the side when we traded with ourselves."""
        trade = self.trade
        itself = "-t" if trade.maker_id == trade.taker_id and not self.maker else ""
        return f"{trade.market_id}-{trade.trade_id}{itself}"


class OwnTrades:
    """Reads trades of one account. Raises Refused, NotSent or Unresolved."""

    def __init__(
        self,
        *,
        reads: Reads,
        catalog: Catalog,
        known: KnownOrders,
        account: str,
        page: int,
    ) -> None:
        self._reads = reads
        self._catalog = catalog
        self._known = known
        self._account = account
        self._page = page
        self._seen: set[str] = set()
        self._since_ms: dict[str, int] = {}
        self._recent: dict[str, deque[OwnTrade]] = {}
        self._heard: Counter[tuple[str, int]] = Counter()
        self._listed: Counter[tuple[str, int]] = Counter()

    def begin(self, since_ms: int) -> None:
        """Read from here on, unless older reading leads further; nothing was heard so far."""
        for role in _ROLES:
            self._since_ms.setdefault(role, since_ms)
        self._heard.clear()
        self._listed.clear()

    def expect(self, order_id: int | None, market_id: int, lots: Lots, *, whole: bool) -> None:
        """The stream told of a fill: of an order resting before (`whole`: all of it so far)...

        ...or, without an order id, of what we took on a market.
        """
        key = ("taker", market_id) if order_id is None else ("maker", order_id)
        self._heard[key] = max(lots, self._heard[key]) if whole else self._heard[key] + lots

    @property
    def missing(self) -> set[str]:
        """Roles in which a fill was heard that is not listed yet."""
        return {key[0] for key, lots in self._heard.items() if self._listed[key] < lots}

    async def fresh(self, account_id: int) -> list[OwnTrade]:
        """Trades not seen before, oldest first: of the missing roles, of both if none is."""
        fresh: list[OwnTrade] = []
        for role in self.missing or set(_ROLES):
            since_ms = self._since_ms.get(role, 0)
            found = await self._read(role, account_id, since_ms, None)
            fresh += [one for one in found if one.fill_id not in self._seen]
            newest_ms = max((one.trade.traded_ms for one in found), default=0)
            self._since_ms[role] = max(since_ms, newest_ms - _OVERLAP_MS)
        fresh.sort(key=_age)
        for one in fresh:
            self._remember(one)
        return fresh

    def recent(self, symbol: str) -> Sequence[OwnTrade]:
        """The last trades of a market, oldest first."""
        return tuple(self._recent.get(symbol, ()))

    async def since(self, account_id: int, market_id: int, since_ms: int) -> list[OwnTrade]:
        """Every trade of a market since then, oldest first, all pages."""
        found = [
            one
            for role in _ROLES
            for one in await self._read(role, account_id, since_ms, market_id)
        ]
        return sorted(found, key=_age)

    def fills(self, trades: Iterable[OwnTrade], instrument: Instrument) -> tuple[Fill, ...]:
        """Fills of this market among them; ValueError when one is off the grid."""
        market = self._catalog.of(instrument)
        return tuple(
            self._fill(one, instrument) for one in trades if one.trade.market_id == market.market_id
        )

    def _fill(self, one: OwnTrade, instrument: Instrument) -> Fill:
        trade, market = one.trade, self._catalog.of(instrument)
        price, lots = market.prices[trade.price], market.sizes[trade.base_size]
        side = side_of(trade.taker_side)
        order_id = int(trade.order_id) if one.maker else None
        known = None if order_id is None else self._known.get(order_id)
        taken = None if one.maker else self._known.taker(int(trade.action_id))
        return Fill(
            venue=VENUE,
            account=self._account,
            symbol=instrument.symbol,
            trade_id=one.fill_id,
            side=side.opposite if one.maker else side,
            price=price,
            lots=lots,
            liquidity=Liquidity.MAKER if one.maker else Liquidity.TAKER,
            fee=instrument.fee(price, lots, maker=one.maker),
            fee_estimated=True,
            traded_at_ms=trade.traded_ms,
            client_order_id=taken if known is None else known.client_id,
            venue_order_id=None if order_id is None else str(order_id),
        )

    def _remember(self, one: OwnTrade) -> None:
        self._seen.add(one.fill_id)
        market = self._catalog.by_id(one.trade.market_id)
        if market is None:
            return
        kept = self._recent.setdefault(market.symbol, deque(maxlen=_KEPT_PER_MARKET))
        kept.append(one)
        lots = market.sizes.floor(one.trade.base_size)
        if one.maker:
            order_id = int(one.trade.order_id)
            self._listed["maker", order_id] += lots
            known = self._known.get(order_id)
            if known is not None:
                known.filled = max(known.filled, self._listed["maker", order_id])
        else:
            self._listed["taker", one.trade.market_id] += lots
        if len(self._seen) > _SEEN:
            self._seen = {kept.fill_id for trades in self._recent.values() for kept in trades}

    async def _read(
        self, role: str, account_id: int, since_ms: int, market_id: int | None
    ) -> list[OwnTrade]:
        params: dict[str, str | int] = {
            _ROLES[role]: account_id,
            "since": rfc3339(since_ms),
            "pageSize": self._page,
        }
        if market_id is not None:
            params["marketId"] = market_id
        listed = [OwnTrade(one, maker=role == "maker") for one in await self._pages(params)]
        # A page may repeat what a trade in between pushed on from the page before.
        found = {one.fill_id: one for one in listed}
        return readable("trades", lambda _: sorted(found.values(), key=_age), b"")

    async def _pages(self, params: dict[str, str | int]) -> list[WireTrade]:
        """A page is the last only when it says so, however full it is (zo.md section 2.5)."""
        found: list[WireTrade] = []
        for _ in range(_MAX_PAGES):
            page = await self._reads.json("trades", decode_trades, params=params)
            found += page.items
            if page.next_start_inclusive is None:
                return found
            params = {**params, "startInclusive": page.next_start_inclusive}
        raise Unresolved(f"trades: more than {_MAX_PAGES} pages")


def _age(one: OwnTrade) -> tuple[int, int, str]:
    return one.trade.traded_ms, int(one.trade.action_id), str(one.trade.trade_id)
