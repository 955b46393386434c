"""What streams tell: a whole state first, then the difference since the last look.

A source is looked at on a timer, so changes between two looks merge into one.
"""

from typing import Any, Protocol

from desk.units import Level
from venues.ocx.simulator import shapes
from venues.ocx.simulator.world import World
from venues.simulation.faults import FaultKind, Site
from venues.simulation.views import AccountTrade


class Source(Protocol):
    """One stream's content; `symbol` is the market it lives and dies with, if any."""

    symbol: str | None
    snapshot_type: str
    change_name: str
    change_type: str
    with_id: bool

    def snapshot(self) -> dict[str, Any]:
        """The whole state; later changes count from here."""
        ...

    def changes(self) -> dict[str, Any] | None:
        """What differs since the last look, None when nothing does."""
        ...


class BookSource:
    """One market's book to a depth."""

    snapshot_type = "PerpBookSnapshot"
    change_name = "update"
    change_type = "PerpBookUpdate"

    def __init__(self, world: World, symbol: str, depth: int) -> None:
        self.symbol: str | None = symbol
        self.with_id = world.settings.streams.book_ids
        self._world = world
        self._instrument = world.instrument(symbol)
        self._depth = depth
        self._market = symbol
        self._sequence = -1
        self._sides: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def snapshot(self) -> dict[str, Any]:
        """Both sides to the depth."""
        bids, asks = self._look()
        self._sides = (dict(bids), dict(asks))
        return {
            "marketId": self._market,
            "bids": shapes.levels(self._instrument, bids),
            "asks": shapes.levels(self._instrument, asks),
        }

    def changes(self) -> dict[str, Any] | None:
        """Changed levels of both sides; size "0" removes."""
        if self._world.engine.book_sequence(self._market) == self._sequence:
            return None
        bids, asks = self._look()
        changed_bids = self._difference(self._sides[0], bids, sign=1)
        changed_asks = self._difference(self._sides[1], asks, sign=-1)
        self._sides = (dict(bids), dict(asks))
        if not changed_bids and not changed_asks:
            return None
        return {"marketId": self._market, "bids": changed_bids, "asks": changed_asks}

    def _look(self) -> tuple[list[Level], list[Level]]:
        self._sequence = self._world.engine.book_sequence(self._market)
        return self._world.engine.book(self._market, self._depth)

    def _difference(
        self, old: dict[int, int], side: list[Level], *, sign: int
    ) -> list[dict[str, str]]:
        changed, total, shown = [], 0, set()
        for ticks, lots in side:
            total += lots
            shown.add(ticks)
            if old.get(ticks) != lots:
                changed.append(shapes.level(self._instrument, ticks, lots, total))
        full = len(side) >= self._depth
        keep = full and not self._world.settings.streams.zero_when_leaving_window
        worst = side[-1][0] if side else 0
        changed.extend(
            shapes.level(self._instrument, ticks, 0, 0)
            for ticks in old
            if ticks not in shown and not (keep and ticks * sign < worst * sign)
        )
        return changed


class UserSource:
    """One account's fills and positions, in all markets or in one."""

    snapshot_type = "PerpStreamSnapshot"
    change_name = "delta"
    change_type = "PerpStreamDelta"
    with_id = False

    def __init__(
        self, world: World, account: str, *, open_only: bool, site: Site, market: str | None = None
    ) -> None:
        self.symbol = market
        self._world = world
        self._account = account
        self._open_only = open_only
        self._site = site
        self._version = -1
        self._since_ms = 0
        self._told: set[str] = set()
        self._positions: dict[str, dict[str, Any]] = {}

    def snapshot(self) -> dict[str, Any]:
        """Recent fills and the positions."""
        trades = self._unseen_from(0, frozenset())
        self._advance(trades)
        fault = self._world.faults.take(self._site, FaultKind.SNAPSHOT_OMITS_TRADES)
        if fault is not None:
            trades = trades[: -fault.trades]
        kept = self._world.settings.streams.trades_in_snapshot
        self._positions = self._look()
        return {
            "trades": self._shown(trades[-kept:] if kept else []),
            "positions": list(self._positions.values()),
        }

    def changes(self) -> dict[str, Any] | None:
        """New fills, changed positions, and ids of positions that are no more."""
        world = self._world
        if world.versions.get(self._account, 0) == self._version or world.held(self._account):
            return None
        trades = self._unseen_from(self._since_ms, self._told)
        self._advance(trades)
        positions = self._look()
        upserts = [shown for key, shown in positions.items() if self._positions.get(key) != shown]
        removed = [key for key in self._positions if key not in positions]
        self._positions = positions
        if not (trades or upserts or removed):
            return None
        return {"trades": self._shown(trades), "positions": upserts, "removedIds": removed}

    def _unseen_from(self, since_ms: int, told: set[str] | frozenset[str]) -> list[AccountTrade]:
        self._version = self._world.versions.get(self._account, 0)
        trades = self._world.engine.trades(self._account, self.symbol, since_ms)
        return [one for one in trades if one.trade_id not in told]

    def _advance(self, trades: list[AccountTrade]) -> None:
        if not trades:
            return
        latest = trades[-1].at_ms
        if latest > self._since_ms:
            self._told.clear()
        self._since_ms = latest
        self._told.update(one.trade_id for one in trades if one.at_ms == latest)

    def _look(self) -> dict[str, dict[str, Any]]:
        engine = self._world.engine
        symbols = list(self._world.markets) if self.symbol is None else [self.symbol]
        views = [engine.position(self._account, symbol) for symbol in symbols]
        return {
            view.position_id: shapes.position(engine.market_rules(view.symbol).instrument, view)
            for view in views
            if view.position_id and (view.lots or not self._open_only)
        }

    def _shown(self, trades: list[AccountTrade]) -> list[dict[str, Any]]:
        ids = self._world.settings.streams.fill_ids
        rules = self._world.engine.market_rules
        return [
            shapes.stream_trade(rules(one.symbol).instrument, one, ids=ids)
            for one in trades
            if not self._world.untold.hides(one.trade_id)
        ]


class MarketSource:
    """One market's book with the account's fills and position there."""

    snapshot_type = "PerpStreamSnapshot"
    change_name = "delta"
    change_type = "PerpStreamDelta"
    with_id = False

    def __init__(self, book: BookSource, user: UserSource) -> None:
        self.symbol = book.symbol
        self._book = book
        self._user = user

    def snapshot(self) -> dict[str, Any]:
        """Book, recent fills, positions."""
        book = self._book.snapshot()
        return {"marketId": self.symbol, "orderbook": _sides(book), **self._user.snapshot()}

    def changes(self) -> dict[str, Any] | None:
        """Whatever of the three changed; the others are empty."""
        book, user = self._book.changes(), self._user.changes()
        if book is None and user is None:
            return None
        return {
            "marketId": self.symbol,
            "orderbook": _sides(book or {"bids": [], "asks": []}),
            **(user or {"trades": [], "positions": [], "removedIds": []}),
        }


def _sides(book: dict[str, Any]) -> dict[str, Any]:
    return {"bids": book["bids"], "asks": book["asks"]}
