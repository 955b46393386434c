"""Candles by the venue's words for their width (zo.md section 3.5); all figures are numbers."""

from decimal import Decimal

from venues.simulation.tape import Tape

RESOLUTIONS: dict[str, int] = {
    "1": 60,
    "5": 300,
    "15": 900,
    "30": 1_800,
    "60": 3_600,
    "240": 14_400,
    "1D": 86_400,
    "1W": 604_800,
    "1M": 2_592_000,
}


def candle(tape: Tape, at_s: int, width_s: int) -> dict[str, int | Decimal] | None:
    """The candle that holds a unix second; None without a trade in it."""
    start = at_s - at_s % width_s
    bars = tape.bars(start, start, width_s)
    if not bars:
        return None
    bar = bars[0]
    return {
        "t": start,
        "o": bar.open,
        "h": bar.high,
        "l": bar.low,
        "c": bar.close,
        "v": bar.volume,
    }
