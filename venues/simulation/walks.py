"""Where an invented price goes: the walk of one market by itself.

Figures here steer a crowd; no money is counted in them.
"""

import math
from decimal import Decimal
from random import Random
from typing import Protocol

from desk.instrument import Instrument
from venues.simulation.regimes import Traits

BP = 1e-4
PULL_PER_S = 5e-4
"""How fast a price that nobody pushes is drawn back to where it began."""


class Walk(Protocol):
    """The fair price of one market, which everybody in the crowd knows."""

    @property
    def price(self) -> float:
        """Quote currency."""
        ...

    @property
    def index(self) -> Decimal:
        """The same as the index tells it."""
        ...

    @property
    def quote_worth(self) -> float:
        """What one unit of the quote currency is worth to the crowd, which counts in collateral."""
        ...

    def move(self, now_ns: int, elapsed_s: float, push_bps: float | None) -> None:
        """Go on to a wall time; a push replaces the pull to where it began."""
        ...


class LoneWalk:
    """A seeded walk with the trends and jumps of a regime, never below ten ticks."""

    def __init__(
        self, instrument: Instrument, start: Decimal, traits: Traits, random: Random
    ) -> None:
        self._instrument = instrument
        self._traits = traits
        self._random = random
        self._tick = float(instrument.tick_size)
        self._start = self._price = float(start)
        self._trend = 1.0

    @property
    def price(self) -> float:
        """Quote currency."""
        return self._price

    @property
    def index(self) -> Decimal:
        """The price to the nearest tick."""
        return self._instrument.price(round(self._price / self._tick))

    @property
    def quote_worth(self) -> float:
        """It is the collateral."""
        return 1.0

    def move(self, now_ns: int, elapsed_s: float, push_bps: float | None) -> None:  # noqa: ARG002
        """Go on by so many seconds; a push replaces the pull to where it began."""
        traits, random = self._traits, self._random
        if random.random() < elapsed_s / traits.trend_s:
            self._trend = -self._trend
        bps = random.gauss(0.0, traits.volatility_bps) * math.sqrt(elapsed_s)
        bps += self._trend * traits.trend_bps * elapsed_s
        if random.random() < traits.jumps_per_s * elapsed_s:
            bps += random.choice((-1, 1)) * traits.jump_bps * random.uniform(0.5, 2.0)
        if push_bps is not None:
            bps += push_bps
        else:
            pull = math.log(self._start / self._price) / BP
            bps += pull * min(1.0, PULL_PER_S * elapsed_s)
        self._price = max(self._price * math.exp(bps * BP), 10 * self._tick)
