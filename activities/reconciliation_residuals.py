"""Differences that a trade of the moment seems to explain, followed from one run to the next.

The one rule: what is the same in run after run is no trade of a moment.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

from desk.instrument import Instrument
from desk.orders import Fill
from desk.reconciliation import standing_residual

_ZERO = Decimal(0)

RESIDUALS: Final = "residuals"
"""Where their side keeps them."""

Residuals: TypeAlias = Mapping[str, tuple[Decimal, int]]
"""By symbol: signed base units that our books hold too many, and in how many runs on end."""


def left_over(
    instruments: Mapping[str, Instrument],
    ours: Mapping[str, Decimal],
    theirs: Mapping[str, Decimal],
    lately: Mapping[str, Sequence[Fill]],
    asked_ms: int,
) -> Mapping[str, Decimal]:
    """What fills after the question do not explain, of the symbols in `lately`; zeros left out."""
    found = {
        symbol: standing_residual(
            instruments[symbol], ours.get(symbol, _ZERO), theirs.get(symbol, _ZERO), fills, asked_ms
        )
        for symbol, fills in lately.items()
    }
    return {symbol: left for symbol, left in found.items() if left}


def residuals_of(side: Mapping[str, Any]) -> Residuals:
    """Those in their side of an earlier run; none where they cannot be read."""
    try:
        return {
            symbol: (Decimal(left), int(runs)) for symbol, (left, runs) in side[RESIDUALS].items()
        }
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return {}


def seen_before(kept: Residuals, found: Mapping[str, Decimal]) -> bool:
    """Whether one of them is what an earlier run left."""
    return any(symbol in kept and kept[symbol][0] == left for symbol, left in found.items())


def counted(kept: Residuals, found: Mapping[str, Decimal]) -> Residuals:
    """Those of this run; one that is the same as before counts one run more."""
    return {
        symbol: (left, kept[symbol][1] + 1 if seen_before(kept, {symbol: left}) else 1)
        for symbol, left in found.items()
    }
