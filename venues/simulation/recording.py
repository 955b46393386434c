"""Reading recorded market data, one venue message at a time, without holding the file in memory.

Rows marked stale are never shown: a correct client would not apply them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from desk.errors import ConfigurationFault
from desk.instrument import Instrument
from desk.units import Lots, Side, Ticks

_COLUMNS = ["ts_ns", "msg", "instrument", "kind", "side", "price", "size", "stale"]
_SHOWN = frozenset({"snapshot", "delta", "trade"})
_ROWS_AT_ONCE = 512
_SAMPLE_ROWS = 100_000


class Row(NamedTuple):
    """One price level or trade as recorded; prices and sizes are decimal text."""

    at_ns: int
    message: int
    kind: str
    side: str
    price: str
    size: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Rows that came together; look at the book only after the last one."""

    at_ns: int
    kind: str
    rows: tuple[Row, ...]


def rows(path: Path, instrument: str | None = None) -> Iterator[Row]:
    """Rows of one instrument (None: the first in the file), in file order, without stale ones.

    ConfigurationFault when pyarrow is not installed or the file is not a recording.
    """
    small = {"batch_size": _ROWS_AT_ONCE, "columns": _COLUMNS, "use_threads": False}
    for batch in _open(path).iter_batches(**small):
        columns = [batch.column(name).to_pylist() for name in _COLUMNS]
        for at_ns, message, owner, kind, side, price, size, stale in zip(*columns, strict=True):
            instrument = instrument or owner
            if not stale and kind in _SHOWN and owner == instrument:
                yield Row(at_ns, message, kind, side, price, size)


def _open(path: Path) -> Any:
    """The Parquet file; pyarrow is imported only here because it is an optional part."""
    try:
        from pyarrow import ArrowInvalid, parquet  # noqa: PLC0415
    except ImportError:
        raise ConfigurationFault(
            "replay needs pyarrow; install the 'replay' extra (uv sync --extra replay)"
        ) from None
    try:
        opened = parquet.ParquetFile(path)
    except (OSError, ArrowInvalid) as error:
        raise ConfigurationFault(f"replay: {path} cannot be read as Parquet: {error}") from error
    missing = set(_COLUMNS) - set(opened.schema_arrow.names)
    if missing:
        opened.close()
        raise ConfigurationFault(
            f"replay: {path} is not a book recording, it lacks {', '.join(sorted(missing))}"
        )
    return opened


def messages(path: Path, instrument: str | None = None) -> Iterator[Message]:
    """Messages from the first snapshot on."""
    started = False
    for (_, kind), group in groupby(
        rows(path, instrument), key=lambda row: (row.message, row.kind)
    ):
        started = started or kind == "snapshot"
        if started:
            together = tuple(group)
            yield Message(at_ns=together[0].at_ns, kind=kind, rows=together)


def instrument_of(path: Path | str, venue: str, symbol: str) -> Instrument:
    """A linear instrument without fees whose tick and lot divide everything recorded first."""
    prices, sizes = set[Decimal](), set[Decimal]()
    for count, row in enumerate(rows(Path(path))):
        prices.add(Decimal(row.price))
        sizes.add(Decimal(row.size))
        if count >= _SAMPLE_ROWS:
            break
    if not prices:
        raise ConfigurationFault(f"replay: {path} holds no prices")
    return Instrument(
        venue=venue, symbol=symbol, tick_size=_divisor(prices), lot_size=_divisor(sizes)
    )


def _divisor(numbers: set[Decimal]) -> Decimal:
    """Greatest decimal that divides all of them."""
    exponents = (each.normalize().as_tuple().exponent for each in numbers if each)
    places = max((-exponent for exponent in exponents if isinstance(exponent, int)), default=0)
    places = max(places, 0)
    whole = (int(each.scaleb(places)) for each in numbers)
    return (Decimal(math.gcd(*whole) or 1).scaleb(-places)).normalize()


class RecordedBook:
    """The recorded book in ticks and lots of one instrument.

    Prices off the instrument's grid are moved away from the market; those that meet are summed.
    """

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._sizes: dict[tuple[Side, str], Lots] = {}
        self.bids: dict[Ticks, Lots] = {}
        self.asks: dict[Ticks, Lots] = {}

    def clear(self) -> None:
        """Forget everything."""
        self._sizes.clear()
        self.bids.clear()
        self.asks.clear()

    def set(self, row: Row) -> tuple[Side, Ticks]:
        """Apply one level; returns where it counts."""
        side = Side.BUY if row.side == "bid" else Side.SELL
        price = self._instrument.price_ticks(Decimal(row.price), side)
        lots = self._instrument.lots(Decimal(row.size))
        before = self._sizes.pop((side, row.price), 0)
        if lots:
            self._sizes[side, row.price] = lots
        totals = self.bids if side is Side.BUY else self.asks
        total = totals.get(price, 0) + lots - before
        if total:
            totals[price] = total
        else:
            totals.pop(price, None)
        return side, price

    def lots(self, side: Side, price: Ticks) -> Lots:
        """Recorded lots at a price."""
        return (self.bids if side is Side.BUY else self.asks).get(price, 0)

    def middle(self) -> Decimal | None:
        """Ticks halfway between the best prices; None when a side is empty."""
        if not self.bids or not self.asks:
            return None
        return Decimal(max(self.bids) + min(self.asks)) / 2

    def trade(self, row: Row) -> tuple[Side, Ticks, Lots]:
        """Aggressor, its limit and size; an unknown side is judged by the middle."""
        price = Decimal(row.price) / self._instrument.tick_size
        side = Side.BUY if row.side == "buy" else Side.SELL
        middle = self.middle() if row.side == "unknown" else None
        if middle is not None:
            side = Side.BUY if price >= middle else Side.SELL
        rounding = ROUND_CEILING if side is Side.BUY else ROUND_FLOOR
        lots = self._instrument.lots(Decimal(row.size))
        return side, int(price.to_integral_value(rounding)), lots
