"""One reading of an account, and what differs in it.

The rule: only what differs in two readings is a difference.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from desk.book_ports import AccountBooks
from desk.orders import Balance
from desk.reconciliation import SourceDifference, authoritative
from desk.sources import SourceView


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the venue said at about one moment, and our books read after it.

    `residuals` is what no trade after the question explains; None where nobody can say. `unpaid`
    is why the books may lack payments. `balance_ms` is when the venue was asked for the balance.
    """

    asked_ms: int
    views: Sequence[SourceView]
    balance: Balance
    balance_ms: int
    books: AccountBooks
    residuals: Mapping[str, Decimal] | None
    unpaid: str = ""

    @property
    def equity_side(self) -> dict[str, object]:
        """The equity as their side keeps it, with when it was read."""
        return {"equity": self.balance.equity, "equity_at_ms": self.balance_ms}

    def foreign(self, ours: Collection[str]) -> list[str]:
        """What is held here and is not ours, by the most authoritative source."""
        word = authoritative(self.views)
        return [] if word is None else sorted(set(word.positions).difference(ours))


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """What differs in a reading: symbols of ours, and sources that contradict each other."""

    symbols: tuple[str, ...] = ()
    sources: tuple[SourceDifference, ...] = ()

    @property
    def places(self) -> frozenset[str | None]:
        """Symbols on which sources differ; None is the equity."""
        return frozenset(one.symbol for one in self.sources)


def both(now: Doubts, before: Doubts) -> Doubts:
    """What differs now as it did before."""
    return Doubts(
        symbols=tuple(one for one in now.symbols if one in before.symbols),
        sources=tuple(one for one in now.sources if one.symbol in before.places),
    )
