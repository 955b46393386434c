"""Markets of the simulated X10 that replay a recording, on the recording's own grid."""

from dataclasses import replace
from pathlib import Path

from venues.simulation.counterflow import FlowKind, recorded_grid
from venues.x10.simulator.settings import SimMarket, SimulatorSettings


def replayed_market(listed: SimMarket, path: Path) -> SimMarket:
    """The market with the recording's grid and first price instead of its own.

    ConfigurationFault when the file is no recording with both sides.
    """
    instrument, price = recorded_grid(path, "x10", listed.symbol)
    return replace(
        listed,
        price=price,
        min_price_change=instrument.tick_size,
        min_order_size_change=instrument.lot_size,
        min_order_size=instrument.lot_size,
        flow=FlowKind.REPLAY,
        replay=path,
    )


def with_replay(settings: SimulatorSettings, path: Path) -> SimulatorSettings:
    """The same settings with the first market replaying a recording."""
    first, *others = settings.markets
    return replace(settings, markets=(replayed_market(first, path), *others))
