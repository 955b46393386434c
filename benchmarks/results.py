"""What a benchmark hands back: rows of named figures, printed as tables and kept as JSON.

Figures are medians and percentiles of one run; nothing here judges them.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any, TypeAlias

Figures: TypeAlias = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Figures of one measured thing; the unit of a figure is part of its name."""

    what: str
    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows that were measured in one run and may be compared. Notes say what to keep in mind."""

    name: str
    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()


def timed(call: Callable[[Any], object], arguments: Iterable[Any]) -> list[int]:
    """Nanoseconds of each call, the two clock reads (about 60 ns) included."""
    took = []
    for argument in arguments:
        begun = perf_counter_ns()
        call(argument)
        took.append(perf_counter_ns() - begun)
    return took


def percentile(ordered: Sequence[int], percent: float) -> int:
    """Value at a percentile of an ascending sequence (nearest rank)."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def microseconds(what: str, samples: Sequence[int]) -> Row:
    """Median, 99th percentile and count of nanosecond samples."""
    ordered = sorted(samples)
    if not ordered:
        return Row(what=what, figures={"n": 0})
    return Row(
        what=what,
        figures={
            "p50 us": percentile(ordered, 50) / 1_000,
            "p99 us": percentile(ordered, 99) / 1_000,
            "n": len(ordered),
        },
    )


def show(table: Table) -> None:
    """Print a table: one line a row, one column a figure."""
    print(f"\n## {table.name}")
    columns = list(dict.fromkeys(name for row in table.rows for name in row.figures))
    wide = max((len(row.what) for row in table.rows), default=0) + 2
    if table.rows:
        print(" " * wide + "".join(f"{name:>{_width(name)}}" for name in columns))
    for row in table.rows:
        cells = (_cell(row.figures.get(name), _width(name)) for name in columns)
        print(f"{row.what:<{wide}}{''.join(cells)}")
    for note in table.notes:
        print(f"  {note}")


def write_json(path: Path, machine: dict[str, str], tables: Sequence[Table]) -> None:
    """Keep machine and figures for a comparison by other programs."""
    told = {"machine": machine, "tables": [asdict(table) for table in tables]}
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _width(name: str) -> int:
    return max(len(name), 8) + 2


def _cell(value: float | None, width: int) -> str:
    if value is None:
        return f"{'-':>{width}}"
    if value == int(value):
        return f"{int(value):>{width},}"
    return f"{value:>{width},.1f}" if abs(value) >= 1 else f"{value:>{width}.3f}"
