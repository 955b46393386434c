"""JSON as the venue writes it: human units as plain numbers, never as text.

Decimals are written digit by digit, so nothing is lost on the way out.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from desk.instrument import Instrument
from desk.units import NS_PER_MS, Lots, Ticks
from venues.simulation.clock import iso_ms

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_MONEY = Decimal("1e-10")


def encode(body: Any) -> bytes:
    """JSON bytes."""
    return _ENCODER.encode(body)


def money(amount: Decimal) -> Decimal:
    """An amount with ten decimals at most, written without an exponent."""
    return Decimal(format(amount.quantize(_MONEY).normalize(), "f"))


def price(instrument: Instrument, ticks: Ticks) -> Decimal:
    """A price in quote currency."""
    return money(instrument.price(ticks))


def size(instrument: Instrument, lots: Lots) -> Decimal:
    """A size in base units."""
    return money(instrument.quantity(lots))


def moment(at_ns: int) -> str:
    """RFC3339 of wall nanoseconds."""
    return iso_ms(at_ns // NS_PER_MS)


def parse_moment(text: str) -> int:
    """Unix milliseconds of an RFC3339 text; ValueError when it is none."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return round(at.timestamp() * 1000)


def decode(raw: bytes) -> Any:
    """JSON with floats, for showing only."""
    return msgspec.json.decode(raw)
