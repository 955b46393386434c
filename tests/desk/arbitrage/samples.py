"""Sets, books and rules as the tests of arbitrage need them."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from desk.arbitrage.freshness import LegBook
from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage.sets import Member, OutcomeSet, Triangle, outcome_set, triangles
from desk.book import Book
from desk.identity import MarketId
from desk.instrument import Instrument, Settlement
from desk.market import BookSnapshot
from desk.units import NS_PER_S, Level

NOW = 100 * NS_PER_S
CENT = Decimal("0.01")
RULES = ArbitrageRules(
    max_units=Decimal(1_000),
    max_capital=Decimal(1_000),
    max_exposure=Decimal(1_000),
    min_edge=Decimal("0.01"),
    slippage_bps=Decimal(0),
    fast_slippage_bps=Decimal(0),
)


def outcome(number: int, outcomes: int = 3, *, venue: str = "ocx", **changes: Any) -> Member:
    fields: dict[str, Any] = {
        "venue": venue,
        "symbol": f"E-{number}",
        "tick_size": CENT,
        "lot_size": Decimal(1),
        "base": f"E-{number}",
        "quote": "USDC",
        "settlement": Settlement(event="E", outcome=str(number), outcomes=outcomes),
    }
    return MarketId(venue, "main", f"E-{number}"), Instrument(**fields | changes)


def outcomes(*changes: dict[str, Any], count: int = 3) -> OutcomeSet:
    each = changes or ({},) * count
    return outcome_set("E", [outcome(i, len(each), **one) for i, one in enumerate(each)])


def pair(base: str, quote: str, **changes: Any) -> Member:
    symbol = f"{base}-{quote}-SPOT"
    fields: dict[str, Any] = {
        "venue": "ocx",
        "symbol": symbol,
        "tick_size": CENT,
        "lot_size": CENT,
        "base": base,
        "quote": quote,
    }
    return MarketId("ocx", "main", symbol), Instrument(**fields | changes)


PAIRS = (
    pair("BTC", "USDC"),
    pair("ETH", "USDC"),
    pair("ETH", "BTC", tick_size=Decimal("0.0001")),
)


def both_ways(*members: Member) -> tuple[Triangle, Triangle]:
    return triangles("T", members or PAIRS)


def book(bids: Sequence[Level], asks: Sequence[Level], at_ns: int = NOW) -> Book:
    found = Book()
    found.apply(BookSnapshot(bids=bids, asks=asks, sequence=None, received_ns=at_ns))
    return found


def seen(bids: Sequence[Level], asks: Sequence[Level], at_ns: int = NOW) -> LegBook:
    return LegBook(book=book(bids, asks, at_ns), heard_ns=at_ns)


def asked(*levels: Sequence[Level], bid: int = 1) -> list[LegBook]:
    """Books with these asks, and a deep bid far below."""
    return [seen([(bid, 1_000_000)], one) for one in levels]
