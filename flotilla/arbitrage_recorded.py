"""Recorded outcome sets as books under two watches, one without costs and one with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache

from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage.sets import outcome_set
from desk.arbitrage.verdicts import Passed, PassReason
from desk.arbitrage.watch import SetWatch
from desk.book import Book, BookProblem
from desk.identity import MarketId
from desk.instrument import Instrument, Settlement
from desk.market import BookDelta, BookSnapshot
from desk.units import NS_PER_MS, Level
from venues.simulation.recorded_sets import BookChange, Poll

_ZERO = Decimal(0)
_MUCH = Decimal(10**12)
_ONE_LOT = 1
_VENUE, _ACCOUNT, _QUOTE = "recorded", "scan", "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanTerms:
    """Costs and guards of a scan. Every edge above zero counts, of any size."""

    taker_fee_bps: Decimal = _ZERO
    slippage_bps: Decimal = _ZERO
    max_skew_ms: int = 500
    max_age_ms: int = 5_000

    def rules(self, slippage_bps: Decimal) -> ArbitrageRules:
        """Rules without caps; fees are in the instruments."""
        return ArbitrageRules(
            max_units=_MUCH,
            max_capital=_MUCH,
            max_exposure=_MUCH,
            min_edge=_ZERO,
            slippage_bps=slippage_bps,
            fast_slippage_bps=slippage_bps,
            max_age_ms=self.max_age_ms,
            max_skew_ms=self.max_skew_ms,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """Edges of one unit of a set at the best prices, before and after costs; None without a side.

    `passed` is why the watch would not buy it now, costs apart; None when it would. `hidden`: a
    book was told with its bid at or above its ask and is not used.
    """

    buying: Fraction | None
    selling: Fraction | None
    buying_net: Fraction | None
    selling_net: Fraction | None
    passed: PassReason | None
    hidden: bool


class RecordedSets:
    """Sets (name to outcomes) whose books follow a recording.

    A book told crossed is not used; of a recording of changes it is empty until its next snapshot.
    """

    def __init__(
        self, sets: Mapping[str, Sequence[str]], tick: Decimal, lot: Decimal, terms: ScanTerms
    ) -> None:
        self._sets = sets
        self._ticks = cache(lambda text: int(Decimal(text) / tick))
        self._lots = cache(lambda text: int(Decimal(text) / lot))
        self._markets = {
            (name, outcome): MarketId(_VENUE, _ACCOUNT, f"{name}:{outcome}")
            for name, outcomes in sets.items()
            for outcome in outcomes
        }
        self._books = {market: Book() for market in self._markets.values()}
        self._told: dict[MarketId, tuple[str | None, str | None]] = {}
        self._crossed: set[MarketId] = set()
        self._free, self._costed = SetWatch(self._books), SetWatch(self._books)
        fee = terms.taker_fee_bps
        for name in sets:
            self._free.add(
                outcome_set(name, self._members(name, tick, lot, _ZERO)), terms.rules(_ZERO)
            )
            self._costed.add(
                outcome_set(name, self._members(name, tick, lot, fee)),
                terms.rules(terms.slippage_bps),
            )

    def poll(self, poll: Poll) -> None:
        """Take a poll whole; an outcome it does not name is not quoted at that time."""
        at_ns = poll.at_ms * NS_PER_MS
        missing = set(self._sets[poll.name])
        for outcome, bid, ask in poll.quotes:
            missing.discard(outcome)
            market = self._markets[poll.name, outcome]
            if self._told.get(market) == (bid, ask):
                # The same whole book once more: only its time is new.
                self._books[market].updated_ns = at_ns
                continue
            self._told[market] = bid, ask
            bids, asks = self._best(bid), self._best(ask)
            self._take(market, BookSnapshot(bids=bids, asks=asks, sequence=None, received_ns=at_ns))
        for outcome in missing:
            market = self._markets[poll.name, outcome]
            if self._told.pop(market, None) is not None:
                self._books[market].clear()
                self._crossed.discard(market)
                self._changed(market, at_ns)

    def change(self, change: BookChange) -> None:
        """Take a change of one outcome's book."""
        market = self._markets[change.name, change.outcome]
        bids = tuple((self._ticks(price), self._lots(size)) for price, size in change.bids)
        asks = tuple((self._ticks(price), self._lots(size)) for price, size in change.asks)
        if change.whole:
            event: BookSnapshot | BookDelta = BookSnapshot(
                bids=bids, asks=asks, sequence=None, received_ns=change.at_ns
            )
        else:
            event = BookDelta(
                bids=bids, asks=asks, sequence=None, previous=None, received_ns=change.at_ns
            )
        self._take(market, event)

    def glance(self, name: str, now_ns: int) -> Glance:
        """How a set looks now."""
        ((buying, selling),) = self._free.edges(name)
        ((buying_net, selling_net),) = self._costed.edges(name)
        passed = None
        if buying is not None and buying > 0:
            (verdict,) = self._free.look(name, now_ns)
            passed = verdict.reason if isinstance(verdict, Passed) else None
        return Glance(
            buying=buying,
            selling=selling,
            buying_net=buying_net,
            selling_net=selling_net,
            passed=passed,
            hidden=any(self._markets[name, each] in self._crossed for each in self._sets[name]),
        )

    def _take(self, market: MarketId, event: BookSnapshot | BookDelta) -> None:
        if self._books[market].apply(event) is BookProblem.CROSSED:
            self._crossed.add(market)
        elif self._books[market].ready:
            self._crossed.discard(market)
        self._changed(market, event.received_ns)

    def _changed(self, market: MarketId, at_ns: int) -> None:
        self._free.changed(market, at_ns)
        self._costed.changed(market, at_ns)

    def _best(self, price: str | None) -> tuple[Level, ...]:
        return () if price is None else ((self._ticks(price), _ONE_LOT),)

    def _members(
        self, name: str, tick: Decimal, lot: Decimal, fee: Decimal
    ) -> list[tuple[MarketId, Instrument]]:
        outcomes = self._sets[name]
        return [
            (
                self._markets[name, outcome],
                Instrument(
                    venue=_VENUE,
                    symbol=f"{name}:{outcome}",
                    tick_size=tick,
                    lot_size=lot,
                    taker_fee_bps=fee,
                    quote=_QUOTE,
                    settlement=Settlement(event=name, outcome=outcome, outcomes=len(outcomes)),
                ),
            )
            for outcome in outcomes
        ]
