"""Micro-bps: spreads as integers of a millionth of a basis point, rounded towards wider."""

from decimal import ROUND_CEILING, Decimal

from desk.units import BPS

MICRO = 1_000_000
MICRO_IN_ONE = int(BPS) * MICRO
_DIGITS = 6


def micro_bps(bps: Decimal) -> int:
    """Basis points as micro-bps, rounded up."""
    return int(bps.scaleb(_DIGITS).to_integral_value(ROUND_CEILING))


def bps(micro: int) -> Decimal:
    """Micro-bps as basis points, exactly."""
    return Decimal(micro).scaleb(-_DIGITS)
