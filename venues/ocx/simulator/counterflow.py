"""Makes the other side of each market: a synthetic crowd, or a recording replayed."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random

from desk.errors import ConfigurationFault
from venues.ocx.simulator.settings import FlowKind, SimMarket, SimulatorSettings
from venues.ocx.simulator.world import World
from venues.simulation.flow import Flow, SyntheticFlow
from venues.simulation.recording import instrument_of, messages
from venues.simulation.regimes import Regime
from venues.simulation.replay import ReplayFlow


def flow_of(world: World, market: SimMarket) -> Flow | None:
    """A market's counter-flow; ConfigurationFault for an unknown regime or missing recording."""
    match market.flow:
        case FlowKind.NONE:
            return None
        case FlowKind.REPLAY:
            if market.replay is None:
                raise ConfigurationFault(
                    f"market {market.symbol} is to replay a recording; give its path"
                )
            return ReplayFlow(world.engine, market.symbol, market.replay)
        case FlowKind.SYNTHETIC:
            seed = Random(world.random.getrandbits(64))  # noqa: S311 - a crowd, not a secret
            return SyntheticFlow(world.engine, market.symbol, seed, _regime(market))


def replayed_market(symbol: str, path: Path) -> SimMarket:
    """A market that replays a recording, with the recording's own grid and first price.

    ConfigurationFault when the file is no recording with both sides.
    """
    instrument = instrument_of(path, "ocx", symbol)
    first = next(messages(path), None)
    rows = () if first is None else first.rows
    bids = [Decimal(row.price) for row in rows if row.side == "bid"]
    asks = [Decimal(row.price) for row in rows if row.side == "ask"]
    if not bids or not asks:
        raise ConfigurationFault(f"replay: {path} does not begin with a whole book")
    return SimMarket(
        symbol=symbol,
        price=max(bids),
        tick=instrument.tick_size,
        lot=instrument.lot_size,
        flow=FlowKind.REPLAY,
        replay=path,
    )


def with_replay(settings: SimulatorSettings, path: Path) -> SimulatorSettings:
    """The same settings with the first market replaying a recording."""
    first, *others = settings.markets
    return replace(settings, markets=(replayed_market(first.symbol, path), *others))


def _regime(market: SimMarket) -> Regime:
    try:
        return Regime(market.regime)
    except ValueError:
        raise ConfigurationFault(
            f"regime of {market.symbol} is {market.regime}; choose one of {', '.join(Regime)}"
        ) from None
