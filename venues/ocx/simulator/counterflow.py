"""Makes the other side of each market: a synthetic crowd, or a recording replayed."""

from random import Random

from desk.errors import ConfigurationFault
from venues.ocx.simulator.settings import FlowKind, SimMarket
from venues.ocx.simulator.world import World
from venues.simulation.flow import Flow, SyntheticFlow
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


def _regime(market: SimMarket) -> Regime:
    try:
        return Regime(market.regime)
    except ValueError:
        raise ConfigurationFault(
            f"regime of {market.symbol} is {market.regime}; choose one of {', '.join(Regime)}"
        ) from None
