"""Lifting kills: exactly those a person saw, at exactly the scope that set them.

The one rule: the record first, then the board, so that sessions stay stopped until the durable
record no longer says so.
"""

from desk.ports import KillBoard, LedgerReader


async def lift_kills(
    board: KillBoard,
    ledger: LedgerReader,
    scope: str,
    *,
    by: str,
    reason: str,
    asked_ms: int | None = None,
) -> tuple[bool, bool]:
    """Lift the kill recorded at a scope, and on the board what is no newer than that.

    With none recorded, everything the board has there. What is set meanwhile stays, and so does
    what was set after `asked_ms` (unix milliseconds), when somebody asked for this. Gives whether
    anything was lifted, and whether the scope is killed all the same. Raises Unavailable; what is
    not lifted yet stops sessions then.
    """
    recorded, named = await _recorded(ledger, scope), await board.named(scope)
    # A newer kill on the board is somebody's who has yet to record it, and did not ask for this.
    read = {at_ms for at_ms in named if not recorded or at_ms <= max(recorded)} | recorded
    # A request that is tried again must not lift what it was not asked for.
    read = {at_ms for at_ms in read if asked_ms is None or at_ms <= asked_ms}
    was_recorded = [await ledger.lift_kill(scope, at_ms, by, reason) for at_ms in sorted(read)]
    lifted = await board.lift(scope, read) or any(was_recorded)
    return lifted, bool(await board.named(scope) or await _recorded(ledger, scope))


async def _recorded(ledger: LedgerReader, scope: str) -> set[int]:
    return {kill.at_ms for kill in await ledger.active_kills() if kill.scope == scope}
