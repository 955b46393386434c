"""Markets of the simulated 01.xyz that replay a recording, on the recording's own grid."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from desk.errors import ConfigurationFault
from venues.simulation.counterflow import FlowKind, recorded_grid
from venues.zo.simulator.listing import VENUE
from venues.zo.simulator.settings import SimMarket, SimulatorSettings


def replayed_market(symbol: str, path: Path) -> SimMarket:
    """A market that replays a recording, with the recording's own grid and first price.

    ConfigurationFault when the file is no recording, or its grid is no power of ten.
    """
    instrument, price = recorded_grid(path, VENUE, symbol)
    return SimMarket(
        symbol=symbol,
        price=price,
        price_decimals=_decimals(symbol, instrument.tick_size),
        size_decimals=_decimals(symbol, instrument.lot_size),
        flow=FlowKind.REPLAY,
        replay=path,
    )


def with_replay(settings: SimulatorSettings, path: Path) -> SimulatorSettings:
    """The same settings with the first market replaying a recording."""
    first, *others = settings.markets
    return replace(settings, markets=(replayed_market(first.symbol, path), *others))


def _decimals(symbol: str, step: Decimal) -> int:
    """Decimals of a grid; the venue knows only powers of ten."""
    places = -step.adjusted()
    if step != Decimal(1).scaleb(-places) or places < 0:
        raise ConfigurationFault(
            f"replay: the grid of {symbol} is {step}; this venue needs a power of ten up to 1"
        )
    return places
