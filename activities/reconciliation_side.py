"""What one comparison hands back, and how its breaks are kept.

The one rule: what a written rule settles is done first and recorded with both sides right after;
everything else closes a gate and waits.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

from activities.breaks import open_break, settle_break
from activities.ports import ActivityPorts
from activities.reconciliation_messages import ReconcileInput
from desk.breaks import Break, BreakDecision, BreakKind, FoundBreak
from desk.identity import MarketId
from desk.reconciliation import OrderKey, by_symbol
from desk.records import ControlDecision
from desk.units import NS_PER_MS

BY: Final = "reconciliation"
"""Who did what a comparison did by itself."""

_NAMED = 5


@dataclass(kw_only=True)
class Compared:
    """One comparison as it comes along. `ours` and `theirs` are the two sides, kept as JSON.

    `differences` are sentences by what they are about; `counts` how much was on each side.
    """

    ours: dict[str, Any] = field(default_factory=dict)
    theirs: dict[str, Any] = field(default_factory=dict)
    differences: list[dict[str, Any]] = field(default_factory=list)
    counts: tuple[int, int] = (0, 0)
    equity: Decimal | None = None
    expected: Decimal | None = None
    trouble: str = ""

    def note(self, kind: str, symbol: str | None, text: str) -> None:
        """One difference, in words."""
        self.differences.append({"kind": kind, "symbol": symbol, "text": text})


class BreakDesk:
    """Opens and settles the breaks that one run finds."""

    def __init__(self, ports: ActivityPorts, request: ReconcileInput) -> None:
        self._ports = ports
        self._request = request

    def now_ms(self) -> int:
        """Unix milliseconds."""
        return self._ports.clock.wall_ns() // NS_PER_MS

    def found(
        self,
        kind: BreakKind,
        symbol: str | None,
        text: str,
        *,
        ours: Mapping[str, Any],
        theirs: Mapping[str, Any],
        at_ms: int | None = None,
    ) -> FoundBreak:
        """A break of this account as this run sees it, in a reading that began at `at_ms`.

        None is now: for what is cured as it is found.
        """
        return FoundBreak(
            venue=self._request.venue,
            account=self._request.account,
            symbol=symbol,
            kind=kind,
            text=text,
            ours=as_text(ours),
            theirs=as_text(theirs),
            found_by=f"{BY} {self._request.run_id}",
            found_at_ms=self.now_ms() if at_ms is None else at_ms,
        )

    async def standing(self, kind: BreakKind) -> tuple[Break, ...]:
        """Open breaks of a kind on this account."""
        found = await self._ports.breaks.standing(self._request.venue, self._request.account)
        return tuple(one for one in found if one.found.kind is kind)

    async def open(self, found: FoundBreak) -> Break:
        """Close the gate until somebody settles it; one that is open is only seen again."""
        return await open_break(self._ports, found)

    async def settled(self, found: FoundBreak, rule: str, reason: str) -> None:
        """Record a difference that a written rule has just done away with."""
        opened = await self._ports.breaks.open(found)
        await self.over(opened, rule, reason)

    async def over(self, known: Break, rule: str, reason: str) -> None:
        """Settle a break by a written rule, and open its gate unless another one keeps it."""
        await settle_break(self._ports, known, BreakDecision.RULE, f"rule {rule}", reason)

    def record(self, symbol: str | None, kind: str, reason: str, evidence: str) -> None:
        """Keep what is about to be done to a market, in case nobody lives to record its end.

        None is the account.
        """
        self._ports.writer.record(
            ControlDecision(
                market=(
                    None
                    if symbol is None
                    else MarketId(self._request.venue, self._request.account, symbol)
                ),
                epoch=None,
                kind=kind,
                reason=reason,
                by=BY,
                evidence=evidence,
                at_ms=self.now_ms(),
            )
        )


def as_text(value: object) -> str:
    """JSON text; decimals as strings, keys in order."""
    return json.dumps(value, default=_plain, sort_keys=True, separators=(",", ":"))


def orders_side(keys: Iterable[OrderKey], differing: Iterable[OrderKey]) -> dict[str, Any]:
    """One side of an orders comparison: how many each market has, and every id that differs.

    Ids on which both sides agree are kept as one digest: the same on both sides.
    """
    all_keys, apart = set(keys), set(differing)
    agreed = "\n".join(f"{symbol} {one}" for symbol, one in sorted(all_keys - apart))
    return {
        "orders": {symbol: len(ids) for symbol, ids in by_symbol(all_keys).items()},
        "agreed": sha256(agreed.encode()).hexdigest()[:16],
        "differing": {symbol: list(ids) for symbol, ids in by_symbol(all_keys & apart).items()},
    }


def named(ids: Iterable[str]) -> str:
    """A few of them, and how many more there are."""
    found = list(ids)
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"{', '.join(found[:_NAMED])}{more}"


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    raise TypeError(f"{type(value).__name__} has no JSON form")
