"""Why a claim was refused, in one sentence for people: what was short, and who holds it."""

import json
from collections.abc import Sequence
from typing import Any

from desk.arbitrage_ports import Claim, ClaimRefusal, ClaimRefused
from infra.redis.arbitrage_texts import key_of, money


def refused(claim: Claim, what: str, told: Sequence[Any]) -> ClaimRefused:
    """The refusal behind what the script answered."""
    match what:
        case "unarmed":
            return _no(ClaimRefusal.NOT_ARMED, "claims are not armed; re-arm them from the ledger")
        case "settling":
            text = f"claims were armed just now and grant nothing for another {told[0]} ms"
            return _no(ClaimRefusal.NOT_ARMED, text)
        case "board":
            text = "the kill board is not armed; re-arm it from the ledger"
            return _no(ClaimRefusal.NOT_ARMED, text)
        case "fenced":
            text = f"{claim.key.text} is not above epoch {told[0]}, trade {told[1]}, seen before"
            return _no(ClaimRefusal.FENCED, text)
        case "killed":
            return _no(ClaimRefusal.KILLED, _killed(*told))
        case "open":
            text = f"{key_of(told[0]).text} by {told[1]} is not settled; one trade of a set at once"
            return _no(ClaimRefusal.OPEN_TRADE, text)
        case "size":
            return _no(ClaimRefusal.SIZE, _size(claim, *told))
        case "capital":
            return _no(ClaimRefusal.CAPITAL, _capital(*told))
        case _:
            return _no(ClaimRefusal.REQUESTS, _requests(*told))


def _no(reason: ClaimRefusal, text: str) -> ClaimRefused:
    return ClaimRefused(reason=reason, text=text)


def _killed(scope: str, text: str) -> str:
    try:
        said = json.loads(text)
        return f"killed at scope {scope} by {said['by']}: {said['reason']}"
    except (ValueError, KeyError, TypeError):
        return f"killed at scope {scope}, by a kill that cannot be read; lift it or set it anew"


def _size(claim: Claim, place: int, claimed: str, own: str, holders: Sequence[str]) -> str:
    size = claim.sizes[place - 1]
    others = f"{claimed} claimed by {_list(holders)}" if holders else "none of them claimed"
    before = f", {own} by legs before it" if own != "0" else ""
    return (
        f"{size.market.path}: {size.lots} lots to {size.side.value} do not fit in the "
        f"{size.shown} shown, {others}{before}"
    )


def _capital(field: str, asked: str, held: str, cap: str, holders: Sequence[str]) -> str:
    scope, _, quote = field.rpartition(" ")
    if not cap:
        return f"{scope}: no cap in {quote} is set, so nothing is granted; set one"
    most = f", most by {_list(holders)}" if holders else ""
    return (
        f"{scope}: {money(asked)} {quote} do not fit in the cap of {money(cap)}, "
        f"{money(held)} held{most}"
    )


def _requests(bucket: str, wanted: int = 0, room: int = 0, closed_ms: int = 0) -> str:
    if not wanted:
        return f"{bucket}: its rate budget is not known, for no process draws from it yet"
    if closed_ms > 0:
        return f"{bucket}: its rate budget gives no orders for another {closed_ms} ms"
    return f"{bucket}: {wanted} requests do not fit in the {room} its rate budget has to give"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
