"""A file is whole or not there; CSV keeps every digit, Parquet types that programs understand."""

import asyncio
import csv
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from desk.errors import ConfigurationFault, Unavailable
from desk.history_ports import FieldKind, Line
from flotilla.exports import export

FIELDS = {
    "at": FieldKind.MOMENT,
    "symbol": FieldKind.TEXT,
    "amount": FieldKind.AMOUNT,
    "lots": FieldKind.WHOLE,
    "estimated": FieldKind.FLAG,
}
AT = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
LONG = Decimal("0.1234567890123456789012345")
LINES: tuple[Line, ...] = (
    (AT, 'BTC "PERP", new\nline', Decimal("-1E+3"), 7, True),
    (None, None, LONG, None, False),
)


async def pages(*given: Sequence[Line]) -> AsyncIterator[Sequence[Line]]:
    for page in given:
        yield page


def parquet_table(path: Path) -> Any:
    parquet = pytest.importorskip("pyarrow.parquet")
    return parquet.read_table(path)


async def test_csv_has_names_utc_and_every_digit(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    assert await export(pages(LINES[:1], LINES[1:]), FIELDS, csv_path=path) == 2
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [
        list(FIELDS),
        ["2026-03-29T01:30:00.123456+00:00", 'BTC "PERP", new\nline', "-1000", "7", "true"],
        ["", "", "0.1234567890123456789012345", "", "false"],
    ]


async def test_parquet_has_types_and_rounds_only_beyond_its_places(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    await export(pages(LINES), FIELDS, parquet_path=path)
    table = parquet_table(path)
    assert [str(field.type) for field in table.schema] == [
        *("timestamp[us, tz=UTC]", "string", "decimal128(38, 18)", "int64", "bool"),
    ]
    first, second = table.to_pylist()
    assert first["at"] == AT
    assert (first["amount"], second["amount"]) == (-1000, Decimal("0.123456789012345679"))
    assert second["at"] is second["symbol"] is second["lots"] is None


async def test_rows_of_many_groups_are_all_there(tmp_path: Path) -> None:
    lines = [(AT, "X", Decimal(n), n, True) for n in range(5_000)]
    paths = {"csv_path": tmp_path / "a.csv", "parquet_path": tmp_path / "a.parquet"}
    assert await export(pages(*[lines] * 12), FIELDS, **paths) == 60_000
    assert parquet_table(paths["parquet_path"]).column("lots").to_pylist() == [*range(5_000)] * 12
    assert len(paths["csv_path"].read_text(encoding="utf-8").splitlines()) == 60_001


async def test_nothing_found_is_a_file_with_names_only(tmp_path: Path) -> None:
    paths = {"csv_path": tmp_path / "a.csv", "parquet_path": tmp_path / "a.parquet"}
    assert await export(pages(), FIELDS, **paths) == 0
    assert paths["csv_path"].read_text(encoding="utf-8") == "at,symbol,amount,lots,estimated\n"
    assert parquet_table(paths["parquet_path"]).num_rows == 0


@pytest.mark.parametrize("name", ["old.csv", "old.parquet"])
async def test_an_export_that_is_cut_off_leaves_the_file_from_before(
    tmp_path: Path, name: str
) -> None:
    path, begun = tmp_path / name, asyncio.Event()
    path.write_text("from before", encoding="utf-8")

    async def endless() -> AsyncIterator[Sequence[Line]]:
        yield LINES
        begun.set()
        await asyncio.Event().wait()

    given = {"csv_path" if path.suffix == ".csv" else "parquet_path": path}
    writing = asyncio.create_task(export(endless(), FIELDS, **given))
    await begun.wait()
    assert len(list(tmp_path.iterdir())) == 2
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert path.read_text(encoding="utf-8") == "from before"


async def test_a_service_that_goes_away_leaves_no_half_of_a_file(tmp_path: Path) -> None:
    async def dying() -> AsyncIterator[Sequence[Line]]:
        yield LINES
        raise Unavailable("postgres: gone")

    paths = {"csv_path": tmp_path / "a.csv", "parquet_path": tmp_path / "a.parquet"}
    with pytest.raises(Unavailable, match="postgres: gone"):
        await export(dying(), FIELDS, **paths)
    assert list(tmp_path.iterdir()) == []


async def test_what_the_disk_does_not_take_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="export: cannot be written: File name too long"):
        await export(pages(LINES), FIELDS, csv_path=tmp_path / f"{'x' * 250}.csv")
    assert list(tmp_path.iterdir()) == []


async def test_a_path_that_cannot_be_a_file_is_refused_before_anything_is_read(
    tmp_path: Path,
) -> None:
    asked = False

    async def watched() -> AsyncIterator[Sequence[Line]]:
        nonlocal asked
        asked = True
        yield LINES

    for path in (tmp_path, tmp_path / "no" / "such.csv"):
        with pytest.raises(ConfigurationFault, match="--csv: .* cannot be a file; name one in"):
            await export(watched(), FIELDS, csv_path=path)
    assert not asked


async def test_what_a_venue_wrote_is_no_formula_and_stays_in_its_cell(tmp_path: Path) -> None:
    texts = ['=HYPERLINK("x")', "+1", "-1", "@SUM(1)", "\r=1", "\t=1", "bad\r=cmd!A0", "1=1", ""]
    path = tmp_path / "out.csv"
    await export(pages([(AT, one, Decimal(-1), -1, True) for one in texts]), FIELDS, csv_path=path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    assert [row[1] for row in rows] == [*(f"'{one}" for one in texts[:6]), *texts[6:]]
    assert {(row[2], row[3]) for row in rows} == {("-1", "-1")}


@pytest.mark.parametrize("option", ["csv_path", "parquet_path"])
async def test_what_is_no_regular_file_is_left_as_it_is(tmp_path: Path, option: str) -> None:
    pytest.importorskip("pyarrow")
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link, Path(os.devnull)):
        with pytest.raises(ConfigurationFault, match="is no regular file; name one"):
            await export(pages(LINES), FIELDS, **{option: path})
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


async def test_a_link_to_a_file_stays_one(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file, link = tmp_path / "data" / "out.csv", tmp_path / "latest.csv"
    link.symlink_to(file)
    await export(pages(LINES), FIELDS, csv_path=link)
    assert link.is_symlink()
    assert len(file.read_text(encoding="utf-8").splitlines()) > 2


async def test_two_names_of_one_file_and_parquet_on_stdout_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "both"
    path.write_text("from before", encoding="utf-8")
    other = tmp_path / "data" / ".." / "both"
    with pytest.raises(ConfigurationFault, match="--parquet: .* is what --csv names too"):
        await export(pages(LINES), FIELDS, csv_path=path, parquet_path=other)
    with pytest.raises(ConfigurationFault, match="--parquet: it cannot be standard output"):
        await export(pages(LINES), FIELDS, parquet_path=Path("-"))
    assert path.read_text(encoding="utf-8") == "from before"
    assert list(tmp_path.iterdir()) == [path]


ENDLESS = """
import asyncio, signal, sys
from pathlib import Path
from desk.history_ports import FieldKind
from flotilla.exports import export

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests run under nohup

async def pages():
    while True:
        yield [("x",)]
        print("begun", flush=True)
        await asyncio.sleep(0.01)

try:
    asyncio.run(export(pages(), {"m": FieldKind.TEXT}, csv_path=Path(sys.argv[1])))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_the_file_from_before_and_no_other(
    tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "out.csv"
    path.write_text("from before", encoding="utf-8")
    writing = subprocess.Popen([sys.executable, "-c", ENDLESS, path], stdout=subprocess.PIPE)
    with writing:
        assert writing.stdout is not None
        assert writing.stdout.readline() == b"begun\n"
        assert len(list(tmp_path.iterdir())) == 2
        writing.send_signal(number)
        writing.communicate(timeout=60)
    assert writing.returncode == 130
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text(encoding="utf-8") == "from before"


async def test_an_amount_too_long_for_parquet_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    lines = [(AT, "X", Decimal(10) ** 30, 1, True)]
    with pytest.raises(ConfigurationFault, match="--parquet: amount holds an amount of more than"):
        await export(pages(lines), FIELDS, parquet_path=tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []
