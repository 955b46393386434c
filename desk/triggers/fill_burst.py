"""Fill-burst protection: more filled in a short while than quoting in good order brings.

Both sides add up: who is picked off on both sides in a moment is not making a market.
"""

from decimal import Decimal


class FillBurst:
    """Quote currency filled within a rolling window, by the venue's own times of trade.

    The window ends at the newest trade heard, so that fills told late, after a reconnect, are
    judged by when they happened. A trade exactly one window old counts no longer.
    """

    def __init__(self, *, most: Decimal, window_ms: int) -> None:
        self._most = most
        self._window_ms = window_ms
        self._fills: list[tuple[int, Decimal]] = []
        self._newest_ms = 0
        self.largest = Decimal(0)

    @property
    def tripped(self) -> bool:
        """Whether more than `most` was filled in any window heard so far."""
        return self.largest > self._most

    def filled(self, traded_at_ms: int, notional: Decimal) -> None:
        """Take one fill, told once; `notional` is unsigned quote currency."""
        self._newest_ms = max(self._newest_ms, traded_at_ms)
        horizon = self._newest_ms - self._window_ms
        self._fills.append((traded_at_ms, notional))
        self._fills = [one for one in self._fills if one[0] > horizon]
        self.largest = max(self.largest, sum((one[1] for one in self._fills), Decimal(0)))
