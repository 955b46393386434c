"""One leg's market as it is now: its book, what its account told, and whether it may be traded.

The rule: every fill heard is handed to the ledger at once, and one that the books did not know
makes the leg unsure until they were read again.
"""

from collections.abc import Iterable

from desk.arbitrage.freshness import LegBook
from desk.book import Book
from desk.identity import OrderIdentity
from desk.instrument import Instrument
from desk.market import FeedAlive, FeedEvent
from desk.orders import AccountChange, AccountEvent, AccountSnapshot, Fill
from desk.risk.context import GateContext, GateLimits
from desk.risk.limits import RiskLimits
from desk.risk.order_rate import OrderRate
from desk.units import Lots
from quoting.arbitrage.ports import LegMarket, SetPorts
from quoting.health import Health
from quoting.journal import record_fill


class LiveLeg:
    """State of one leg for as long as a run lasts. `position` is the ledger's, fills heard added.

    `changes` counts what was heard of the book, so that two moments can be told apart.

    `strange` once a fill came that no order of ours made: the venue itself may have closed it.
    `dispossessed` once its lease is certainly not ours any more.
    """

    def __init__(self, leg: LegMarket, limits: RiskLimits, ports: SetPorts) -> None:
        self.market = leg.market
        self.venue = leg.venue
        self.epoch = leg.epoch
        self.permit = leg.permit
        self.instrument = leg.instrument
        self.book = Book()
        self.rate = OrderRate()
        self.position: Lots = 0
        self.changes = 0
        self.strange = False
        self.dispossessed = False
        self._limits = limits
        self._compiled = GateLimits.of(leg.instrument, limits)
        self._ports = ports
        self._health = Health(self.book, limits)
        self._heard_ns = 0
        self._known: set[str] = set()
        self._unknown: set[str] = set()
        self._told: Lots | None = None
        self._told_ns = 0

    @property
    def seen(self) -> LegBook:
        """The book, and when it was last heard to be as it is."""
        return LegBook(book=self.book, heard_ns=max(self._heard_ns, self.book.updated_ns))

    @property
    def heard(self) -> bool:
        """Whether its account was heard, and its book too where it is traded."""
        return bool(self._health.account_heard_ns) and (
            self.book.ready or not self.instrument.active
        )

    @property
    def surprised(self) -> bool:
        """Whether a fill was heard that the books, as last read, do not hold."""
        return bool(self._unknown)

    @property
    def doubted(self) -> bool:
        """Whether the venue last told another position; one that was on its way may do so."""
        return self._told not in {None, self.position}

    def hear_feed(self, event: FeedEvent) -> bool:
        """Take one event; False when it says that the book stands as it is."""
        if problem := self._health.feed(event):
            self.venue.feed.resnapshot(self.instrument.symbol, problem)
        if isinstance(event, FeedAlive):
            self._heard_ns = event.received_ns
            return False
        self.changes += 1
        return True

    def hear_account(self, event: AccountEvent) -> None:
        """Take one event; its fills are with the ledger's writer when this returns."""
        self._health.account(event)
        if isinstance(event, AccountSnapshot):
            # What it repeats is mostly old: its position says whether anything is missing.
            self._known.update(fill.trade_id for fill in self._recorded(event.fills))
            self._tell(event.position.lots, event.received_ns)
        elif isinstance(event, AccountChange):
            for fill in self._recorded(event.fills):
                if fill.trade_id not in self._known:
                    self._known.add(fill.trade_id)
                    self._unknown.add(fill.trade_id)
                    self.position += fill.side.sign * fill.lots
            if event.position is not None:
                self._tell(event.position.lots, event.received_ns)

    def learn(self, position: Lots, fills: Iterable[Fill], read_ns: int) -> None:
        """The books were read: ledger and venue agree on `position`, which holds these fills.

        What the account told after `read_ns` (monotonic) stands beside it.
        """
        booked = {fill.trade_id for fill in fills}
        self._known |= booked
        self._unknown -= booked
        self.position = position
        if self._told_ns <= read_ns:
            self._told = None

    def relist(self, instrument: Instrument) -> None:
        """The venue lists it like this now."""
        self.instrument = instrument
        self._compiled = GateLimits.of(instrument, self._limits)
        self.strange = False

    def trouble(self, now_ns: int) -> str:
        """Why its book or account may not be acted by, empty when both are fresh."""
        return self._health.trouble(now_ns)

    def context(self, now_ns: int) -> GateContext:
        """What the gate judges an order by."""
        return GateContext(
            limits=self._compiled,
            mid_x2=self.book.mid_x2 or 0,
            book_age_ns=self.book.age_ns(now_ns),
            account_age_ns=now_ns - self._health.account_heard_ns,
            position=self.position,
            working=(),
            orders_last_minute=self.rate.last_minute(now_ns),
        )

    def _tell(self, lots: Lots, at_ns: int) -> None:
        self._told, self._told_ns = lots, at_ns

    def _recorded(self, fills: Iterable[Fill]) -> Iterable[Fill]:
        mid_x2, instrument = self.book.mid_x2, self.instrument
        mid = None if mid_x2 is None else instrument.tick_size * mid_x2 / 2
        for fill in fills:
            record_fill(self._ports.writer, self.market, instrument, fill, mid)
            if OrderIdentity.decode(fill.client_order_id or "") is None:
                self.strange = True
            yield fill
