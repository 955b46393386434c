"""Decimal text to whole units of a grid and back, without Decimal for text of the usual shape.

Reading is exact: a number between two units is a ValueError, never rounded.
"""

from decimal import Decimal, InvalidOperation

_MEMORY = 4_096


class Grid(dict[str, int]):
    """Units of one size: `grid[text]` reads, remembering what it read; `text(units)` writes.

    ValueError for text that is no finite decimal number or lies off the grid.
    """

    def __init__(self, size: Decimal) -> None:
        super().__init__()
        _, digits, exponent = size.normalize().as_tuple()
        if not isinstance(exponent, int) or size <= 0:
            raise ValueError(f"size {size} is not above zero")
        coefficient = int("".join(map(str, digits)))
        self.size = size
        self.decimals = max(0, -exponent)
        self.step = coefficient * 10 ** max(0, exponent)

    def __missing__(self, text: str) -> int:
        if len(self) >= _MEMORY:
            self.clear()
        units = self[text] = self.read(text)
        return units

    def read(self, text: str) -> int:
        """Units of a number, read without remembering it."""
        decimals = self.decimals
        head, _, tail = text.partition(".")
        missing = decimals - len(tail)
        if missing < 0 or not (head + tail).isdecimal() or not text.isascii():
            return self._read_unusual(text)
        number = int(head + tail) * 10**missing if missing else int(head + tail)
        if self.step == 1:
            return number
        units, rest = divmod(number, self.step)
        if rest:
            raise ValueError(f"{text} is not a multiple of {self.size}")
        return units

    def floor(self, text: str) -> int:
        """Units of a number, rounded towards zero; for sizes of a book that are not our own."""
        try:
            return self.read(text)
        except ValueError:
            return int(_decimal(text) / self.size)

    def text(self, units: int) -> str:
        """Text of so many units, without exponent, with exactly the grid's decimals."""
        if units < 0:
            raise ValueError(f"{units} units: negative numbers are not sent")
        digits = str(units * self.step)
        if not self.decimals:
            return digits
        digits = digits.rjust(self.decimals + 1, "0")
        return f"{digits[: -self.decimals]}.{digits[-self.decimals :]}"

    def _read_unusual(self, text: str) -> int:
        units = _decimal(text) / self.size
        if units != units.to_integral_value():
            raise ValueError(f"{text} is not a multiple of {self.size}")
        return int(units)


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ValueError(f"{text!r} is not a decimal number")
    return number
