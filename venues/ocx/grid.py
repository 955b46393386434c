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
        self._one: int = 10**self.decimals
        self.step: int = coefficient * 10 ** max(0, exponent)
        # Empty where text of the usual shape cannot be told from its point alone.
        self.point = slice(-1 - self.decimals, -self.decimals) if self.step == 1 else slice(0, 0)

    def __missing__(self, text: str) -> int:
        if len(self) >= _MEMORY:
            self.clear()
        units = self[text] = self.read(text)
        return units

    def read(self, text: str) -> int:
        """Units of a number, read without remembering it."""
        if text[self.point] == ".":
            return int(text.replace(".", "", 1))
        return self._read_slowly(text)

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

    def _read_slowly(self, text: str) -> int:
        if text.isascii() and text.isdecimal():
            units, rest = divmod(int(text) * self._one, self.step)
            if not rest:
                return units
        exact = _decimal(text) / self.size
        if exact != exact.to_integral_value():
            raise ValueError(f"{text} is not a multiple of {self.size}")
        return int(exact)


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ValueError(f"{text!r} is not a decimal number")
    return number
