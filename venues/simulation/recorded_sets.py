"""Reading recorded outcome sets: polls of best prices, and books of two outcomes side by side.

Decimal text stays text; what is read is one poll or one message at a time, in file order.
"""

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from desk.errors import ConfigurationFault

_POLL_COLUMNS = ["ts_ms", "set", "outcome", "bid", "ask"]
_BOOK_COLUMNS = ["ts_ns", "msg", "instrument", "kind", "side", "price", "size", "stale"]
_NUMBERS = frozenset({"ts_ms", "ts_ns", "msg", "stale"})
_BOOK_KINDS = frozenset({"snapshot", "delta"})
_ROWS_AT_ONCE = 65_536
_META = ".meta.json"


class Quote(NamedTuple):
    """Best prices of one outcome, decimal text; None where nobody bids or asks."""

    outcome: str
    bid: str | None
    ask: str | None


class Poll(NamedTuple):
    """All outcomes of one set that were quoted at one time (unix milliseconds)."""

    at_ms: int
    name: str
    quotes: tuple[Quote, ...]


class BookChange(NamedTuple):
    """One message about one outcome (unix nanoseconds): levels as decimal text, "0" removes.

    `whole`: the levels are the whole book. Instruments are recorded as `set:outcome`.
    """

    at_ns: int
    name: str
    outcome: str
    whole: bool
    bids: tuple[tuple[str, str], ...]
    asks: tuple[tuple[str, str], ...]


def holds_polls(path: Path) -> bool:
    """Whether a recording holds polls of sets; False for books. ConfigurationFault for neither."""
    with _open(path) as opened:
        names = set(opened.schema_arrow.names)
    if names >= set(_POLL_COLUMNS):
        return True
    if missing := set(_BOOK_COLUMNS) - names:
        raise ConfigurationFault(
            f"{path} is neither a recording of outcome sets nor of books, "
            f"it lacks {', '.join(sorted(missing))}"
        )
    return False


def outcomes_of(path: Path) -> dict[str, tuple[str, ...]]:
    """Every outcome of each set, from the description beside the recording.

    Polls do not tell: an outcome that nobody quotes is in none of them.
    """
    beside = path.with_name(path.name.removesuffix(path.suffix) + _META)
    try:
        told = json.loads(beside.read_text(encoding="utf-8"))
        return {one["set"]: tuple(one["outcomes"]) for one in told}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationFault(
            f"{beside} does not say which outcomes each set has ({error}); "
            "keep it beside the recording"
        ) from error


def polls(path: Path) -> Iterator[Poll]:
    """Polls in file order, each set of each time once."""
    for (at_ms, name), rows in groupby(_rows(path, _POLL_COLUMNS), key=itemgetter(0, 1)):
        yield Poll(at_ms, name, tuple(Quote(*row[2:]) for row in rows))


def book_changes(path: Path) -> Iterator[BookChange]:
    """Messages about books in file order, those of all instruments between each other."""
    for (at_ns, _, instrument, kind), rows in groupby(
        _rows(path, _BOOK_COLUMNS), key=itemgetter(0, 1, 2, 3)
    ):
        if kind not in _BOOK_KINDS:
            continue
        levels = [(row[4], (row[5], row[6])) for row in rows if not row[7]]
        name, _, outcome = instrument.rpartition(":")
        if levels:
            yield BookChange(
                at_ns,
                name,
                outcome,
                kind == "snapshot",
                tuple(level for side, level in levels if side == "bid"),
                tuple(level for side, level in levels if side != "bid"),
            )


def sets_of(path: Path) -> dict[str, tuple[str, ...]]:
    """The outcomes of each set in a recording of books; what has only one is no set."""
    found: dict[str, dict[str, None]] = {}
    with _open(path) as opened:
        for batch in opened.iter_batches(batch_size=_ROWS_AT_ONCE, columns=["instrument"]):
            for instrument in batch.column("instrument").unique().to_pylist():
                name, _, outcome = instrument.rpartition(":")
                found.setdefault(name, {})[outcome] = None
    return {name: tuple(outcomes) for name, outcomes in found.items() if len(outcomes) > 1}


def steps_of(path: Path, *columns: str) -> Decimal:
    """The power of ten that all numbers of these columns are multiples of."""
    places = 0
    with _open(path, columns) as opened:
        for batch in opened.iter_batches(batch_size=_ROWS_AT_ONCE, columns=list(columns)):
            for column in batch.columns:
                texts = set(_values(column)) - {None}
                places = max(places, *map(_places, texts), 0)
    return Decimal(1).scaleb(-places)


def _places(text: str) -> int:
    """Decimals of a number."""
    return len(text.partition(".")[2])


def _rows(path: Path, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    with _open(path, columns) as opened:
        for batch in opened.iter_batches(batch_size=_ROWS_AT_ONCE, columns=columns):
            yield from zip(*(_values(batch.column(name)) for name in columns), strict=True)


def _values(column: Any) -> list[Any]:
    """A column as plain values: texts repeat, so each is made once."""
    if not hasattr(column, "dictionary"):
        found: list[Any] = column.to_pylist()
        return found
    texts = column.dictionary.to_pylist()
    return [None if place is None else texts[place] for place in column.indices.to_pylist()]


def _open(path: Path, columns: Sequence[str] = ()) -> Any:
    """The Parquet file, texts of these columns once each.

    pyarrow is imported only here because it is an optional part.
    """
    try:
        from pyarrow import ArrowInvalid, parquet  # noqa: PLC0415
    except ImportError:
        raise ConfigurationFault(
            "recordings need pyarrow; install the 'replay' extra (uv sync --extra replay)"
        ) from None
    try:
        texts = [name for name in columns if name not in _NUMBERS]
        return parquet.ParquetFile(path, read_dictionary=texts)
    except (OSError, ArrowInvalid) as error:
        raise ConfigurationFault(f"{path} cannot be read as Parquet: {error}") from error
