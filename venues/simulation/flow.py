"""An invented crowd: a ladder around a moving price and takers of both sides.

It trades through the same engine as everybody; only its money is not counted.
"""

import math
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Protocol

from desk.orders import TimeInForce
from desk.units import NS_PER_MS, NS_PER_S, Lots, Side, Ticks
from venues.simulation.engine import Engine
from venues.simulation.orders import OrderRequest
from venues.simulation.regimes import TRAITS, Regime
from venues.simulation.walks import BP, LoneWalk, Walk

_REFRESH_NS = 100 * NS_PER_MS
_REACH_BPS = 60.0
_REACH_TICKS = 2
_MOST_AT_ONCE = 40
_SHOCK_HASTE = 3.0
_SHOCK_BIAS = 0.9


class Flow(Protocol):
    """The other side of one market."""

    def step(self, now_ns: int) -> None:
        """Advance to a wall time; the first call only sets the stage."""

    def shock(self, bps_per_s: int, direction: int, duration_s: int) -> None:
        """Push the price one way (+1 up, -1 down) from the next step on, for so many seconds."""


def crowd_account(symbol: str) -> str:
    """House account whose orders rest."""
    return f"crowd:{symbol}"


def taker_account(symbol: str) -> str:
    """House account whose orders take."""
    return f"takers:{symbol}"


def no_edge(_taker: Side) -> Ticks:
    """Nobody is offered more than the fair price."""
    return 0


class SyntheticFlow:
    """A seeded crowd in one market. Needs an index price; opens its own house accounts.

    `walk` is where the price goes (None: a walk of its own); `edge` says how many ticks the crowd
    is better than fair just now to takers of a side, on purpose.
    """

    def __init__(
        self,
        engine: Engine,
        symbol: str,
        random: Random,
        regime: Regime,
        *,
        walk: Walk | None = None,
        edge: Callable[[Side], Ticks] = no_edge,
    ) -> None:
        rules = engine.market_rules(symbol)
        index = engine.index(symbol)
        if index is None:
            raise ValueError(f"market {symbol} needs an index price for a synthetic flow")
        self._engine = engine
        self._symbol = symbol
        self._random = random
        self._traits = TRAITS[regime]
        self._instrument = rules.instrument
        self._tick = float(rules.instrument.tick_size)
        self._lot_value = float(rules.instrument.lot_size * rules.instrument.multiplier)
        self._walk = walk or LoneWalk(rules.instrument, index, self._traits, random)
        self._edge = edge
        self._last_ns: int | None = None
        self._refreshed_ns = 0
        self._placed: dict[tuple[Side, Ticks], Lots] = {}
        self._shock_bps = 0.0
        self._shock_left_s = 0.0
        engine.open_account(crowd_account(symbol), Decimal(0), house=True)
        engine.open_account(taker_account(symbol), Decimal(0), house=True)

    def shock(self, bps_per_s: int, direction: int, duration_s: int) -> None:
        """Push the price one way, with takers who follow it; replaces a shock under way."""
        self._shock_bps = float(bps_per_s * (1 if direction > 0 else -1))
        self._shock_left_s = float(duration_s)

    def step(self, now_ns: int) -> None:
        """Move the price, refresh the ladder at most ten times a second, send takers."""
        if self._last_ns is None:
            self._last_ns = now_ns
            self._refresh(now_ns)
            return
        if now_ns <= self._last_ns:
            return
        elapsed_s = (now_ns - self._last_ns) / NS_PER_S
        self._last_ns = now_ns
        self._move(now_ns, elapsed_s)
        if not self._engine.tradable(self._symbol):
            return
        if now_ns - self._refreshed_ns >= _REFRESH_NS:
            self._refresh(now_ns)
        self._take(elapsed_s)
        self._shock_left_s = max(0.0, self._shock_left_s - elapsed_s)

    # --- price ------------------------------------------------------------------------------

    def _move(self, now_ns: int, elapsed_s: float) -> None:
        push = None
        if self._shock_left_s > 0:
            push = self._shock_bps * min(elapsed_s, self._shock_left_s)
        self._walk.move(now_ns, elapsed_s, push)
        self._engine.set_index(self._symbol, self._walk.index)

    # --- resting crowd ----------------------------------------------------------------------

    def _refresh(self, now_ns: int) -> None:
        """Set the ladder; sizes at a price stay as first drawn, and are filled up again."""
        self._refreshed_ns = now_ns
        target = self._ladder()
        gone = [(side, price, 0) for side, price in self._placed.keys() - target.keys()]
        set_to = [(side, price, lots) for (side, price), lots in target.items()]
        self._placed = target
        self._engine.set_levels(crowd_account(self._symbol), self._symbol, gone + set_to)

    def _ladder(self) -> dict[tuple[Side, Ticks], Lots]:
        traits = self._traits
        middle = self._walk.price / self._tick
        half = max(0.5, middle * traits.half_spread_bps * BP)
        spacing = max(1, round(middle * traits.spacing_bps * BP))
        bid = _on_grid(math.floor(middle - half), spacing, Side.BUY)
        ask = _on_grid(math.ceil(middle + half), spacing, Side.SELL)
        low, high = self._band()
        ladder: dict[tuple[Side, Ticks], Lots] = {}
        for side, first in zip((Side.BUY, Side.SELL), self._bettered(bid, ask), strict=True):
            for depth in range(traits.levels):
                price = first - side.sign * depth * spacing
                if low <= price <= high:
                    ladder[side, price] = self._placed.get((side, price)) or self._size(depth)
        return ladder

    def _band(self) -> tuple[Ticks, float]:
        low, high = self._instrument.band_low, self._instrument.band_high
        return max(1, low or 1), math.inf if high is None else high

    def _bettered(self, bid: Ticks, ask: Ticks) -> tuple[Ticks, Ticks]:
        """The best prices with the edge given away; the other side makes room for it."""
        low, high = self._band()
        cheaper, dearer = self._edge(Side.BUY), self._edge(Side.SELL)
        if cheaper:
            ask = max(low, ask - cheaper)
            bid = min(bid, ask - 1)
        if dearer:
            bid = int(min(high, bid + dearer))
            ask = max(ask, bid + 1)
        return bid, ask

    def _size(self, depth: int) -> Lots:
        """Lots of a new level: thin at the front, deeper behind."""
        notional = self._traits.level_notional * (1 + depth / 3) * self._random.uniform(0.5, 1.5)
        return self._lots(notional)

    def _lots(self, notional: float) -> Lots:
        walk = self._walk
        lots = int(notional / (walk.price * self._lot_value * walk.quote_worth))
        return max(lots, self._instrument.min_lots, 1)

    # --- takers -----------------------------------------------------------------------------

    def _take(self, elapsed_s: float) -> None:
        traits, random = self._traits, self._random
        shocked = self._shock_left_s > 0
        haste = _SHOCK_HASTE if shocked else 1.0
        for _ in range(self._count(traits.aggressors_per_s * haste * elapsed_s)):
            side = self._taker_side(shocked=shocked)
            notional = traits.aggressor_notional * (random.paretovariate(1.6) - 0.6)
            self._send(side, self._taker_limit(side), self._lots(notional))
        if shocked or random.random() < traits.informed_per_s * elapsed_s:
            self._pick_off()

    def _taker_limit(self, side: Side) -> Ticks:
        """As far as takers go: two ticks at least, where a tick is a large part of the price."""
        limit = round(self._walk.price * (1 + side.sign * _REACH_BPS * BP) / self._tick)
        least = round(self._walk.price / self._tick) + side.sign * _REACH_TICKS
        return max(limit, least) if side is Side.BUY else min(limit, least)

    def _taker_side(self, *, shocked: bool) -> Side:
        odds = 0.5
        if shocked:
            odds = _SHOCK_BIAS if self._shock_bps > 0 else 1 - _SHOCK_BIAS
        return Side.BUY if self._random.random() < odds else Side.SELL

    def _pick_off(self) -> None:
        """Take whatever rests on the wrong side of the price everybody else knows.

        Not while an edge is given away: that one is for somebody else.
        """
        if self._edge(Side.BUY) or self._edge(Side.SELL):
            return
        lots = self._lots(self._traits.level_notional)
        bids, asks = self._engine.book(self._symbol, 1)
        middle = self._walk.price / self._tick
        if asks and asks[0][0] < middle:
            self._send(Side.BUY, math.floor(middle), lots)
        if bids and bids[0][0] > middle:
            self._send(Side.SELL, math.ceil(middle), lots)

    def _send(self, side: Side, price: Ticks, lots: Lots) -> None:
        request = OrderRequest(
            symbol=self._symbol,
            side=side,
            lots=lots,
            price=max(1, price),
            time_in_force=TimeInForce.IOC,
        )
        self._engine.submit(taker_account(self._symbol), request)

    def _count(self, mean: float) -> int:
        """A Poisson draw, bounded."""
        limit, product, count = math.exp(-min(mean, 20.0)), self._random.random(), 0
        while product > limit and count < _MOST_AT_ONCE:
            product *= self._random.random()
            count += 1
        return count


def _on_grid(price: Ticks, spacing: int, side: Side) -> Ticks:
    """The nearest multiple of the spacing away from the market, so that levels stay put."""
    return price // spacing * spacing if side is Side.BUY else -(-price // spacing) * spacing
