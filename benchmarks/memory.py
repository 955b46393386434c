"""Memory and processor time of more markets in one process, each run in a process of its own."""

from decimal import Decimal

from benchmarks.exchange import ExchangePlan
from benchmarks.fleet import Stretch
from benchmarks.path import on_loop
from benchmarks.results import Row, Table
from desk.quoting.parameters import QuoteParameters

_MB = 1 << 20
_UPDATES_PER_S = 4.0
_PARAMETERS = QuoteParameters(debounce_ms=500, spread_bps=Decimal(8))
NAME = "memory: sessions in one process, 4 updates/s and at most 2 requotes/s a market"


def run(*, markets: int, seconds: float) -> Row:
    """Resident memory and CPU share of one process with so many markets."""
    plan = ExchangePlan(markets=markets, updates_per_s=_UPDATES_PER_S)
    seen = on_loop(plan, Stretch(seconds=seconds, warm_up_s=5.0, parameters=_PARAMETERS), fast=True)
    sends = len(seen.turns.sent.from_bytes) + len(seen.turns.later)
    return Row(
        what=f"{markets} markets",
        figures={
            "markets": markets,
            "RSS MB": seen.resident_bytes / _MB,
            "peak MB": seen.peak_bytes / _MB,
            "CPU %": seen.cpu_s / seen.seconds * 100,
            "sends/s": sends / seen.seconds,
        },
    )


def table(rows: list[Row]) -> Table:
    """Rows side by side, and the cost of one market more."""
    first, last = rows[0].figures, rows[-1].figures
    more = last["markets"] - first["markets"]
    notes = []
    if more:
        for key, unit in (("RSS MB", "MB"), ("CPU %", "% of a core")):
            notes.append(f"one market more: {(last[key] - first[key]) / more:.2f} {unit}")
    return Table(name=NAME, rows=tuple(rows), notes=tuple(notes))
