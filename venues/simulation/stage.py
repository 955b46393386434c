"""What the parts that every simulated venue shares need to see of the venue around the engine."""

from collections.abc import Sequence
from typing import Protocol

from venues.simulation.clock import VenueClock
from venues.simulation.engine import Engine
from venues.simulation.faults import FaultPlan


class Stage(Protocol):
    """One running venue."""

    @property
    def engine(self) -> Engine:
        """The matching engine."""
        ...

    @property
    def faults(self) -> FaultPlan:
        """What goes wrong."""
        ...

    @property
    def clock(self) -> VenueClock:
        """The venue's clock."""
        ...

    def listed(self) -> Sequence[str]:
        """Symbols of markets that have not expired."""
        ...

    def expire(self, symbol: str) -> None:
        """End a market: it settles and leaves the lists."""
        ...

    def accounts(self) -> Sequence[str]:
        """Names of the customers' accounts."""
        ...
