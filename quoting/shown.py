"""Our quotes as a person reads them on the market's page: `size @ price`, best first."""

from collections.abc import Sequence

from desk.instrument import Instrument
from desk.units import Side
from desk.working import WorkingOrder, WorkingState

_LEAVING = frozenset({WorkingState.CANCELLING, WorkingState.SETTLING})


def shown_quotes(
    working: Sequence[WorkingOrder], instrument: Instrument
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Bids and asks that rest or are on their way; those on their way out are left out."""
    live = [one for one in working if one.state not in _LEAVING]
    bids = [one for one in live if one.order.side is Side.BUY]
    asks = [one for one in live if one.order.side is Side.SELL]
    bids.sort(key=lambda one: -one.order.price)
    asks.sort(key=lambda one: one.order.price)
    return _texts(bids, instrument), _texts(asks, instrument)


def _texts(orders: list[WorkingOrder], instrument: Instrument) -> tuple[str, ...]:
    return tuple(
        f"{instrument.quantity(one.remaining)} @ {instrument.price(one.order.price)}"
        for one in orders
    )
