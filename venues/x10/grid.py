"""Decimal text to whole units of a grid and back, without Decimal for text of the usual shape.

Reading is exact: a number between two units is a ValueError, never rounded.
"""

from decimal import Decimal, InvalidOperation
from fractions import Fraction

_MEMORY = 32_768
"""A full book of the largest market has about 6,000 prices (x10.md section 5.2, 12.3)."""


class Grid(dict[str, int]):
    """Units of one size: `grid[text]` reads, remembering what it read; `text(units)` writes.

    ValueError for text that is no finite decimal number or lies off the grid.
    """

    def __init__(self, size: Decimal) -> None:
        super().__init__()
        _, digits, exponent = size.normalize().as_tuple()
        if not isinstance(exponent, int) or size <= 0:
            raise ValueError(f"size {size} is not above zero")
        self.size = size
        self._decimals = max(0, -exponent)
        self._one: int = 10**self._decimals
        self._step: int = int("".join(map(str, digits))) * 10 ** max(0, exponent)

    def __missing__(self, text: str) -> int:
        if len(self) >= _MEMORY:
            self.clear()
        units = self[text] = self.read(text)
        return units

    def read(self, text: str) -> int:
        """Units of a number, negative ones included, read without remembering it."""
        whole, point, part = text.partition(".")
        missing = self._decimals - len(part)
        if missing < 0 or not (whole.isdecimal() and whole.isascii()):
            return self._read_slowly(text)
        if point and not (part.isdecimal() and part.isascii()):
            return self._read_slowly(text)
        scaled = int(whole + part) * 10**missing
        units, rest = divmod(scaled, self._step)
        return self._read_slowly(text) if rest else units

    def floor(self, text: str) -> int:
        """Units of a number, rounded towards zero; for sizes of a book that are not our own."""
        try:
            return self.read(text)
        except ValueError:
            return int(_fraction(text) / Fraction(self.size))

    def text(self, units: int) -> str:
        """Text of so many units: fixed point, exactly the grid's decimals (section 5.4)."""
        if units < 0:
            raise ValueError(f"{units} units: negative numbers are not sent")
        digits = str(units * self._step)
        if not self._decimals:
            return digits
        digits = digits.rjust(self._decimals + 1, "0")
        return f"{digits[: -self._decimals]}.{digits[-self._decimals :]}"

    def _read_slowly(self, text: str) -> int:
        units = _fraction(text) / Fraction(self.size)
        if units.denominator != 1:
            raise ValueError(f"{text} is not a multiple of {self.size}")
        return units.numerator


def _fraction(text: str) -> Fraction:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ValueError(f"{text!r} is not a decimal number")
    return Fraction(number)
