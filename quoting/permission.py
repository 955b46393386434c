"""Asking before acting: the kills in force, the bound on unrecorded orders, and the lease."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from desk.errors import Unavailable
from desk.identity import MarketId
from desk.permit import Permit
from desk.ports import KillBoard, LeasePort, LedgerReader, LedgerWriter
from desk.records import Kill

_POLL_S = 0.1
_PATIENCE = 4


async def standing_kills(
    board: KillBoard, ledger: LedgerReader, market: MarketId
) -> Sequence[Kill]:
    """Kills that cover a market. A board that was never armed is armed from the durable record."""
    try:
        return await board.kills(market)
    except Unavailable:
        await board.rearm(await ledger.active_kills())
        return await board.kills(market)


def why_too_many_unrecorded(writer: LedgerWriter, market: MarketId, most: int) -> str:
    """Why one more order may not be sent before Postgres has others; empty when it may."""
    permit = Permit(max_clock_offset_ms=0, max_ledger_behind_s=0, max_unrecorded_intents=most)
    permit.count_intents(writer.unrecorded(market))
    refusal = permit.refusal_to_send(1)
    return "" if refusal is None else permit.explain(refusal)


async def wait_for_lease(
    lease: LeasePort,
    market: MarketId,
    epoch: int,
    owner: str,
    ttl_ms: int,
    *,
    beat: Callable[[], None],
    stopped: Callable[[], Awaitable[bool]] | None = None,
) -> bool:
    """Take the lease, waiting for a dead owner's to expire. Unavailable when it stays taken.

    False, without the lease, as soon as `stopped` says that there is nothing to wait for.
    """
    for _ in range(int(_PATIENCE * ttl_ms / 1000 / _POLL_S)):
        if stopped is not None and await stopped():
            return False
        if await lease.acquire(market, epoch, owner, ttl_ms):
            return True
        beat()
        await asyncio.sleep(_POLL_S)
    raise Unavailable(f"lease of {market.path} is held by somebody else and does not expire")
