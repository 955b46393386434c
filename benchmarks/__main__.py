"""`python -m benchmarks [name…] [--quick] [--json FILE]`: measure and print, never judge.

Each measurement runs in a fresh process, one after the other.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks import (
    arbitrage_claims,
    arbitrage_fire,
    arbitrage_watch,
    ledger_queries,
    ledger_writer,
    machine,
    memory,
    micro,
    path,
    rate,
    reconciliation,
    wire,
    x10_book,
    x10_order,
    x10_path,
    zo_book,
    zo_cancel,
    zo_order,
)
from benchmarks.results import Row, Table, show, write_json

_LINE = re.compile(r"(\S+) +(\S.*?) {2,}([\d.]+) +([\d.]+) +([\d.]+)")


def main() -> None:
    """Read the arguments, measure, print."""
    asked = _arguments()
    found = machine.describe()
    for name, value in found.items():
        print(f"{name:<10} {value}")
    tables = []
    for table in _measured(asked):
        show(table)
        tables.append(table)
    found["load after"] = machine.load()
    print(f"\nload after {found['load after']}")
    if asked.json is not None:
        write_json(asked.json, found, tables)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(_BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="shorter runs, noisier figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures as JSON")
    parser.add_argument("--replay", metavar="PATH", help="recorded book (Parquet) for the path")
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in _BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(_BENCHMARKS)}")
    if asked.replay is not None and not Path(asked.replay).is_file():
        parser.error(f"--replay: there is no file {asked.replay}")
    return asked


def _measured(asked: argparse.Namespace) -> Iterator[Table]:
    for name in asked.names or _DEFAULT:
        yield from _BENCHMARKS[name](asked)


def _apart(call: Callable[..., Any], **arguments: object) -> Any:
    """What a call gives, made in a fresh process."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as processes:
        return processes.submit(call, **arguments).result()


def _micro(asked: argparse.Namespace) -> Iterator[Table]:
    yield _apart(micro.run, quick=asked.quick)


def _wire(asked: argparse.Namespace) -> Iterator[Table]:
    yield _apart(wire.run, quick=asked.quick)


def _rate(asked: argparse.Namespace) -> Iterator[Table]:
    yield _apart(rate.run, quick=asked.quick)


def _arbitrage_watch(asked: argparse.Namespace) -> Iterator[Table]:
    yield _apart(arbitrage_watch.run, quick=asked.quick)


def _arbitrage_claims(asked: argparse.Namespace) -> Iterator[Table]:
    yield _apart(arbitrage_claims.run, quick=asked.quick)


def _arbitrage_fire(asked: argparse.Namespace) -> Iterator[Table]:
    yield _apart(arbitrage_fire.run, quick=asked.quick)


def _ledger_queries(asked: argparse.Namespace) -> Iterator[Table]:
    yield _apart(ledger_queries.run, quick=asked.quick)


def _ledger_writer(asked: argparse.Namespace) -> Iterator[Table]:
    yield from _apart(ledger_writer.run, quick=asked.quick)


def _reconciliation(asked: argparse.Namespace) -> Iterator[Table]:
    yield _apart(reconciliation.run, quick=asked.quick)


def _transport(asked: argparse.Namespace) -> Iterator[Table]:
    """The table that benchmarks/transport.py prints, read back."""
    count = "300" if asked.quick else "2000"
    command = [sys.executable, "-m", "benchmarks.transport", "--requests", count]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = []
    for line in told.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match is not None:
            names = ("p50 us", "p99 us", "CPU us")
            figures = dict(zip(names, map(float, match.groups()[2:]), strict=True))
            rows.append(Row(what=f"{match[1]}, {match[2]}", figures=figures))
    notes = () if rows else ("its output was not understood: run python -m benchmarks.transport",)
    yield Table(name="transport: call to last byte handed over", rows=tuple(rows), notes=notes)


def _path(asked: argparse.Namespace) -> Iterator[Table]:
    seconds = 5.0 if asked.quick else 30.0
    manners = [
        path.Manner(),
        path.Manner(freeze=True),
        path.Manner(together=True),
        path.Manner(apart=False),
        path.Manner(fast=False),
    ]
    if asked.replay is not None:
        manners.append(path.Manner(replay=asked.replay))
    for manner in manners:
        yield _apart(path.run, manner=manner, seconds=seconds)
    if asked.replay is None:
        yield Table(name="path: recorded", notes=("skipped: no recording given (--replay PATH)",))


def _x10_order(asked: argparse.Namespace) -> Iterator[Table]:
    yield _apart(x10_order.run, quick=asked.quick)


def _x10_book(asked: argparse.Namespace) -> Iterator[Table]:
    yield _apart(x10_book.run, quick=asked.quick)


def _x10_path(asked: argparse.Namespace) -> Iterator[Table]:
    for manner in (
        x10_path.X10Manner(),
        x10_path.X10Manner(lanes=16),
        x10_path.X10Manner(lanes=16, threads=2),
        x10_path.X10Manner(lanes=16, threads=2, apart=False),
        x10_path.X10Manner(lanes=16, levels=3),
        x10_path.X10Manner(lanes=16, levels=3, threads=2, apart=False),
    ):
        yield _apart(x10_path.run, manner=manner, seconds=5.0 if asked.quick else 20.0)


def _zo_order(asked: argparse.Namespace) -> Iterator[Table]:
    yield _apart(zo_order.run, quick=asked.quick)


def _zo_book(asked: argparse.Namespace) -> Iterator[Table]:
    yield _apart(zo_book.run, quick=asked.quick)


def _zo_cancel(asked: argparse.Namespace) -> Iterator[Table]:
    yield _apart(zo_cancel.run, quick=asked.quick)


def _profile(asked: argparse.Namespace) -> Iterator[Table]:
    yield _apart(path.profile, seconds=5.0 if asked.quick else 20.0)


def _memory(asked: argparse.Namespace) -> Iterator[Table]:
    counts = (10, 50) if asked.quick else (10, 50, 200)
    seconds = 5.0 if asked.quick else 20.0
    yield memory.table([_apart(memory.run, markets=count, seconds=seconds) for count in counts])


_BENCHMARKS: dict[str, Callable[[argparse.Namespace], Iterator[Table]]] = {
    "micro": _micro,
    "wire": _wire,
    "rate": _rate,
    "arbitrage_claims": _arbitrage_claims,
    "arbitrage_fire": _arbitrage_fire,
    "arbitrage_watch": _arbitrage_watch,
    "ledger_queries": _ledger_queries,
    "ledger_writer": _ledger_writer,
    "reconciliation": _reconciliation,
    "transport": _transport,
    "path": _path,
    "x10_order": _x10_order,
    "x10_path": _x10_path,
    "x10_book": _x10_book,
    "zo_order": _zo_order,
    "zo_book": _zo_book,
    "zo_cancel": _zo_cancel,
    "memory": _memory,
    "profile": _profile,
}
_DEFAULT = tuple(name for name in _BENCHMARKS if name != "profile")

if __name__ == "__main__":
    main()
