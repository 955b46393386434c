"""What everybody may know of past trades: last price, day's range and volume, and bars.

Fed by the engine's events; keeps one bar a minute for at most ninety days.
"""

from dataclasses import dataclass
from decimal import Decimal

MINUTE_S = 60
_KEPT_MINUTES = 90 * 1440


@dataclass(slots=True, kw_only=True)
class Bar:
    """Open, high, low, close in quote currency; volume in base units; `start_s` unix seconds."""

    start_s: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal

    def add(self, price: Decimal, quantity: Decimal) -> None:
        """Count one trade."""
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.close = price
        self.volume += quantity
        self.turnover += price * quantity

    def merge(self, later: "Bar") -> None:
        """Take in the bar that follows."""
        self.high, self.low = max(self.high, later.high), min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume
        self.turnover += later.turnover


class Tape:
    """Bars of one market."""

    def __init__(self) -> None:
        self._bars: dict[int, Bar] = {}

    def add(self, at_s: int, price: Decimal, quantity: Decimal) -> None:
        """Count one trade at a unix second."""
        start = at_s - at_s % MINUTE_S
        bar = self._bars.get(start)
        if bar is not None:
            bar.add(price, quantity)
            return
        self._bars[start] = _bar(start, price, quantity)
        if len(self._bars) > _KEPT_MINUTES:
            del self._bars[next(iter(self._bars))]

    def bars(self, start_s: int, end_s: int, width_s: int) -> list[Bar]:
        """Bars of `width_s` seconds that begin in [start, end]; empty minutes give none."""
        merged: dict[int, Bar] = {}
        for bar in self._bars.values():
            start = bar.start_s - bar.start_s % width_s
            if not start_s <= start <= end_s:
                continue
            known = merged.get(start)
            if known is None:
                merged[start] = _copy(bar, start)
            else:
                known.merge(bar)
        return list(merged.values())

    def day(self, now_s: int) -> Bar | None:
        """The last 24 hours as one bar, None without a trade."""
        whole: Bar | None = None
        for bar in self.bars(now_s - 86_400, now_s, MINUTE_S):
            if whole is None:
                whole = bar
            else:
                whole.merge(bar)
        return whole


def _bar(start_s: int, price: Decimal, quantity: Decimal) -> Bar:
    return Bar(
        start_s=start_s,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=quantity,
        turnover=price * quantity,
    )


def _copy(bar: Bar, start_s: int) -> Bar:
    return Bar(
        start_s=start_s,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume=bar.volume,
        turnover=bar.turnover,
    )
