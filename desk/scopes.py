"""Scopes of kills: their one spelling, and which ones are wider than another.

The one rule: a scope that cannot be read is refused in a sentence; it never stops less than asked.
"""

from collections.abc import Collection
from typing import Final

from desk.identity import MarketId
from desk.records import LOSS, Kill, kill_scopes

SCOPES: Final = "fleet, venue:V, account:V/A or market:V/A/S"
_PARTS: Final = {"fleet": 0, "venue": 1, "account": 2, "market": 3}
_LOSS_KINDS: Final = frozenset({"fleet", "account", "market"})


def checked_scope(text: str, venues: Collection[str] | None = None) -> str:
    """The scope in its one spelling; ValueError says what is wrong with it.

    `venues` are the known ones; None where nobody knows which there are.
    """
    bare = text.removeprefix(LOSS)
    kind, _, rest = bare.partition(":")
    parts = rest.split("/") if rest else []
    if kind == "market" and len(parts) == 2:
        parts = [parts[0], "main", parts[1]]
    if _PARTS.get(kind) != len(parts) or not all(parts) or (kind == "fleet" and bare != kind):
        raise ValueError(f"scope: '{text}' is not {SCOPES}")
    if bare != text and kind not in _LOSS_KINDS:
        raise ValueError(f"scope: '{text}' is none; loss limits know fleet, accounts and markets")
    if venues is not None and parts and parts[0] not in venues:
        known = ", ".join(sorted(venues))
        raise ValueError(f"scope: venue '{parts[0]}' is unknown; use one of {known}")
    return text[: len(text) - len(bare)] + (f"{kind}:{'/'.join(parts)}" if parts else kind)


def wider_scopes(scope: str) -> tuple[str, ...]:
    """Every other scope whose kill stops all that this one stops, widest first."""
    kind, _, rest = scope.removeprefix(LOSS).partition(":")
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
    return _PARTS[scope.removeprefix(LOSS).partition(":")[0]]
