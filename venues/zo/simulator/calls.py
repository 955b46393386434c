"""One read as a handler sees it, the table row that leads to it, and HTTP refusals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from venues.simulation.faults import Site
from venues.zo.simulator.world import World


class HttpRefusal(Exception):
    """An answer that is no 200. `body` is JSON-ready; `wait_s` becomes `Retry-After`."""

    def __init__(self, status: int, body: Any, *, wait_s: int | None = None) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A body that is not JSON."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`parts` are the path's named parts; `site` is where faults look."""

    parts: Mapping[str, str]
    query: Mapping[str, str]
    site: Site

    def number(self, name: str) -> int:
        """A path part that must be a number; 404 otherwise."""
        text = self.parts.get(name, "")
        if not text.isdecimal():
            raise missing()
        return int(text)

    def whole(self, name: str) -> int | None:
        """A query parameter that must be a number; 400 otherwise."""
        text = self.query.get(name)
        if text is None or text == "":
            return None
        if not text.isdecimal():
            raise HttpRefusal(400, {"error": f"{name} must be a whole number"})
        return int(text)


Handler: TypeAlias = Callable[[World, Call], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A GET path and what answers it."""

    path: str
    handler: Handler


def missing(body: Any = None) -> HttpRefusal:
    """404, with the body `null` as the venue has it unless given."""
    return HttpRefusal(404, body)
