"""The two ways in which OCX tells of our account, and how a list of positions becomes a view.

The matching engine is not visible apart, so the account endpoint has the last word.
"""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from desk.sources import Authority, Source, SourceView
from desk.units import Lots
from venues.ocx.instruments import Catalog
from venues.ocx.wire import UNKNOWN_UNIT, WirePosition

ENDPOINT = Source(name="GET /perps/positions and /perps/balances", authority=Authority.ENDPOINT)
STREAM = Source(name="GET /perps/stream/user", authority=Authority.STREAM)
SOURCES = (ENDPOINT, STREAM)


def view_of(
    source: Source,
    listed: Iterable[WirePosition],
    catalog: Catalog,
    *,
    asked_ns: int,
    equity: Decimal | None = None,
) -> SourceView:
    """A source's word; ValueError for a position that is off its market's grid.

    Positions of markets the catalog never had are in units of 1e-8, as orders of such are.
    """
    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in listed:
        held[one.market_id] += one.held
    lots = {symbol: _lots(symbol, quantity, catalog) for symbol, quantity in held.items()}
    return SourceView(
        source=source,
        positions={symbol: count for symbol, count in lots.items() if count},
        asked_ns=asked_ns,
        equity=equity,
    )


def _lots(symbol: str, quantity: Decimal, catalog: Catalog) -> Lots:
    instrument = catalog.known(symbol)
    if instrument is not None:
        return instrument.exact_lots(quantity)
    return int(quantity / UNKNOWN_UNIT)
