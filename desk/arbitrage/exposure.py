"""What a half-filled set can lose: some legs filled, the others not, and all of it traded back.

Counted before firing. Complete sets are no exposure; so at least one leg is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from desk.arbitrage.depth import Ladder, take
from desk.arbitrage.sets import Leg
from desk.units import BPS, Lots, Side, Ticks

_ZERO = Decimal(0)
_ONE = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """One leg filled whole at its limit, and the ladder it would be traded back into.

    `ceiling` is the price above which nothing can be asked for what was sold (1 for outcomes), in
    quote currency; None where there is none.
    """

    leg: Leg
    lots: Lots
    limit: Ticks
    back: Ladder
    ceiling: Decimal | None = None


def loss(filled: Filled, slippage: Decimal) -> Decimal | None:
    """Quote currency lost by trading one filled leg back, fees of both ways included.

    What the displayed depth cannot take is worth nothing when it was bought, and costs the ceiling
    when it was sold: None where that has none. Negative when trading back would bring a gain.
    """
    instrument = filled.leg.instrument
    fee = instrument.taker_fee_bps / BPS
    paid = instrument.notional(filled.limit, filled.lots)
    back = take(filled.back, filled.lots)
    shown = instrument.notional(back.worth, 1)
    if filled.leg.side is Side.BUY:
        return paid * (_ONE + fee) - shown * (_ONE - slippage) * (_ONE - fee)
    bought = shown * (_ONE + slippage)
    if rest := filled.lots - back.lots:
        if filled.ceiling is None:
            return None
        bought += filled.ceiling * instrument.quantity(rest)
    return bought * (_ONE + fee) - paid * (_ONE - fee)


def worst_of(losses: Sequence[Decimal]) -> Decimal:
    """The most that some of the legs, never all of them, lose together.

    Parts of legs lose less: what is lost grows with the size at least in proportion, for every
    further lot finds a worse price.
    """
    bad = [one for one in losses if one > 0]
    total = sum(bad, _ZERO)
    return total - min(bad) if bad and len(bad) == len(losses) else total
