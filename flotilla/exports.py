"""Rows as CSV and Parquet files, however many: a page at a time, and a file only when all is in it.

The rule: a file of the wanted name is whole or the one from before; nothing half-written is left,
and nothing but a file ever gives way to one.
"""

import asyncio
import csv
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from decimal import Context, Decimal
from pathlib import Path
from typing import IO, Any, Final, Protocol, Self

from desk.errors import ConfigurationFault, Unavailable
from desk.history_ports import FieldKind, Line
from flotilla.moments import write_moment

STDOUT: Final = Path("-")
"""The path that means standard output; CSV only."""

PARQUET_PLACES: Final = 18
"""Decimal places of amounts in Parquet; CSV and JSON keep all."""

_PARQUET_DIGITS: Final = 38
_GROUP_ROWS: Final = 50_000
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a text begins with that spreadsheets take for something to compute."""
_ENDINGS: Final = (signal.SIGTERM, signal.SIGHUP)
_WIDE: Final = Context(prec=100)
_LAST_PLACE: Final = Decimal(1).scaleb(-PARQUET_PLACES)


class Sheet(Protocol):
    """A file being written."""

    def write(self, lines: Sequence[Line]) -> None:
        """Add rows."""

    def finish(self) -> None:
        """Write what is held back; nothing is added after this."""


async def export(
    pages: AsyncIterator[Sequence[Line]],
    fields: Mapping[str, FieldKind],
    *,
    csv_path: Path | None = None,
    parquet_path: Path | None = None,
) -> int:
    """Write all rows to the files that are named; how many rows.

    ConfigurationFault for a path or an amount that cannot be written and for a missing library,
    Unavailable when the disk does not take it. SIGTERM and SIGHUP end it like Ctrl-C.
    """
    try:
        with ExitStack() as files:
            check_paths(csv_path, parquet_path)
            files.enter_context(_ended_by_signals())
            sheets: list[Sheet] = []
            if parquet_path is not None:
                libraries = _libraries()
                file = files.enter_context(_whole(parquet_path, "--parquet"))
                sheets.append(files.enter_context(ParquetSheet(file, fields, *libraries)))
            if csv_path is not None:
                file = files.enter_context(_whole(csv_path, "--csv"))
                sheets.append(CsvSheet(file, fields))
            return await _written(pages, sheets)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unavailable(f"export: cannot be written: {error.strerror or error}") from error


def check_paths(csv_path: Path | None, parquet_path: Path | None) -> None:
    """ConfigurationFault for two names of one file, and for Parquet on standard output."""
    if parquet_path is None:
        return
    if parquet_path == STDOUT:
        raise ConfigurationFault("--parquet: it cannot be standard output; name a file")
    if csv_path is not None and csv_path.resolve() == parquet_path.resolve():
        raise ConfigurationFault(f"--parquet: {parquet_path} is what --csv names too; name another")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Have what ends a process at once unwind the block first."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - exports run in one
    told = [one for one in _ENDINGS if signal.getsignal(one) is signal.SIG_DFL]
    heard = list[signal.Signals]()

    def end(number: signal.Signals) -> None:
        heard.append(number)
        task.cancel()

    for number in told:
        loop.add_signal_handler(number, end, number)
    try:
        yield
    except asyncio.CancelledError:
        if heard:
            raise KeyboardInterrupt from None
        raise
    finally:
        for number in told:
            loop.remove_signal_handler(number)


async def _written(pages: AsyncIterator[Sequence[Line]], sheets: Sequence[Sheet]) -> int:
    count = 0
    async for page in pages:
        for sheet in sheets:
            sheet.write(page)
        count += len(page)
    for sheet in sheets:
        sheet.finish()
    return count


class CsvSheet:
    """Comma-separated values: a line of names, moments in UTC, every digit of amounts.

    A text that spreadsheets would compute gets a ' in front.
    """

    def __init__(self, file: IO[bytes], fields: Mapping[str, FieldKind]) -> None:
        self._file = file
        self._names = list(fields)
        self._texts = [kind is FieldKind.TEXT for kind in fields.values()]
        self._begun = False

    def write(self, lines: Sequence[Line]) -> None:
        """Add rows."""
        text = _Lines()
        # What ends a line is what the csv module puts into quotes, and "\r" ends one for many.
        writer = csv.writer(text, lineterminator="\r\n")
        if not self._begun:
            writer.writerow(self._names)
            self._begun = True
        writer.writerows(self._cells(line) for line in lines)
        self._file.write("".join(text.parts).encode())

    def _cells(self, line: Line) -> list[object]:
        return [
            _harmless(value) if is_text else plain(value)
            for value, is_text in zip(line, self._texts, strict=True)
        ]

    def finish(self) -> None:
        """Write the names, when there was no row."""
        if not self._begun:
            self.write(())


class ParquetSheet:
    """Parquet: moments in UTC, amounts as decimals with `PARQUET_PLACES` places."""

    def __init__(
        self, file: IO[bytes], fields: Mapping[str, FieldKind], arrow: Any, parquet: Any
    ) -> None:
        kinds = {
            FieldKind.TEXT: arrow.string(),
            FieldKind.AMOUNT: arrow.decimal128(_PARQUET_DIGITS, PARQUET_PLACES),
            FieldKind.WHOLE: arrow.int64(),
            FieldKind.FLAG: arrow.bool_(),
            FieldKind.MOMENT: arrow.timestamp("us", tz="UTC"),
        }
        self._arrow = arrow
        self._kinds = list(fields.values())
        self._schema = arrow.schema([(name, kinds[kind]) for name, kind in fields.items()])
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._held: list[Line] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the file, whatever happened, while it is still open."""
        self._writer.close()

    def write(self, lines: Sequence[Line]) -> None:
        """Add rows; a group is written when it is large enough."""
        self._held.extend(lines)
        if len(self._held) >= _GROUP_ROWS:
            self._flush()

    def finish(self) -> None:
        """Write the last group; the end of the file follows when the sheet is left."""
        self._flush()

    def _flush(self) -> None:
        if not self._held:
            return
        columns = [
            self._column(place, kind, [line[place] for line in self._held])
            for place, kind in enumerate(self._kinds)
        ]
        self._writer.write_table(self._arrow.table(columns, schema=self._schema))
        self._held = []

    def _column(self, place: int, kind: FieldKind, values: list[object]) -> Any:
        if kind is FieldKind.AMOUNT:
            values = [_rounded(value) for value in values]
        try:
            return self._arrow.array(values, type=self._schema.field(place).type)
        except (self._arrow.ArrowInvalid, OverflowError) as error:
            raise ConfigurationFault(
                f"--parquet: {self._schema.field(place).name} holds an amount of more than "
                f"{_PARQUET_DIGITS} digits; export it with --csv"
            ) from error


def plain(value: object) -> object:
    """A value as CSV and JSON give it: ISO moments in UTC, amounts written out, None for none."""
    if isinstance(value, datetime):
        return write_moment(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


class _Lines:
    """Where the csv module writes to, a line at a time; ours end in a newline alone."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def write(self, text: str) -> None:
        self.parts.append(f"{text[:-2]}\n")


def _harmless(value: object) -> object:
    """A text that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULAS) else value


def _rounded(value: object) -> object:
    if not isinstance(value, Decimal):
        return value
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -PARQUET_PLACES:
        return value.quantize(_LAST_PLACE, context=_WIDE)
    return value


@contextmanager
def _whole(path: Path, option: str) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when the block ends well, and is gone otherwise."""
    if path == STDOUT:
        yield sys.stdout.buffer
        return
    named, path = path, path.resolve()
    if path.is_dir() or not path.parent.is_dir():
        raise ConfigurationFault(
            f"{option}: {named} cannot be a file; name one in a folder that exists"
        )
    if path.exists() and not path.is_file():
        raise ConfigurationFault(
            f"{option}: {named} is no regular file; name one, or use '--csv -' to pass rows on"
        )
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _libraries() -> tuple[Any, Any]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional part
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise ConfigurationFault(
            "--parquet needs pyarrow; install the 'export' extra (uv sync --extra export), "
            "or use --csv"
        ) from None
    return pa, pq
