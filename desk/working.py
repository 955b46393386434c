"""Our own orders as the session knows them, until the venue says they are gone."""

from dataclasses import dataclass
from enum import StrEnum

from desk.orders import NewOrder
from desk.units import Lots


class WorkingState(StrEnum):
    """Where an order is in its life; every state but CLOSED may still fill."""

    IN_FLIGHT = "in_flight"
    RESTING = "resting"
    CANCELLING = "cancelling"
    UNRESOLVED = "unresolved"
    SETTLING = "settling"
    """Rests no more, but fills of it may be unheard: its slot stays taken until they are known."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingOrder:
    """One order of ours. `remaining` is what may still fill."""

    order: NewOrder
    state: WorkingState
    remaining: Lots
