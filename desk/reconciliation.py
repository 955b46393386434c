"""Compares our books with a venue's word on one account: orders, positions, sources, equity.

The rule: what happened between two reads is no difference. An order counts when two readings
agree, a position when no moment near the reading explains it, money when it is off twice.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from desk.book_ports import AccountBooks, BookedOrder
from desk.identity import MarketId, OrderIdentity
from desk.instrument import Instrument
from desk.orders import Fill
from desk.ownership import Resting
from desk.sources import SourceView
from desk.units import BPS, Lots

OrderKey: TypeAlias = tuple[str, str]
"""Symbol and client order id."""

_ZERO = Decimal(0)
_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_LATE = 2.5


# --- orders ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersReading:
    """Orders of ours as the venue listed them, and what rests by the books read right after."""

    listed: frozenset[OrderKey]
    booked: frozenset[OrderKey]

    @property
    def ghosts(self) -> frozenset[OrderKey]:
        """In our books only."""
        return self.booked - self.listed

    @property
    def orphans(self) -> frozenset[OrderKey]:
        """At the venue only."""
        return self.listed - self.booked

    @property
    def known(self) -> frozenset[OrderKey]:
        """On both sides."""
        return self.listed & self.booked


def orders_reading(
    resting: Mapping[MarketId, Resting], booked: Iterable[BookedOrder], ours: Collection[str]
) -> OrdersReading:
    """One reading of an account; `ours` are symbols that this deployment ever quoted."""
    return OrdersReading(
        listed=frozenset(
            (market.symbol, str(order.client_order_id))
            for market, seen in resting.items()
            if market.symbol in ours
            for order in seen.ours
        ),
        booked=frozenset((order.symbol, order.client_order_id) for order in booked),
    )


def twice(first: OrdersReading, second: OrdersReading) -> OrdersReading:
    """What both readings show; what moved between them is on both sides, so it does not differ."""
    ghosts = first.ghosts & second.ghosts
    orphans = first.orphans & second.orphans
    known = first.known & second.known
    return OrdersReading(listed=known | orphans, booked=known | ghosts)


def overtaken(listed: Collection[OrderKey]) -> frozenset[OrderKey]:
    """Orders of an epoch below the highest that rests in their market.

    A session clears what older epochs left before it places its first order, so these are
    nobody's.
    """
    epochs = {key: _epoch(key[1]) for key in listed}
    newest: dict[str, int] = {}
    for (symbol, _), epoch in epochs.items():
        newest[symbol] = max(epoch, newest.get(symbol, 0))
    return frozenset(key for key, epoch in epochs.items() if epoch < newest[key[0]])


def living(keys: Collection[OrderKey], epochs: Mapping[str, int]) -> frozenset[OrderKey]:
    """Orders of the epochs that quote now, by symbol, or of newer ones."""
    return frozenset(key for key in keys if key[0] in epochs and _epoch(key[1]) >= epochs[key[0]])


def by_symbol(keys: Iterable[OrderKey]) -> Mapping[str, tuple[str, ...]]:
    """Sorted ids of each symbol, symbols sorted."""
    found: dict[str, list[str]] = {}
    for symbol, client_order_id in sorted(keys):
        found.setdefault(symbol, []).append(client_order_id)
    return {symbol: tuple(ids) for symbol, ids in found.items()}


def _epoch(client_order_id: str) -> int:
    identity = OrderIdentity.decode(client_order_id)
    return 0 if identity is None else identity.epoch


# --- fills and positions ---------------------------------------------------------------------


def missed(history: Sequence[Fill], booked: Iterable[Fill], *, until_ms: int) -> tuple[Fill, ...]:
    """Fills of the venue's history that are not booked, those younger than `until_ms` left out."""
    known = {fill.trade_id for fill in booked}
    return tuple(
        fill for fill in history if fill.trade_id not in known and fill.traded_at_ms <= until_ms
    )


def steps_back(instrument: Instrument, fills: Sequence[Fill]) -> frozenset[Decimal]:
    """How far from now a position may be read: sums of the last fills, none of them included.

    `fills` are oldest first; a reading that missed the last n of them is off by their sum.
    """
    found, total = {_ZERO}, _ZERO
    for fill in reversed(fills):
        total += instrument.quantity(fill.side.sign * fill.lots)
        found.add(total)
    return frozenset(found)


def position_agrees(ours: Decimal, theirs: Decimal, steps: Collection[Decimal]) -> bool:
    """Whether the venue's figure is what our books said at one moment of the reading."""
    return any(theirs == ours - step for step in steps)


def standing_residual(
    instrument: Instrument, ours: Decimal, theirs: Decimal, fills: Iterable[Fill], asked_ms: int
) -> Decimal:
    """What is left between the sides once the trades after the question are taken off ours.

    A reading that raced a trade leaves nothing, or now this and now that; books that are wrong
    leave the same each time.
    """
    later = sum(fill.side.sign * fill.lots for fill in fills if fill.traded_at_ms > asked_ms)
    return ours - instrument.quantity(later) - theirs


def positions_apart(
    ours: Mapping[str, Decimal],
    theirs: Mapping[str, Decimal],
    symbols: Iterable[str],
    steps: Mapping[str, Collection[Decimal]] | None = None,
) -> tuple[str, ...]:
    """Symbols, in order, whose figures no moment of the reading explains."""
    return tuple(
        symbol
        for symbol in sorted(symbols)
        if not position_agrees(
            ours.get(symbol, _ZERO),
            theirs.get(symbol, _ZERO),
            (steps or {}).get(symbol, (_ZERO,)),
        )
    )


def quantities(
    positions: Mapping[str, Lots], instruments: Mapping[str, Instrument]
) -> Mapping[str, Decimal]:
    """Signed base units by symbol; symbols that nobody lists are left out."""
    return {
        symbol: instruments[symbol].quantity(lots)
        for symbol, lots in positions.items()
        if symbol in instruments
    }


def authoritative(views: Sequence[SourceView]) -> SourceView | None:
    """The view whose word counts; None when no source could say."""
    return max(views, key=lambda view: view.source.authority, default=None)


def turns(symbols: Sequence[str], after: str, most: int) -> tuple[str, ...]:
    """At most so many of the sorted symbols: those after the one whose turn was last, round."""
    if len(symbols) <= most:
        return tuple(symbols)
    begin = bisect_right(symbols, after)
    return tuple((*symbols, *symbols)[begin : begin + most])


# --- sources ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDifference:
    """Two sources that differ on one symbol, or on the equity (`symbol` None)."""

    symbol: str | None
    right: SourceView
    wrong: SourceView

    @property
    def sentence(self) -> str:
        """Both words, the one that counts first."""
        return (
            f"{self.right.source.name} says {self._says(self.right)} and "
            f"{self.wrong.source.name} {self._says(self.wrong)}"
        )

    def _says(self, view: SourceView) -> str:
        if self.symbol is None:
            return f"equity {view.equity}"
        return f"{view.positions.get(self.symbol, 0)} lots of {self.symbol}"


def source_differences(
    views: Sequence[SourceView],
    steps: Mapping[str, Collection[Lots]] | None = None,
    *,
    equity_tolerance: Decimal,
) -> tuple[SourceDifference, ...]:
    """Where a source contradicts the authoritative one.

    `steps` are, by symbol, sums of the last fills in lots: two views may differ by what was
    traded between them.
    """
    right = authoritative(views)
    if right is None:
        return ()
    found = []
    for view in views:
        if view is right:
            continue
        for symbol in sorted({*right.positions, *view.positions}):
            apart = right.positions.get(symbol, 0) - view.positions.get(symbol, 0)
            if apart not in _between((steps or {}).get(symbol, (0,))):
                found.append(SourceDifference(symbol=symbol, right=right, wrong=view))
        if (
            right.equity is not None
            and view.equity is not None
            and abs(right.equity - view.equity) > equity_tolerance
        ):
            found.append(SourceDifference(symbol=None, right=right, wrong=view))
    return tuple(found)


def _between(steps: Collection[Lots]) -> frozenset[Lots]:
    return frozenset(one - other for one in (0, *steps) for other in (0, *steps))


# --- equity ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far the venue's equity may be from what our books expect, in quote currency.

    `amount` always, and `bps` of the unsigned worth of all positions: a venue values them at its
    mark, we at the last mid. Where a venue does not tell funding, `untold_bps` of that worth are
    allowed for each day since the anchor.
    """

    amount: Decimal = Decimal(1)
    bps: Decimal = Decimal(50)
    untold_bps: Decimal = Decimal(10)

    def allowed(self, exposure: Decimal, untold: Decimal) -> Decimal:
        """The largest difference that is none."""
        return self.amount + exposure * self.bps / BPS + untold


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Equity and books at the first comparison, from where both must go together.

    `untold` is what funding that nobody tells may have moved since, `seen_ms` until when;
    `accepted` is the sum of what anchors taken anew took for such funding.
    """

    equity: Decimal
    pnl: Decimal
    transfers: Decimal
    adjusted: Decimal
    at_ms: int
    seen_ms: int
    untold: Decimal = _ZERO
    accepted: Decimal = _ZERO

    @classmethod
    def at(cls, equity: Decimal, books: AccountBooks, now_ms: int) -> "Anchor":
        """Begin here."""
        return cls(
            equity=equity,
            pnl=books.pnl,
            transfers=books.transfers,
            adjusted=books.adjusted,
            at_ms=now_ms,
            seen_ms=now_ms,
        )

    def expected(self, books: AccountBooks) -> Decimal:
        """What the venue's equity has to be: every change of the books and nothing else."""
        return (
            self.equity
            + (books.pnl - self.pnl)
            + (books.transfers - self.transfers)
            + (books.adjusted - self.adjusted)
        )

    def until(self, now_ms: int, exposure: Decimal, untold_bps: Decimal) -> "Anchor":
        """The same anchor, allowing for funding that nobody told of until now."""
        days = Decimal(max(0, now_ms - self.seen_ms)) / _DAY_MS
        return replace(
            self, seen_ms=now_ms, untold=self.untold + exposure * untold_bps / BPS * days
        )

    def due(self, now_ms: int) -> bool:
        """Whether it is to be taken anew: a day old where funding is not told; once an hour."""
        hour = now_ms // _HOUR_MS != self.seen_ms // _HOUR_MS
        return bool(self.untold) and hour and now_ms - self.at_ms >= _DAY_MS

    def anew(self, equity: Decimal, books: AccountBooks, now_ms: int) -> "Anchor | None":
        """An anchor here; None while funding nobody told cannot be all that is left between.

        So all that is ever accepted stays below what such funding may have been.
        """
        left = equity - self.expected(books)
        if abs(left) > self.untold:
            return None
        return replace(Anchor.at(equity, books, now_ms), accepted=self.accepted + left)


# --- history ---------------------------------------------------------------------------------


def gap_ms(last_began_ms: int | None, began_ms: int, every_ms: int) -> int:
    """How long nobody compared, when runs are missing between the last and this one; else 0."""
    if last_began_ms is None or began_ms - last_began_ms <= _LATE * every_ms:
        return 0
    return began_ms - last_began_ms
