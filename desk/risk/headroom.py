"""How far an account is from what it can carry: how much may be added, and when to call a person.

Everything is pure and monotone: less equity, or more held, never allows more.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from desk.orders import Balance
from desk.units import Lots

STEP: Final = Decimal("0.05")
"""Sizes change in such steps, downwards: a figure that trembles must not move every order."""

_OVER: Final = Decimal("0.1")
"""An alarm ends this share beyond where it began, so that it does not come and go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadroomLimits:
    """Margin fractions (equity over the worth of all positions), each None when it is off.

    From `shrink_below` sizes shrink in a straight line; at `reduce_below` nothing is added. The two
    alarms are on the margin fraction, and on the share of equity that the venue requires to keep
    the positions: 1 is liquidation.
    """

    shrink_below: Decimal | None = None
    reduce_below: Decimal | None = None
    alarm_below: Decimal | None = None
    alarm_above_maintenance: Decimal | None = None

    def problems(self) -> tuple[str, ...]:
        """Contradictions, each a sentence naming the field and the remedy."""
        shrink, reduce = self.shrink_below, self.reduce_below
        if shrink is not None and reduce is None:
            return ("reduce_below_margin: it is missing beside shrink_below_margin; give it",)
        if shrink is not None and reduce is not None and shrink < reduce:
            return (
                f"shrink_below_margin: {shrink} is below reduce_below_margin {reduce}; raise it",
            )
        return ()


def scale(funds: Balance, exposure: Decimal, limits: HeadroomLimits) -> Decimal:
    """Share of its size, from 0 to 1, at which an order that adds risk may be shown.

    `exposure` is what all positions are worth now; the figure in `funds` may be older.
    """
    least = limits.reduce_below
    if least is None:
        return Decimal(1)
    if funds.equity <= least * exposure or funds.equity <= 0:
        return Decimal(0)
    most = limits.shrink_below
    if most is None or funds.equity >= most * exposure:
        return Decimal(1)
    # Here exposure is above zero, and most above least.
    share = (funds.equity / exposure - least) / (most - least)
    return min(Decimal(1), max(Decimal(0), share // STEP * STEP))


def room(
    funds: Balance,
    exposure: Decimal,
    limits: HeadroomLimits,
    *,
    sharers: int = 1,
    since: Decimal = Decimal(0),
) -> Decimal | None:
    """Quote currency that may be added before the margin fraction is `reduce_below`; None: any.

    `exposure` is shared by so many markets: each has an equal part, less what it added `since`, so
    that together they never add more than there is.
    """
    if not limits.reduce_below:
        return None
    left = funds.equity / limits.reduce_below - exposure
    # What is missing is missing to each of them.
    return max(Decimal(0), (left / sharers if left > 0 else left) - since)


def allowed_lots(lots: Lots, reducing: Lots, share: Decimal, most: Lots | None) -> Lots:
    """Lots of an order of which `reducing` only reduce: those in full, the rest at a share.

    `most` bounds what is added, None when nothing does.
    """
    free = min(lots, max(0, reducing))
    added = int((lots - free) * share)
    return free + (added if most is None else min(added, max(0, most)))


def maintenance_share(funds: Balance) -> Decimal | None:
    """Share of equity the venue requires to keep the positions; None where it does not say.

    At least 1 when nothing is left of the equity while something is required.
    """
    if funds.maintenance is None:
        return None
    if funds.maintenance <= 0:
        return Decimal(0)
    return Decimal(1) if funds.equity <= 0 else funds.maintenance / funds.equity


def alarm(funds: Balance, limits: HeadroomLimits, *, sounding: bool) -> str:
    """Why a person must be called, empty when all is well; one that sounds ends a little later."""
    share, most = maintenance_share(funds), limits.alarm_above_maintenance
    if share is not None and most is not None:
        from_here = most * (1 - _OVER) if sounding else most
        if share >= from_here and share > 0:
            return (
                f"the venue requires {_percent(share)} of the equity of {funds.equity:.2f} to keep "
                f"the positions, alarm_above_maintenance is {_percent(most)}; it liquidates at 100%"
            )
    least, held = limits.alarm_below, funds.exposure
    if least is None or not held:
        return ""
    to_here = least * (1 + _OVER) if sounding else least
    if funds.equity >= to_here * held:
        return ""
    return (
        f"the margin fraction is {funds.equity / held:.3f} (equity {funds.equity:.2f}, positions "
        f"worth {held:.2f}), alarm_below_margin is {least}"
    )


def _percent(share: Decimal) -> str:
    return f"{100 * share:.0f}%"
