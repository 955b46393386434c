"""The places of a ladder before size limits and room are looked at.

The one rule: whatever a style asks for, no quote takes and none meets one on the other side.
"""

from dataclasses import dataclass

from desk.quoting.view import View
from desk.units import Level, Ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class Rungs:
    """What a style would show: (price, full size) by side, innermost first, all levels.

    `width` is the distance from the innermost bid to the innermost ask before rounding and skew,
    `shift` how far both sides were moved, down when above zero; both in micro-bps of the mid.
    """

    bids: list[Level]
    asks: list[Level]
    width: int
    shift: int


def kept_apart(bids: list[Ticks], asks: list[Ticks], view: View) -> tuple[list[Ticks], list[Ticks]]:
    """Bids end a tick under the best ask, asks begin a tick over the best bid and over our own.

    Prices come innermost first, each side in order: only when the first is wrong can any be.
    """
    highest_bid = view.best_ask - 1
    if bids[0] > highest_bid:
        bids = [min(price, highest_bid) for price in bids]
    # Two sides at one distance of nothing would meet each other: hence our own best bid.
    lowest_ask = max(view.best_bid, bids[0]) + 1
    if asks[0] < lowest_ask:
        asks = [max(price, lowest_ask) for price in asks]
    return bids, asks
