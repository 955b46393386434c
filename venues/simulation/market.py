"""One listed market: its book, index, mark and funding. The mark is absent rather than old."""

from collections import deque
from decimal import Decimal

from desk.units import BPS, NS_PER_MS
from venues.simulation.book import MatchBook
from venues.simulation.rules import MarketRules
from venues.simulation.views import FundingView, PublicTrade

_TINY = Decimal("1e-9")


class Market:
    """State of one market. Times are wall nanoseconds."""

    def __init__(self, rules: MarketRules, now_ns: int, public_history: int) -> None:
        self.rules = rules
        self.instrument = rules.instrument
        self.symbol = rules.instrument.symbol
        self.unit = (
            rules.instrument.tick_size * rules.instrument.lot_size * rules.instrument.multiplier
        )
        """Quote currency of one tick times one lot."""
        self.whole = int(1 / rules.instrument.tick_size)
        """Ticks of one quote unit."""
        self.book = MatchBook()
        self.halted = False
        self.expired = False
        self.trades: deque[PublicTrade] = deque(maxlen=public_history)
        self.last_mark: Decimal | None = None
        self.last_rate: Decimal | None = None
        self.next_funding_ns = self._boundary_after(now_ns)
        self._index = rules.index_price
        self._index_ns = now_ns
        self._marked_ns = now_ns
        self._premium_time = Decimal(0)
        self._premium_ns = 0
        self.refresh_mark(now_ns)

    @property
    def tradable(self) -> bool:
        """Whether orders are taken."""
        return not (self.halted or self.expired)

    def set_index(self, price: Decimal | None, now_ns: int) -> None:
        """Take a new index; the mark follows by its rules."""
        self._index = price
        self._index_ns = now_ns
        self.refresh_mark(now_ns)

    def index(self, now_ns: int) -> Decimal | None:
        """The index, None when missing or too old."""
        stale_ms = self.rules.mark.stale_ms
        if stale_ms is not None and now_ns - self._index_ns > stale_ms * NS_PER_MS:
            return None
        return self._index

    def last_index(self) -> Decimal | None:
        """The last index told, whatever its age."""
        return self._index

    def mark(self, now_ns: int) -> Decimal | None:
        """The mark in quote currency, None without a fresh index."""
        return None if self.index(now_ns) is None else self.last_mark

    def refresh_mark(self, now_ns: int) -> None:
        """Move the mark towards its anchor by the time passed."""
        index = self.index(now_ns)
        elapsed_ns = max(0, now_ns - self._marked_ns)
        self._marked_ns = now_ns
        if index is None:
            return
        anchor = self._anchor(index)
        mark = anchor
        if self.last_mark is not None:
            tau_ns = self.rules.mark.smoothing_ms * NS_PER_MS
            moved = Decimal(elapsed_ns) / (elapsed_ns + tau_ns) if tau_ns else Decimal(1)
            mark = self.last_mark + (anchor - self.last_mark) * moved
        reach = index * self.rules.mark.max_distance_bps / BPS
        mark = min(max(mark, index - reach), index + reach)
        self.last_mark = mark.quantize(self.instrument.tick_size / 10)
        self._premium_time += (self.last_mark - index) / index * elapsed_ns
        self._premium_ns += elapsed_ns

    def _anchor(self, index: Decimal) -> Decimal:
        """Where the mark is drawn: the book's mid when healthy and near, else the index."""
        bid, ask = self.book.bids.best, self.book.asks.best
        rules = self.rules.mark
        if bid is None or ask is None:
            return index
        mid = self.instrument.tick_size * (bid + ask) / 2
        near = abs(mid - index) * BPS <= index * rules.max_distance_bps
        narrow = self.instrument.tick_size * (ask - bid) * BPS <= mid * rules.max_spread_bps
        return mid if near and narrow and self._deep(bid, ask, rules.min_depth_lots) else index

    def _deep(self, bid: int, ask: int, lots: int) -> bool:
        bids, asks = self.book.bids.queue(bid), self.book.asks.queue(ask)
        return bids is not None and asks is not None and min(bids.lots, asks.lots) >= lots

    # --- funding ----------------------------------------------------------------------------

    def _boundary_after(self, now_ns: int) -> int:
        interval_ns = self.rules.funding_interval_ms * NS_PER_MS
        return (now_ns // interval_ns + 1) * interval_ns

    def funding_rate(self) -> Decimal:
        """Mean premium of the mark over the index in this interval so far, capped."""
        if not self._premium_ns:
            return Decimal(0)
        cap = self.rules.funding_cap_bps / BPS
        return min(max(self._premium_time / self._premium_ns, -cap), cap).quantize(_TINY)

    def close_funding(self, now_ns: int) -> Decimal | None:
        """End the interval when it is over; the rate to pay, None when there is nothing to pay.

        An interval that ends without a mark is not paid.
        """
        if now_ns < self.next_funding_ns or self.expired:
            return None
        rate = self.funding_rate()
        self._premium_time = Decimal(0)
        self._premium_ns = 0
        self.next_funding_ns = self._boundary_after(now_ns)
        if self.mark(now_ns) is None:
            return None
        self.last_rate = rate
        return rate

    def funding_view(self) -> FundingView:
        """What is shown of funding."""
        return FundingView(
            symbol=self.symbol,
            rate=self.funding_rate(),
            last_rate=self.last_rate,
            interval_ms=self.rules.funding_interval_ms,
            next_at_ms=self.next_funding_ns // NS_PER_MS,
        )
