"""The gate that breaks keep closed: a durable HOLD at their scope, copied to board and process.

The one rule: record first, then the board; and the gate follows the open breaks whatever died in
between, because every call compares all of it anew.
"""

from typing import Final, Protocol

from desk.book_ports import BreakBook
from desk.breaks import Break
from desk.errors import Unavailable
from desk.identity import MarketId
from desk.ports import Clock, KillBoard, LedgerReader
from desk.records import BREAK, Kill, KillEffect, kill_scopes
from desk.units import NS_PER_MS
from quoting.gates import Gates

BY: Final = "books"
"""Who closes a gate over a break."""

_ROUNDS: Final = 20


class GatePorts(Protocol):
    """The ports a gate is kept with."""

    @property
    def breaks(self) -> BreakBook:
        """Which breaks are open."""

    @property
    def ledger(self) -> LedgerReader:
        """The durable record of kills."""

    @property
    def board(self) -> KillBoard:
        """The fast copy."""

    @property
    def gates(self) -> Gates:
        """Kills told to this process."""

    @property
    def clock(self) -> Clock:
        """Time of a new hold."""


async def keep_gate(ports: GatePorts, scope: str, *, by: str = BY, reason: str = "") -> Kill | None:
    """Make record, board and process say at this scope what its open breaks say.

    The hold in force then, None when the gate is open. `by` and `reason` are kept when it opens.
    Safe to repeat and to run twice at once. Raises Unavailable; what is closed stays closed then.
    """
    for _ in range(_ROUNDS):
        # Read before the record: whatever stood here by now was recorded before it was shown.
        shown, unreadable = await _shown(ports, scope)
        held = await _recorded(ports, scope, by, reason or "no break is open here")
        if held is not None:
            ports.gates.close(held)
        if unreadable is not None:
            raise unreadable
        if held is not None:
            await ports.board.set(held)
        if stale := shown - ({held.at_ms} if held else set()):
            await ports.board.lift(scope, stale)
        for told in ports.gates.told():
            if told.scope == scope and told != held:
                ports.gates.forget(told)
        if await _in_force(ports, scope) == held and bool(await _open(ports, scope)) == bool(held):
            return held
    raise Unavailable(f"scope: the breaks at {scope} changed {_ROUNDS} times while looked at")


async def keep_gates(ports: GatePorts, market: MarketId) -> tuple[Kill, ...]:
    """The same at every scope of breaks that covers a market; the holds in force, widest first."""
    scopes = [scope for scope in kill_scopes(market) if scope.startswith(BREAK)]
    held = [await keep_gate(ports, scope) for scope in scopes]
    return tuple(kill for kill in held if kill is not None)


async def _shown(ports: GatePorts, scope: str) -> tuple[frozenset[int], Unavailable | None]:
    """What the board shows; a board that is away must not keep the record from being written."""
    try:
        return await ports.board.named(scope), None
    except Unavailable as trouble:
        return frozenset(), trouble


async def _recorded(ports: GatePorts, scope: str, by: str, reason: str) -> Kill | None:
    """The hold in the record, set or lifted so that it agrees with the open breaks."""
    standing, held = await _open(ports, scope), await _in_force(ports, scope)
    if standing and held is None:
        await ports.ledger.set_kill(_hold(ports, scope, standing))
    elif held is not None and not standing:
        await ports.ledger.lift_kill(scope, held.at_ms, by, reason)
    return await _in_force(ports, scope)


async def _open(ports: GatePorts, scope: str) -> tuple[Break, ...]:
    venue, account = scope.removeprefix(BREAK).partition(":")[2].split("/")[:2]
    found = await ports.breaks.standing(venue, account)
    return tuple(one for one in found if one.found.scope == scope and one.found.kind.closes_gate)


async def _in_force(ports: GatePorts, scope: str) -> Kill | None:
    return next((one for one in await ports.ledger.active_kills() if one.scope == scope), None)


def _hold(ports: GatePorts, scope: str, standing: tuple[Break, ...]) -> Kill:
    first = standing[0]
    more = f" (and {len(standing) - 1} more)" if len(standing) > 1 else ""
    return Kill(
        scope=scope,
        reason=f"break {first.number}: {first.found.text}{more}",
        by=BY,
        at_ms=ports.clock.wall_ns() // NS_PER_MS,
        effect=KillEffect.HOLD,
    )
