"""How engine names become the venue's numbers: 64-bit, far above 2^53, and stable.

An order's or trade's number never means another one.
"""

from itertools import count

_ORDERS = 1_791_181_340_771_614_720
_TRADES = 1_891_181_340_771_614_720
_POSITIONS = 1_691_181_340_771_614_720
_PAYMENTS = 1_991_181_340_771_614_720
_ACCOUNTS = 100_001


class Numbers:
    """Draws numbers; order numbers grow with time."""

    def __init__(self) -> None:
        self._orders = count(_ORDERS + 1)
        self._accounts = count(_ACCOUNTS)
        self._positions: dict[str, int] = {}

    def order(self) -> int:
        """A new order's number."""
        return next(self._orders)

    def account(self) -> int:
        """A new account's number."""
        return next(self._accounts)

    def position(self, name: str) -> int:
        """The number of an engine position."""
        return self._positions.setdefault(name, _POSITIONS + 1 + len(self._positions))


def payment_number(number: int) -> int:
    """The number of an engine payment."""
    return _PAYMENTS + number


def trade_number(trade_id: str) -> int:
    """The number of an engine trade as one side (`t7m`, `t7t`) or everybody (`t7`) sees it."""
    digits = trade_id.strip("tm")
    side = {"m": 1, "t": 2}.get(trade_id[-1], 0)
    return _TRADES + 4 * int(digits) + side
