"""Makes the other side of a market: a synthetic crowd, or a recording replayed.

Each market draws its own seed, so one market's crowd does not depend on another's.
"""

from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Protocol

from desk.errors import ConfigurationFault
from desk.instrument import Instrument
from venues.simulation.engine import Engine
from venues.simulation.flow import Flow, SyntheticFlow
from venues.simulation.recording import instrument_of, messages
from venues.simulation.regimes import Regime
from venues.simulation.replay import ReplayFlow


class FlowKind(StrEnum):
    """Where a market's counter-flow comes from; `none` leaves the book to the clients."""

    SYNTHETIC = "synthetic"
    REPLAY = "replay"
    NONE = "none"


class Staffed(Protocol):
    """What a venue's settings say of a market's other side."""

    @property
    def symbol(self) -> str:
        """The market's name."""
        ...

    @property
    def flow(self) -> FlowKind:
        """Which counter-flow."""
        ...

    @property
    def regime(self) -> str:
        """Character of a synthetic one."""
        ...

    @property
    def replay(self) -> Path | None:
        """Recording of a replayed one."""
        ...


def flow_of(engine: Engine, market: Staffed, random: Random) -> Flow | None:
    """A market's counter-flow; ConfigurationFault for an unknown regime or missing recording."""
    match market.flow:
        case FlowKind.NONE:
            return None
        case FlowKind.REPLAY:
            if market.replay is None:
                raise ConfigurationFault(
                    f"market {market.symbol} is to replay a recording; give its path"
                )
            return ReplayFlow(engine, market.symbol, market.replay)
        case FlowKind.SYNTHETIC:
            seed = Random(random.getrandbits(64))  # noqa: S311 - a crowd, not a secret
            return SyntheticFlow(engine, market.symbol, seed, regime_of(market))


def recorded_grid(path: Path, venue: str, symbol: str) -> tuple[Instrument, Decimal]:
    """The grid of a recording and its first best bid.

    ConfigurationFault when the file is no recording with both sides.
    """
    instrument = instrument_of(path, venue, symbol)
    first = next(messages(path), None)
    rows = () if first is None else first.rows
    bids = [Decimal(row.price) for row in rows if row.side == "bid"]
    asks = [Decimal(row.price) for row in rows if row.side == "ask"]
    if not bids or not asks:
        raise ConfigurationFault(f"replay: {path} does not begin with a whole book")
    return instrument, max(bids)


def regime_of(market: Staffed) -> Regime:
    """A market's regime; ConfigurationFault for an unknown one."""
    try:
        return Regime(market.regime)
    except ValueError:
        raise ConfigurationFault(
            f"regime of {market.symbol} is {market.regime}; choose one of {', '.join(Regime)}"
        ) from None
