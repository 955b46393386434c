"""Text and units agree exactly, whatever the grid."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venues.x10.grid import Grid

_sizes = st.tuples(st.integers(1, 5_000), st.integers(-8, 3)).map(
    lambda parts: Decimal(parts[0]).scaleb(parts[1])
)


@given(size=_sizes, units=st.integers(0, 10**9))
def test_what_is_written_is_read_back(size: Decimal, units: int) -> None:
    grid = Grid(size)
    text = grid.text(units)
    assert Fraction(text) == Fraction(size) * units
    assert "E" not in text.upper()
    assert grid.read(text) == grid[text] == grid.floor(text) == units


@given(size=_sizes, number=st.decimals(-(10**6), 10**6, places=6))
def test_reading_is_exact_or_refused_and_floor_rounds_towards_zero(
    size: Decimal, number: Decimal
) -> None:
    grid, text = Grid(size), format(number, "f")
    exact = Fraction(text) / Fraction(size)
    assert grid.floor(text) == int(exact)
    if exact.denominator == 1:
        assert grid.read(text) == exact
    else:
        with pytest.raises(ValueError, match="not a multiple"):
            grid.read(text)


@pytest.mark.parametrize("text", ["", ".", "1.2.3", "abc", "NaN", "Infinity", "0x1"])
def test_what_is_no_number_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        Grid(Decimal("0.1")).read(text)


@pytest.mark.parametrize(("text", "units"), [("1E+1", 100), ("-0.5", -5), ("+2", 20), (".5", 5)])
def test_unusual_shapes_are_read_too(text: str, units: int) -> None:
    assert Grid(Decimal("0.1")).read(text) == units


def test_a_grid_without_size_is_refused() -> None:
    with pytest.raises(ValueError, match="above zero"):
        Grid(Decimal(0))
    with pytest.raises(ValueError, match="negative"):
        Grid(Decimal(1)).text(-1)
