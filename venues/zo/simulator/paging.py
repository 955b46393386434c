"""Pages of lists, newest first: `{items, nextStartInclusive?}` (zo.md section 2.5)."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from venues.zo.simulator import numbers
from venues.zo.simulator.calls import Call, HttpRefusal
from venues.zo.simulator.settings import PageSizes
from venues.zo.simulator.world import World

T = TypeVar("T")
_MOST_ASKED = 255


def page(
    world: World,
    call: Call,
    found: Sequence[T],
    *,
    cursor: Callable[[T], int],
    shown: Callable[[T], Any],
    at_ms: Callable[[T], int],
) -> dict[str, Any]:
    """One page of what was found, newest first; the cursor shrinks along it.

    `since` is inclusive, `until` is not; HttpRefusal 400 for a parameter that is not right.
    """
    size = _size(world, call)
    start = call.whole("startInclusive")
    since, until = _moment(call, "since"), _moment(call, "until")
    kept = [
        one
        for one in found
        if (start is None or cursor(one) <= start)
        and (since is None or at_ms(one) >= since)
        and (until is None or at_ms(one) < until)
    ]
    body: dict[str, Any] = {"items": [shown(one) for one in kept[:size]]}
    if len(kept) > size:
        body["nextStartInclusive"] = str(cursor(kept[size]))
    return body


def _size(world: World, call: Call) -> int:
    rules = world.settings.reads
    asked = call.whole("pageSize")
    if asked is None:
        return rules.page
    if asked > _MOST_ASKED or asked == 0:
        raise HttpRefusal(400, {"error": "pageSize must be an 8-bit number"})
    if asked > rules.page and rules.page_sizes is PageSizes.REFUSE:
        raise HttpRefusal(400, {"error": f"pageSize is at most {rules.page}"})
    return min(asked, rules.page)


def _moment(call: Call, name: str) -> int | None:
    text = call.query.get(name)
    if text is None or text == "":
        return None
    try:
        return numbers.parse_moment(text)
    except ValueError:
        raise HttpRefusal(400, {"error": f"{name} must be RFC3339"}) from None
