"""One REST call as a handler sees it, and the table row that leads to it.

Handlers are synchronous: what one does to the engine is one indivisible step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from venues.ocx.simulator.answers import Answer
from venues.ocx.simulator.bodies import Fields
from venues.ocx.simulator.credentials import Access, Caller, Shown, unauthorized
from venues.ocx.simulator.world import World
from venues.simulation.faults import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`path_id` is the id in the path, "" without one; `site` is where faults look."""

    query: Mapping[str, str]
    body: Mapping[str, Any]
    path_id: str
    site: Site
    shown: Shown
    caller: Caller | None

    @property
    def fields(self) -> Fields:
        """The body, read strictly."""
        return Fields(self.body)

    @property
    def who(self) -> Caller:
        """The caller of a call that is not public."""
        if self.caller is None:
            raise unauthorized("a session or an API key is required")
        return self.caller

    @property
    def account(self) -> str:
        """The caller's engine account."""
        return self.who.account


Handler: TypeAlias = Callable[[World, Call], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`limited` routes are the order path: they spend the rate budget."""

    method: str
    path: str
    handler: Handler
    access: Access = Access.PUBLIC
    limited: bool = False
