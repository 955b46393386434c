"""Decimal figures of the venue's JSON to whole ticks and lots, exactly (zo.md section 5.5)."""

from decimal import Decimal

_MEMORY = 4_096


class Scale(dict[Decimal, int]):
    """Units of 10^-decimals: `scale[figure]` reads and remembers; `units` reads alone.

    ValueError for a figure between two units, or one that is not finite.
    """

    def __init__(self, decimals: int) -> None:
        super().__init__()
        self.decimals = decimals
        self.size = Decimal(1).scaleb(-decimals)

    def __missing__(self, figure: Decimal) -> int:
        if len(self) >= _MEMORY:
            self.clear()
        units = self[figure] = self.units(figure)
        return units

    def units(self, figure: Decimal) -> int:
        """Whole units of a figure."""
        if not figure.is_finite():
            raise ValueError(f"{figure} is not a number")
        scaled = figure.scaleb(self.decimals)
        units = int(scaled)
        if units != scaled:
            raise ValueError(f"{figure} is not a multiple of {self.size}")
        return units

    def floor(self, figure: Decimal) -> int:
        """Whole units, rounded towards zero; for sizes of a book that are not our own."""
        if not figure.is_finite():
            raise ValueError(f"{figure} is not a number")
        return int(figure.scaleb(self.decimals))
