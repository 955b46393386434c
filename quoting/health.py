"""Is what we see fresh enough to quote by? Judged by data age, not only by the socket."""

from desk.book import Book
from desk.market import BookDelta, BookSnapshot, FeedAlive, FeedEvent, FeedLost
from desk.orders import AccountEvent, AccountLost, AccountSnapshot
from desk.risk.limits import RiskLimits
from desk.units import NS_PER_MS


class Health:
    """Freshness of one market's book and of the account stream."""

    def __init__(self, book: Book, limits: RiskLimits) -> None:
        self._book = book
        self._max_book_ns = limits.max_book_age_ms * NS_PER_MS
        self._max_account_ns = limits.max_account_age_ms * NS_PER_MS
        self._feed_trouble = "no book yet"
        self._account_trouble = "no account snapshot yet"
        self.account_heard_ns = 0

    def feed(self, event: FeedEvent) -> str | None:
        """Take a feed event; a sentence when the book must be asked for anew."""
        match event:
            case BookSnapshot() | BookDelta():
                problem = self._book.apply(event)
                if problem is None:
                    self._feed_trouble = "" if self._book.ready else self._feed_trouble
                    return None
                self._feed_trouble = f"book: {problem.value}"
                return self._feed_trouble
            case FeedLost():
                self._book.clear()
                self._feed_trouble = f"feed lost: {event.reason}"
            case FeedAlive():
                pass
        return None

    def account(self, event: AccountEvent) -> None:
        """Take an account event."""
        match event:
            case AccountLost():
                self._account_trouble = f"account stream lost: {event.reason}"
            case AccountSnapshot():
                self._account_trouble = ""
                self.account_heard_ns = event.received_ns
            case _:
                self.account_heard_ns = event.received_ns

    def trouble(self, now_ns: int) -> str:
        """Why nothing may be quoted, empty when all is fresh."""
        if self._feed_trouble:
            return self._feed_trouble
        if self._account_trouble:
            return self._account_trouble
        if self._book.best_bid is None or self._book.best_ask is None:
            return "book: a side is empty"
        age_ns = self._book.age_ns(now_ns)
        if age_ns is None or age_ns > self._max_book_ns:
            return f"book: no change for {(age_ns or 0) // NS_PER_MS} ms"
        silent_ns = now_ns - self.account_heard_ns
        if silent_ns > self._max_account_ns:
            return f"account stream: silent for {silent_ns // NS_PER_MS} ms"
        return ""
