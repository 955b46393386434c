"""One REST call as a handler sees it, and the table row that leads to it.

Handlers are synchronous: what one does to the engine is one indivisible step.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from venues.simulation.faults import Site
from venues.x10.simulator.codes import ApiRefused, Code
from venues.x10.simulator.customers import Customer
from venues.x10.simulator.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A successful answer: `data` is JSON-ready; `empty` sends no body at all."""

    data: Any = field(default_factory=dict)
    pagination: Mapping[str, int] | None = None
    empty: bool = False

    def body(self) -> dict[str, Any]:
        """The envelope (x10.md section 4.1)."""
        shown: dict[str, Any] = {"status": "OK", "data": self.data}
        if self.pagination is not None:
            shown["pagination"] = dict(self.pagination)
        return shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`query` holds all values of a name, `parts` the path's names; `site` is where faults look."""

    query: Mapping[str, Sequence[str]]
    raw: bytes
    parts: Mapping[str, str]
    site: Site
    customer: Customer | None

    @property
    def who(self) -> Customer:
        """The caller of a call that is not public."""
        if self.customer is None:
            raise ApiRefused(Code.UNAUTHORIZED)
        return self.customer

    @property
    def account(self) -> str:
        """The caller's engine account."""
        return self.who.name

    @property
    def markets(self) -> list[str]:
        """Markets the query names."""
        return list(self.query.get("market", ()))

    def text(self, name: str) -> str:
        """A value of the query, "" when it is not there."""
        return next(iter(self.query.get(name, ())), "")

    def whole(self, name: str) -> int | None:
        """A whole number of the query; ApiRefused 400 when it is none."""
        text = self.text(name)
        if text and not text.isdecimal():
            raise ApiRefused(Code.BAD_REQUEST, name)
        return int(text) if text else None


Handler: TypeAlias = Callable[[World, Call], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`private` routes need an API key; answers of `orders` routes may be held back."""

    method: str
    path: str
    handler: Handler
    private: bool = True
    orders: bool = False
