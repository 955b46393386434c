"""Scopes of kills: their one spelling, and which ones are wider than another.

The one rule: a scope that cannot be read is refused in a sentence; it never stops less than asked.
"""

from collections.abc import Collection
from typing import Final

from desk.identity import MarketId
from desk.records import BREAK, LOSS, Kill, kill_scopes

SCOPES: Final = "fleet, venue:V, account:V/A or market:V/A/S"
_PARTS: Final = {"fleet": 0, "venue": 1, "account": 2, "market": 3}
_KINDS: Final = {
    LOSS: (
        frozenset({"fleet", "account", "market"}),
        "loss limits know fleet, accounts and markets",
    ),
    BREAK: (frozenset({"account", "market"}), "breaks know accounts and markets"),
}


def checked_scope(text: str, venues: Collection[str] | None = None) -> str:
    """The scope in its one spelling; ValueError says what is wrong with it.

    `venues` are the known ones; None where nobody knows which there are.
    """
    prefix, bare = _apart(text)
    kind, _, rest = bare.partition(":")
    parts = rest.split("/") if rest else []
    if kind == "market" and len(parts) == 2:
        parts = [parts[0], "main", parts[1]]
    if _PARTS.get(kind) != len(parts) or not all(parts) or (kind == "fleet" and bare != kind):
        raise ValueError(f"scope: '{text}' is not {SCOPES}")
    if prefix and kind not in _KINDS[prefix][0]:
        raise ValueError(f"scope: '{text}' is none; {_KINDS[prefix][1]}")
    if venues is not None and parts and parts[0] not in venues:
        known = ", ".join(sorted(venues))
        raise ValueError(f"scope: venue '{parts[0]}' is unknown; use one of {known}")
    return prefix + (f"{kind}:{'/'.join(parts)}" if parts else kind)


def why_by_break(scope: str) -> str:
    """Why no person sets or lifts a kill at this scope, with the remedy; empty when one may."""
    if not scope.startswith(BREAK):
        return ""
    return (
        f"scope: {scope} is kept closed until the break there is settled; look at it with "
        "'flotilla breaks list' and settle it with 'flotilla breaks settle'"
    )


def wider_scopes(scope: str) -> tuple[str, ...]:
    """Every other scope whose kill stops all that this one stops, widest first."""
    kind, _, rest = _apart(scope)[1].partition(":")
    if kind == "fleet":
        return tuple(one for one in ("fleet", f"{LOSS}fleet") if one != scope)
    # What a name is not stands for any: no scope of a real market has an empty part.
    venue, account, symbol = ([*rest.split("/"), "", ""])[:3]
    found = kill_scopes(MarketId(venue, account, symbol))
    width = _PARTS[kind]
    return tuple(one for one in found if one != scope and _width(one) <= width)


def wider_kills(scope: str, kills: Collection[Kill]) -> tuple[Kill, ...]:
    """The kills that go on stopping a scope when its own is lifted, widest first."""
    by_scope = {kill.scope: kill for kill in kills}
    return tuple(by_scope[one] for one in wider_scopes(scope) if one in by_scope)


def _width(scope: str) -> int:
    return _PARTS[_apart(scope)[1].partition(":")[0]]


def _apart(scope: str) -> tuple[str, str]:
    """What says who sets kills there, empty for people, and the scope itself."""
    prefix = next((one for one in _KINDS if scope.startswith(one)), "")
    return prefix, scope.removeprefix(prefix)
