"""What an account holds: money, positions, its own orders and trades.

Cost is kept in whole ticks times lots, so no rounding can make or lose money.
"""

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

from desk.instrument import Instrument
from desk.units import Lots, Side, Ticks
from venues.simulation.book import LiveOrder
from venues.simulation.offers import Offers
from venues.simulation.views import AccountPayment, AccountTrade, Bucket

ZERO = Decimal(0)


@dataclass(slots=True, kw_only=True, eq=False)
class Holding:
    """One account in one market.

    `cost` is ticks times lots paid for the open position (signed like `lots`). `offers` is what its
    resting orders that need something behind them still offer.
    """

    account: str
    symbol: str
    unit: Decimal
    """Quote currency of one tick times one lot."""
    lots: Lots = 0
    cost: int = 0
    opened: int = 0
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    offers: Offers = field(default_factory=Offers)
    orders: dict[str, LiveOrder] = field(default_factory=dict)
    reduce_only: set[str] = field(default_factory=set)
    initial_margin: Decimal | None = None
    """Fraction of notional chosen for this market (leverage); None: the market's own."""
    updated_ms: int = 0

    @property
    def position_id(self) -> str:
        """Name of the current (or last) position, "" before the first."""
        return f"p-{self.account}-{self.symbol}-{self.opened}" if self.opened else ""

    def entry_ticks(self) -> Decimal | None:
        """Average entry in ticks; None when flat."""
        return Decimal(self.cost) / self.lots if self.lots else None

    def apply(self, side: Side, price: Ticks, lots: Lots, at_ms: int) -> Decimal:
        """Book a fill; returns the PnL it realized in quote currency, before fees."""
        before, change = self.lots, side.sign * lots
        self.updated_ms = at_ms
        if before == 0 or before * change > 0:
            self.opened += before == 0
            self.lots += change
            self.cost += change * price
            return ZERO
        closing = min(lots, abs(before)) * side.sign
        released = self.cost * -closing // before
        self.cost -= released
        self.lots += closing
        gain = -closing * price - released
        if change != closing:
            self.opened += 1
            self.lots = change - closing
            self.cost = self.lots * price
        realized = self.unit * gain
        self.realized += realized
        return realized

    def reducible(self, side: Side) -> Lots:
        """Lots an order of this side may trade before the position is flat."""
        return max(0, -self.lots * side.sign)

    def enter(self, order: LiveOrder) -> None:
        """Count a resting order."""
        self.orders[order.order_id] = order
        if order.reduce_only:
            self.reduce_only.add(order.order_id)
        if order.binds:
            self.offers.add(order.side, order.price or 0, order.remaining)

    def offered(self, order: LiveOrder, lots: Lots) -> None:
        """Count a change of a resting order's open lots; drop it when nothing remains."""
        if order.binds:
            self.offers.add(order.side, order.price or 0, lots)
        if order.remaining == 0:
            del self.orders[order.order_id]
            self.reduce_only.discard(order.order_id)

    def exposure(self, bids: Lots = 0, asks: Lots = 0) -> Lots:
        """Largest position, unsigned, if one side's resting orders all fill (larger side)."""
        offers = self.offers
        return max(abs(self.lots + offers.bids + bids), abs(self.lots - offers.asks - asks))


class Account:
    """Money and everything that moves it. A house account has no limits and keeps no history."""

    def __init__(
        self,
        name: str,
        collateral: Decimal,
        wallet: Decimal,
        *,
        owner: str,
        cash: str,
        house: bool,
        history: int,
        remembered: int | None,
    ) -> None:
        self.name = name
        self.owner = owner
        self.cash = cash
        self.house = house
        self.timer_ns: int | None = None
        self.buckets = dict.fromkeys(Bucket, ZERO)
        self.buckets[Bucket.PERPS] = collateral
        self.buckets[Bucket.WALLET] = wallet
        self.assets: dict[str, Decimal] = {}
        """Currencies owned but for `cash`, which lies in the spot bucket."""
        self.holdings: dict[str, Holding] = {}
        self.orders: dict[str, LiveOrder] = {}
        self.by_client_id: dict[str, LiveOrder] = {}
        self.trades: deque[AccountTrade] = deque(maxlen=0 if house else history)
        self.payments: deque[AccountPayment] = deque(maxlen=0 if house else history)
        self._used: dict[str, None] = {}
        self._remembered = remembered

    @property
    def collateral(self) -> Decimal:
        """The perps bucket."""
        return self.buckets[Bucket.PERPS]

    def credit(self, amount: Decimal) -> None:
        """Change the perps bucket."""
        self.buckets[Bucket.PERPS] += amount

    def owned(self, currency: str) -> Decimal:
        """How much of a currency lies in the spot bucket."""
        if currency == self.cash:
            return self.buckets[Bucket.SPOT]
        return self.assets.get(currency, ZERO)

    def own(self, currency: str, amount: Decimal) -> None:
        """Change how much of a currency lies in the spot bucket."""
        if currency == self.cash:
            self.buckets[Bucket.SPOT] += amount
        else:
            self.assets[currency] = self.assets.get(currency, ZERO) + amount

    def holding(self, instrument: Instrument) -> Holding:
        """The holding in a market, made at first use."""
        found = self.holdings.get(instrument.symbol)
        if found is None:
            unit = instrument.tick_size * instrument.lot_size * instrument.multiplier
            found = Holding(account=self.name, symbol=instrument.symbol, unit=unit)
            self.holdings[instrument.symbol] = found
        return found

    def used(self, client_order_id: str) -> bool:
        """Whether an accepted order of this account ever had this id."""
        return client_order_id in self._used

    def use(self, client_order_id: str) -> None:
        """Remember an id; the oldest is forgotten when a bound is set and reached."""
        self._used[client_order_id] = None
        if self._remembered is not None and len(self._used) > self._remembered:
            del self._used[next(iter(self._used))]

    def resting(
        self,
        symbol: str | None = None,
        order_id: str | None = None,
        client_order_id: str | None = None,
    ) -> list[LiveOrder]:
        """Resting orders that match, oldest first, through the narrowest index."""
        pool: dict[str, LiveOrder] = self.orders
        if symbol is not None:
            holding = self.holdings.get(symbol)
            pool = {} if holding is None else holding.orders
        if client_order_id is not None:
            named = self.by_client_id.get(client_order_id)
            pool = {named.order_id: named} if named and named.order_id in pool else {}
        if order_id is not None:
            return [pool[order_id]] if order_id in pool else []
        return list(pool.values())

    def enter(self, order: LiveOrder) -> None:
        """Index a resting order."""
        self.orders[order.order_id] = order
        if order.client_order_id is not None:
            self.by_client_id[order.client_order_id] = order
        self.holdings[order.symbol].enter(order)

    def offered(self, order: LiveOrder, lots: Lots) -> None:
        """Keep the indexes when a resting order's open lots changed by so many."""
        self.holdings[order.symbol].offered(order, lots)
        if order.remaining == 0:
            del self.orders[order.order_id]
            if order.client_order_id is not None:
                self.by_client_id.pop(order.client_order_id, None)
