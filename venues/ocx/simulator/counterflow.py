"""Markets of the simulated OCX that replay a recording, on the recording's own grid."""

from dataclasses import replace
from pathlib import Path

from venues.ocx.simulator.settings import SimMarket, SimulatorSettings
from venues.simulation.counterflow import FlowKind, recorded_grid


def replayed_market(symbol: str, path: Path) -> SimMarket:
    """A market that replays a recording, with the recording's own grid and first price.

    ConfigurationFault when the file is no recording with both sides.
    """
    instrument, price = recorded_grid(path, "ocx", symbol)
    return SimMarket(
        symbol=symbol,
        price=price,
        tick=instrument.tick_size,
        lot=instrument.lot_size,
        flow=FlowKind.REPLAY,
        replay=path,
    )


def with_replay(settings: SimulatorSettings, path: Path) -> SimulatorSettings:
    """The same settings with the first market replaying a recording."""
    first, *others = settings.markets
    return replace(settings, markets=(replayed_market(first.symbol, path), *others))
