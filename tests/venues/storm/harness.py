"""What a venue must supply to be put through a storm, beside what conformance asks for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.venues.conformance.harness import Harness, Target, Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Gust:
    """One thing that goes wrong: a fault's word, where, and how."""

    kind: str
    target: Target
    match: dict[str, object] = field(default_factory=dict)


class StormHarness(Harness, Protocol):
    """A harness that can also be watched from inside, event by event."""

    gusts: Sequence[Gust]

    def on_change(self, look: Callable[[], None]) -> None:
        """Call `look` after every step of the venue's engine, before anything else happens."""

    def resting_ids(self) -> Sequence[str]:
        """Client order ids that rest at this very moment, straight from the engine."""

    def settle_down(self) -> None:
        """Disarm every fault that is left."""


COMMON = (
    Gust(kind=Trouble.RESPONSE_LOST, target=Target.ORDERS),
    Gust(kind=Trouble.REQUEST_LOST, target=Target.ORDERS),
    Gust(kind=Trouble.ERROR_BEFORE, target=Target.ORDERS),
    Gust(kind=Trouble.ERROR_AFTER, target=Target.ORDERS),
    Gust(kind=Trouble.RESPONSE_LOST, target=Target.CANCELS),
    Gust(kind=Trouble.CUT_FRAME, target=Target.BOOK_STREAM),
    Gust(kind=Trouble.CUT_FRAME, target=Target.ACCOUNT_STREAM),
    Gust(kind=Trouble.DROP_EVENT, target=Target.ACCOUNT_STREAM),
    Gust(kind=Trouble.DUPLICATE_EVENT, target=Target.ACCOUNT_STREAM),
    Gust(kind=Trouble.DROP_EVENT, target=Target.BOOK_STREAM),
)
"""What can happen at every venue."""
