"""Where a market is traded: its venue, connected, and its instrument as the venue lists it.

Everything here raises ConfigurationFault for a venue without settings, and what venues raise.
"""

import asyncio
from collections.abc import Mapping

from desk.errors import ConfigurationFault
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.ports import Venue, VenueDirectory

_SHOWN = 20


async def listed(
    venues: VenueDirectory, market: MarketId, *, within_s: float | None = None
) -> tuple[Venue, Instrument]:
    """Venue and instrument of a market we know; ConfigurationFault when it is not listed.

    TimeoutError when the venue gives no list `within_s`.
    """
    venue, instruments = await _list(venues, market, within_s)
    if market.symbol not in instruments:
        raise ConfigurationFault(f"symbol: {market.venue} lists no market {market.symbol} any more")
    return venue, instruments[market.symbol]


async def chosen(venues: VenueDirectory, market: MarketId) -> tuple[Venue, Instrument]:
    """The same of a market that a person just named: the fault says what there is to choose."""
    venue, instruments = await _list(venues, market)
    if market.symbol not in instruments:
        known = ", ".join(sorted(instruments)[:_SHOWN])
        raise ConfigurationFault(
            f"symbol: {market.venue} has no market {market.symbol}; choose one of {known}"
        )
    return venue, instruments[market.symbol]


async def traded(venues: VenueDirectory, market: MarketId) -> tuple[Venue, Instrument] | None:
    """The same of a market that may not trade now; None while it does not, as when halted."""
    venue, instruments = await _list(venues, market)
    instrument = instruments.get(market.symbol)
    return (venue, instrument) if instrument is not None and instrument.active else None


async def _list(
    venues: VenueDirectory, market: MarketId, within_s: float | None = None
) -> tuple[Venue, Mapping[str, Instrument]]:
    venue = await venues.venue(market.venue, market.account)
    async with asyncio.timeout(within_s):
        return venue, {one.symbol: one for one in await venue.instruments()}
