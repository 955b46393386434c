"""What a market looks like without us: its book, touch, mid and volatility.

The venue's book shows our own orders too; a mid that follows them drifts with our own skew.
"""

from decimal import Decimal

from desk.book import Book
from desk.market import FeedEvent
from desk.quoting.decide import QuoteModel
from desk.quoting.view import Depth, View
from desk.quoting.volatility import MinuteReturns
from desk.units import Lots, Side
from quoting.steady import SteadyMid
from quoting.working_orders import WorkingOrders

_SAMPLE_S, _SAMPLES = 1, 10


class Sight:
    """The market as others make it. `mid_x2` is in half ticks, None before there was one."""

    def __init__(
        self, book: Book, model: QuoteModel, orders: WorkingOrders, prior_sigma_bps: Decimal | None
    ) -> None:
        self._book = book
        self._model = model
        self._orders = orders
        self._prior_sigma_bps = prior_sigma_bps
        self._returns = MinuteReturns(sample_s=_SAMPLE_S, min_samples=_SAMPLES)
        self._touch: tuple[int, int] | None = None
        self._depth: Depth | None = None
        self._steady = SteadyMid()
        self.mid_x2: int | None = None

    @property
    def trouble(self) -> str:
        """Why no price can be made now; empty when one can."""
        return "book: nobody but us quotes a side" if self._touch is None else ""

    @property
    def told_ns(self) -> int:
        """When the venue last told its book; that a stream lives tells nothing of the book."""
        return self._book.updated_ns

    @property
    def stood_x2(self) -> int | None:
        """The mid that stood, in half ticks: the one a position is valued at."""
        return self._steady.mid_x2

    def time_goes(self, now_ns: int) -> None:
        """Time passed, and the mid is what it is."""
        self._steady.look(self.mid_x2, now_ns)

    def look(self, event: FeedEvent) -> None:
        """Look anew after the book took an event."""
        bids, asks = self._orders.lots_by_price(Side.BUY), self._orders.lots_by_price(Side.SELL)
        bid = self._book.best_of_others(Side.BUY, bids)
        ask = self._book.best_of_others(Side.SELL, asks)
        self._touch = None if bid is None or ask is None else (bid, ask)
        if bid is not None and ask is not None:
            self.mid_x2, self._depth = bid + ask, self._model.depth(self._book, bids, asks)
            self._returns.observe(bid + ask, event.received_ns)

    def view(self, inventory: Lots) -> View:
        """What prices are made from; only while somebody else quotes both sides."""
        assert self._touch is not None  # noqa: S101 - `trouble` was asked before
        best_bid, best_ask = self._touch
        return View(
            best_bid=best_bid,
            best_ask=best_ask,
            mid_x2=best_bid + best_ask,
            inventory=inventory,
            sigma_bps=self.sigma_bps(),
            depth=self._depth,
        )

    def sigma_bps(self) -> Decimal | None:
        """Volatility of a minute; an earlier session's until there is one of our own."""
        own = self._returns.sigma_bps()
        return self._prior_sigma_bps if own is None else own
